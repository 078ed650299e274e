"""``python -m mvae reproduce tuning``: the paper's fixed settings (Table 7: batch 100, RMSprop at 1e-3) against settings found by
:mod:`mvae.training.search`, with the same network, images and epochs; and how many epochs each needs for the same −ELBO
(the paper says 5000 → 1000).
"""

import statistics
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm import tqdm

from mvae.data.benchmarks import load_benchmark
from mvae.evaluate.classifier import to_float
from mvae.evaluate.results import write_study
from mvae.files import write_figure
from mvae.machine import cpu_name
from mvae.models.system import System, SystemConfig
from mvae.reproduce.arms import over_seeds
from mvae.training.search import Report, counts, given_up, search, search_with_ray
from mvae.training.system_loop import Settings, fit, held_out

IMAGES, CHOSEN_ON, TESTED = 10_000, 2000, 2000
CONFIG = SystemConfig(latent=20)
FIXED = Settings()
COLUMNS = (
    "arm", "epoch", "negative_elbo", "negative_elbo_sd", "seconds", "batch", "optimiser", "learning_rate", "schedule", "seeds",
    "trials", "trials_pruned", "search_epochs", "cpu", "command",
)


def run_all(
    data: Path, out: Path, *, trials: int, search_epochs: int, epochs: int, seeds: int, ray: bool, results: Path, plot: Path
) -> list[dict]:
    """Search, then train both with every seed; one row an arm and epoch. The search resumes from ``OUT/study.db``."""
    torch.set_num_threads(1)
    train, test = load_benchmark(data, "train"), load_benchmark(data, "test")
    images = to_float(train.images[:IMAGES])
    choose_on = (to_float(train.images[IMAGES : IMAGES + CHOSEN_ON]) > 0.5).float()
    tested = (to_float(test.images[:TESTED]) > 0.5).float()

    def objective(settings: Settings, report: Report) -> float:
        losses = []

        def after(epoch: int, system: System) -> None:
            losses.append(held_out(system, choose_on)["negative_elbo"])
            if report(epoch, losses[-1]):
                raise given_up()

        torch.manual_seed(settings.seed)
        fit(System(CONFIG), images, settings, after_epoch=after)
        return losses[-1]

    options = {"trials": trials, "epochs": search_epochs, "first": replace(FIXED, epochs=search_epochs)}
    storage = out / "study.db"
    best = search_with_ray(objective, folder=out, **options) if ray else search(objective, storage=storage, **options)
    ended = {} if ray else counts(storage)
    rows, command = [], (
        f"python -m mvae reproduce tuning --trials {trials} --search-epochs {search_epochs} --epochs {epochs} --seeds {seeds}"
        + (" --ray" if ray else "")
    )
    chosen = {"fixed": FIXED, "tuned": best}
    curves: dict[str, list[list[float]]] = {name: [] for name in chosen}
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for seed in tqdm(range(seeds), desc="fixed and tuned", unit="seed"):  # in turns: what else the machine does falls on both
        for name, settings in chosen.items():
            curve: list[float] = []
            torch.manual_seed(seed)
            logged = fit(
                System(CONFIG), images, replace(settings, epochs=epochs, seed=seed),
                after_epoch=lambda epoch, system, curve=curve: curve.append(held_out(system, tested)["negative_elbo"]),
            )
            curves[name].append(curve)
            seconds[name] += logged.seconds
    for name, settings in chosen.items():
        said = {key: value for key, value in asdict(settings).items() if key in COLUMNS}
        rows += [
            {
                "arm": name, "epoch": epoch + 1, **over_seeds("negative_elbo", values),
                "seconds": statistics.median(seconds[name]), **said, "seeds": seeds, "trials": trials,
                "trials_pruned": ended.get("pruned", 0), "search_epochs": search_epochs,
                "cpu": cpu_name(), "command": command,
            }
            for epoch, values in enumerate(zip(*curves[name], strict=True))
        ]
    write_study(results, "tuning", COLUMNS, rows, digits=6)
    draw(rows, plot)
    return rows


def epochs_to_reach(rows: list[dict], arm: str, target: float) -> int | None:
    """The first epoch after which the arm's −ELBO is at or below ``target``; None if it never is."""
    return next((int(r["epoch"]) for r in rows if r["arm"] == arm and float(r["negative_elbo"]) <= target), None)


def draw(rows: list[dict], path: Path) -> None:
    """One PNG: −ELBO against epochs, mean and standard deviation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, colour in (("fixed", "#6b7280"), ("tuned", "#2563eb")):
        mine = [row for row in rows if row["arm"] == name]
        x, y = [r["epoch"] for r in mine], [r["negative_elbo"] for r in mine]
        batch, optimiser, rate, schedule = (mine[0][n] for n in ("batch", "optimiser", "learning_rate", "schedule"))
        said = f"batch {batch}, {optimiser}, {rate:.2g}, {schedule}"
        axes.plot(x, y, color=colour, label=f"{name}: {said}")
        spread = [r["negative_elbo_sd"] for r in mine]
        axes.fill_between(x, [a - b for a, b in zip(y, spread, strict=True)], [a + b for a, b in zip(y, spread, strict=True)],
                          color=colour, alpha=0.2)
    axes.set(xlabel="epochs", ylabel="−ELBO of test digits, nats")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    write_figure(figure, path)

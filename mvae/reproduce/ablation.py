"""``python -m mvae reproduce ablation``: what every technique of miniaturisation costs and buys, alone and with all the others.

Digits at 32 px, small enough that every row is trained with several seeds, by the code that trains, prunes, quantises, distils
and exports the models of the zoo. Times are measured when all training is done: each model in a process of its own, one thread,
and the rows of one seed after each other. A killed study goes on where it was.
"""

import json
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

from mvae.errors import TrainingError
from mvae.evaluate.results import write_study
from mvae.files import write_figure
from mvae.pareto import front
from mvae.reproduce.ablation_arms import Trial, run_trial, trials
from mvae.reproduce.arms import over_seeds, run_side_by_side

MEASURED = (
    "parameters", "macs_encode", "macs_decode", "macs_prompt", "bytes", "encode_ms_p50", "encode_ms_p95", "decode_ms_p50",
    "decode_ms_p95", "total_ms_p50", "total_ms_p95", "peak_memory_bytes", "psnr", "cga", "token_ceiling", "negative_elbo", "rate",
    "zero_share", "perplexity", "seconds",
)
"""Every one as mean and standard deviation over seeds."""
COLUMNS = (
    "arm", "level", "seeds", "real_ceiling", *(f"{name}{part}" for name in MEASURED for part in ("", "_sd")), "vae_steps",
    "word_steps", "cpu", "command",
)


def run_all(
    data: Path, out: Path, *, seeds: int, vae_steps: int, word_steps: int, repeat: int, workers: int,
    results: Path, plot: Path,
) -> list[dict]:
    """Every row: trained, measured, timed; then the table and the plot. Raises :class:`TrainingError` for a trial that failed."""
    chosen, arguments = trials(seeds, vae_steps, word_steps), [str(data), str(out), str(seeds), str(vae_steps), str(word_steps)]
    first = [trial for trial in chosen if trial.about == "baseline"]
    for wave in (first, chosen):  # the baselines teach
        run_side_by_side(wave, out, "mvae.reproduce.ablation_arms", arguments, workers)
    measured = [run_trial(trial, data, out) for trial in chosen]
    order = sorted(zip(chosen, measured, strict=True), key=lambda pair: pair[0].seed)
    timed = {trial.name: times(trial, found["level"], out, repeat) for trial, found in tqdm(order, desc="timing", unit="model")}
    command = (
        f"python -m mvae reproduce ablation --seeds {seeds} --vae-steps {vae_steps} --word-steps {word_steps} --repeat {repeat} "
        f"--workers {workers}"
    )
    whole = [found | timed[trial.name] for trial, found in zip(chosen, measured, strict=True)]
    rows = [
        summary([row for row in whole if row["arm"] == name])
        | {"vae_steps": vae_steps, "word_steps": word_steps, "command": command}
        for name in dict.fromkeys(row["arm"] for row in whole)
    ]
    write_study(results, "ablation", COLUMNS, rows)
    draw(rows, plot)
    return rows


def times(trial: Trial, level: str, out: Path, repeat: int) -> dict:
    """Latencies in milliseconds, peak memory in bytes and the processor's name, measured in a process of its own."""
    name = f"{trial.name}-{level}"
    line = [sys.executable, "-m", "mvae", "bench", "--models", name, "--zoo", str(out / trial.name / "zoo"), "--threads", "1",
            "--repeat", str(repeat), "--json"]
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    if found.returncode:
        raise TrainingError(f"bench of {name} ended with {found.returncode}: {found.stderr[-500:]}")
    report = json.loads(found.stdout)
    stages = {n: v for n, v in report["models"][0].items() if isinstance(v, dict)}
    return {
        **{f"{stage}_{part}": value[part] for stage, value in stages.items() for part in ("p50", "p95")},
        "peak_memory_bytes": report["peak_memory_bytes"], "cpu": report["machine"]["cpu"],
    }


def summary(rows: list[dict]) -> dict:
    """Mean and standard deviation (of a sample; 0 for one seed) of every measure over the seeds of one arm."""
    found = {name: rows[0][name] for name in ("arm", "level", "real_ceiling", "cpu")} | {"seeds": len(rows)}
    for name in MEASURED:
        found |= over_seeds(name, [float(row[name]) for row in rows])
    return found


def pareto(rows: list[dict], cost: str, gain: str) -> list[dict]:
    """Rows that no other beats in both: less of ``cost`` and more of ``gain``; in order of cost."""
    return front(rows, lambda row: row[cost], lambda row: row[gain])


def draw(rows: list[dict], path: Path) -> None:
    """One PNG: CGA against bytes and against prompt latency, error bars of one standard deviation, the Pareto front a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    costs = (("bytes", 1e3, "kilobytes of all graphs"), ("total_ms_p50", 1, "prompt → PNG, ms (median, one thread)"))
    for axes, (cost, unit, title) in zip(figure.subplots(1, 2), costs, strict=True):
        for row in rows:
            axes.errorbar(row[cost] / unit, row["cga"], yerr=row["cga_sd"], fmt="o", markersize=4, linewidth=0.8, color="#2563eb")
            axes.annotate(row["arm"], (row[cost] / unit, row["cga"]), xytext=(4, 3), textcoords="offset points", fontsize=7)
        best = pareto(rows, cost, "cga")
        axes.plot([row[cost] / unit for row in best], [row["cga"] for row in best], color="#dc2626", linewidth=1, zorder=0)
        axes.axhline(rows[0]["real_ceiling"], linestyle="--", linewidth=0.8, color="0.4")
        axes.set(xlabel=title, ylabel="CGA; dashed: real digits")
        axes.grid(alpha=0.3)
    write_figure(figure, path)

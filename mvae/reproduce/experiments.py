"""``python -m mvae reproduce experiments``: the paper's Experiments 1-4 (Tables 1-8, Figures 6-14) rerun: four prompts, a VAE of
the images of each, 1000 epochs with the fixed settings of Table 7 and with those of Table 8 and a rate that is held.

The paper names neither its prompts nor its images; ours are words of the drawings' labels and tags. A third run shows what its
tables show, by the mistake that is known to cause it: a KL that vanishes (:class:`AveragedVae`).

Every term is in nats per image; logged is the mean over an epoch's training batches. Runs are stored one by one, so that a killed
study goes on. About a minute a run on one thread.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor
from tqdm import tqdm

from mvae.data.dataset import Pictures, load_pictures
from mvae.engine.caption_index import words_of
from mvae.errors import DataError, OptionError
from mvae.evaluate.experiment_document import write_document
from mvae.evaluate.results import write_study
from mvae.files import replacing
from mvae.machine import cpu_name
from mvae.models.system import System, SystemConfig
from mvae.models.vae import Vae
from mvae.reproduce.arms import over_seeds, result_of
from mvae.reproduce.experiment_figures import draw_all
from mvae.reproduce.experiment_network import halved
from mvae.reproduce.experiment_systems import AveragedVae, RateControlledVae
from mvae.training.controllers import Control
from mvae.training.sheets import psnr_on_white
from mvae.training.system_loop import Settings, fit, held_out
from mvae.training.vae_stage import ACTIVE_VARIANCE

PROMPTS = ("bird", "fruit", "clock", "building")
HELD_BACK = 10
"""One drawing in so many is not trained on."""
CONFIG = SystemConfig(
    side=32, channels=4, latent=16, backbone="conv", width=128, likelihood="gaussian", variance=1 / (2 * math.pi)
)
"""With this variance the Gaussian's constant is 0 and its logarithm is −π times the squared error: what is printed needs no
constant left out."""
CONTROL = Control("beta", "kl_nats", target=48.0, start=1.0, gain=0.02)
"""3 nats a latent unit."""
SETTINGS = {
    "fixed": Settings(batch=100, optimiser="rmsprop", learning_rate=1e-3),
    "dynamic": Settings(batch=32, optimiser="rmsprop", learning_rate=1e-3),
    "averaged": Settings(batch=32, optimiser="rmsprop", learning_rate=1e-3),
}
LOGGED = ("loss", "kl", "likelihood", "active_units")
MEASURED = ("beta", "objective")
ENDS = ("held_out", "psnr", "seconds", "processor_seconds")
COLUMNS = (
    "arm", "prompt", "epoch", *(f"{name}{part}" for name in LOGGED for part in ("", "_sd")), *MEASURED, *ENDS, "images",
    "images_held_back", "latent", "batch", "optimiser", "learning_rate", "epochs", "target", "seeds", "cpu", "command",
)


@dataclass(frozen=True)
class Run:
    """One network of the study; a stored result belongs to all that is said here."""

    prompt: str
    arm: str
    settings: Settings
    images: int
    config: SystemConfig = CONFIG
    control: Control | None = None

    @property
    def name(self) -> str:
        return f"{self.prompt}-{self.arm}-{self.settings.seed}"

    def system(self) -> System:
        """With fresh weights, of the run's seed."""
        if self.control is not None:
            made: System = RateControlledVae(self.config, self.control)
        else:
            made = (AveragedVae if self.arm == "averaged" else Vae)(self.config)
        return halved(made, self.settings.seed)


def matching(pictures: Pictures, prompt: str) -> list[int]:
    """The drawings of a prompt: those with the word in their label or tags, in all styles, people and gestures left out (their
    tags are the least literal). Raises :class:`DataError` where there are fewer than ``HELD_BACK``."""
    found = [
        number for number, about in enumerate(pictures.meta)
        if about.get("group") != "people-body" and prompt in words_of(" ".join([about["label"], *about.get("tags", ())]))
    ]
    if len(found) < HELD_BACK:
        raise DataError(f"prompt {prompt!r:.40}: {len(found)} drawings with this word; expected {HELD_BACK} or more")
    return found


def divided(chosen: Sequence[int]) -> tuple[list[int], list[int]]:
    """Drawings to train on, and those held back: the same for every run."""
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0)).tolist()
    back = set(order[: len(chosen) // HELD_BACK])
    return [c for n, c in enumerate(chosen) if n not in back], [c for n, c in enumerate(chosen) if n in back]


def train(run: Run, images: Tensor, unseen: Tensor, folder: Path) -> dict:
    """Train one network, store its weights in ``folder``; its logs, lists with an entry an epoch, and measures at the end."""
    system, logs = run.system(), {name: [] for name in ("active_units", "beta")}

    def after(epoch: int, system: System) -> None:
        with torch.no_grad():
            logs["active_units"].append(int((system.features(images).var(0) > ACTIVE_VARIANCE).sum()))
        counts = system.weights()
        logs["beta"].append(counts["rate"] / counts["distortion"])

    processor = time.process_time()
    found = fit(system, images, run.settings, binarised=False, after_epoch=after)
    processor = time.process_time() - processor
    with torch.no_grad():
        again = system.decode(system.features(images))
    logs |= {
        "kl": [terms["rate"] for terms in found.terms], "likelihood": [-terms["distortion"] for terms in found.terms],
        "loss": [terms["rate"] + terms["distortion"] for terms in found.terms], "objective": found.loss,
    }
    with replacing(folder / "model.safetensors") as path:
        save_model(system, str(path))
    return {name: [float(f"{value:.6g}") for value in values] for name, values in logs.items()} | {
        "held_out": held_out(system, unseen)["negative_elbo"], "psnr": psnr_on_white(again, images).mean().item(),
        "seconds": sum(found.seconds), "processor_seconds": processor,
    }


def trained(run: Run, out: Path) -> System:
    """The network of a stored run, ready to be looked at. Raises :class:`DataError` where its weights cannot be read."""
    system, path = run.system(), out / run.name / "model.safetensors"
    try:
        load_model(system, str(path))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read ({error!s:.100}); delete the folder, and the run is trained again") from None
    return system.eval()


def run_all(
    data: Path, out: Path, *, prompts: Sequence[str], epochs: int, seeds: int, results: Path, figures: Path, document: Path
) -> list[dict]:
    """Every prompt with all settings and seeds; then table, figures and document. Raises :class:`OptionError` without a seed or
    prompt, :class:`DataError` as :func:`matching`."""
    if seeds < 1 or not prompts:
        raise OptionError(f"{seeds} seeds, prompts {list(prompts)}; expected at least one of each")
    torch.set_num_threads(1)
    pictures = load_pictures(data, size=CONFIG.side, progress=False)
    chosen = {prompt: divided(matching(pictures, prompt)) for prompt in prompts}
    runs = [
        Run(prompt, arm, replace(settings, epochs=epochs, seed=seed), len(chosen[prompt][0]),
            control=CONTROL if arm == "dynamic" else None)
        for seed in range(seeds) for prompt in prompts for arm, settings in SETTINGS.items()
    ]
    logs: dict[tuple[str, str], list[dict]] = {}
    for run in tqdm(runs, desc="experiments", unit="run"):
        images, unseen = (pictures.batch(part).contiguous() for part in chosen[run.prompt])

        def make(run: Run = run, images: Tensor = images, unseen: Tensor = unseen) -> dict:
            return train(run, images, unseen, out / run.name)

        logs.setdefault((run.prompt, run.arm), []).append(result_of(run, out, make))
    command = f"python -m mvae reproduce experiments --epochs {epochs} --seeds {seeds}"
    command += "" if tuple(prompts) == PROMPTS else f" --prompts {' '.join(prompts)}"
    rows = []
    for run in (run for run in runs if run.settings.seed == 0):
        shared = {"images_held_back": len(chosen[run.prompt][1]), "seeds": seeds, "cpu": cpu_name(), "command": command}
        rows += [{**row, **shared} for row in rows_of(run, logs[run.prompt, run.arm])]
    write_document(write_study(results, "experiments", COLUMNS, rows, digits=6), document, figures)
    systems = {(run.prompt, run.arm): trained(run, out) for run in runs if run.settings.seed == 0}
    draw_all(logs, systems, pictures, chosen, figures)
    return rows


def kept(epochs: int) -> list[int]:
    """The epochs of the table: the first, and twenty more at most."""
    every = max(1, epochs // 20)
    return sorted({1, *range(every, epochs + 1, every)})


def rows_of(run: Run, logs: Sequence[dict]) -> list[dict]:
    """One row an epoch that is kept, means over the seeds' logs."""
    settings = run.settings
    said = {
        "arm": run.arm, "prompt": run.prompt, "images": run.images, "latent": run.config.latent, "batch": settings.batch,
        "optimiser": settings.optimiser, "learning_rate": settings.learning_rate, "epochs": settings.epochs,
        "target": run.control.target if run.control else "",
    }
    ends = {name: over_seeds(name, [log[name] for log in logs])[name] for name in ENDS}
    rows = []
    for epoch in kept(settings.epochs):
        row = {**said, "epoch": epoch, **ends}
        for name in LOGGED:
            row |= over_seeds(name, [log[name][epoch - 1] for log in logs])
        rows.append(row | {name: over_seeds(name, [log[name][epoch - 1] for log in logs])[name] for name in MEASURED})
    return rows

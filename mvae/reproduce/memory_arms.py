"""The arms of the memory study: seq2seqs of equal bytes, memory counted, trained for equal time on the tokens of one VAE."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.errors import DataError, TrainingError
from mvae.files import write_atomic
from mvae.models.seq2seq import build_seq2seq
from mvae.training.metrics import read_metrics
from mvae.training.recipe import Recipe, load_recipe

PROBE_STEPS = 50
"""Steps that an arm's speed is measured on."""
WIDTH = 768
"""Feed-forward width of the arms with a memory; the plain one gets as many weights more as the memory takes bytes."""


VAE_FILES = ("vae_config.json", "vae.safetensors", "tokenizer.json")
"""What a seq2seq's run takes over from the run of its VAE."""
VIEWS = Path("seq2seq", "views.safetensors")
"""Taken over where it is there: it takes minutes to make, and is made anew where it does not belong to the VAE and the data."""


@dataclass(frozen=True)
class Arm:
    """One seq2seq of the study."""

    name: str
    about: str
    memory: int
    """Stickers that the encoder reads."""
    feed_forward: int = WIDTH


ARMS = (
    Arm("plain", "reads the text alone", 0),
    Arm("memory-1", "reads the text and one sticker", 1),
    Arm("memory-2", "reads the text and two stickers", 2),
)


def stored_weights(config: Seq2SeqConfig) -> int:
    """Trained weights that an exported pair of graphs holds: the decoder's table keeps image tokens and marks alone, and a table
    that both sides share is stored in each."""
    model = build_seq2seq(config)
    parameters, marks = sum(p.numel() for p in model.parameters() if p.requires_grad), config.codebook + 2
    if config.memory:
        return parameters + marks * config.d_model
    return parameters - (config.rows - min(config.rows, marks)) * config.d_model


def equal_bytes(vae: VaeConfig, memory_bytes: int) -> tuple[Arm, ...]:
    """The arms, the plain one's feed-forward widened until all take equally many bytes, at one byte a weight."""
    plain, *others = ARMS
    small = recipe_of(plain, vae, 1).seq2seq.config
    missing = stored_weights(recipe_of(others[0], vae, 1).seq2seq.config) + memory_bytes - stored_weights(small)
    layers = small.encoder_layers + small.decoder_layers
    wider = WIDTH + round(missing / (layers * (2 * small.d_model + 1)))
    return replace(plain, feed_forward=wider), *others


def recipe_of(arm: Arm, vae: VaeConfig, steps: int) -> Recipe:
    """The recipe ``base`` with this arm's seq2seq on a given VAE."""
    base = load_recipe("base")
    config = replace(
        base.seq2seq.config, codebook=vae.latent.codebook, positions=vae.latent.positions, feed_forward=arm.feed_forward,
        memory=arm.memory,
    )
    schedule = replace(base.seq2seq.schedule, steps=steps, warmup=min(100, steps // 4), sheet_minutes=20)
    return replace(
        base, name=f"memory study, {arm.name}", vae=replace(base.vae, config=vae),
        seq2seq=replace(base.seq2seq, config=config, schedule=schedule),
    )


def vae_of(run: Path) -> VaeConfig:
    """The configuration of a run's or an entry's VAE. Raises :class:`DataError` where it or what belongs to it is missing."""
    missing = [name for name in VAE_FILES if not (run / name).is_file()]
    if missing:
        raise DataError(f"{run}: lacks {missing}; expected a run folder or a zoo entry with a trained VAE")
    return VaeConfig.from_dict(json.loads((run / "vae_config.json").read_text()))


def take_over(run: Path, folder: Path) -> None:
    """Copy the VAE of ``run``, and its views where it has them, into ``folder``; what is there already stays."""
    (folder / VIEWS).parent.mkdir(parents=True, exist_ok=True)
    for name in (*VAE_FILES, VIEWS):
        if (run / name).is_file() and not (folder / name).is_file():
            shutil.copyfile(run / name, folder / name)


def train_arm(arm: Arm, run: Path, data: Path, out: Path, minutes: float, workers: int) -> Path:
    """Train one arm below ``out`` for about ``minutes`` of steps (views and probe not counted) and return its folder.

    Goes on where a killed run was. Raises :class:`TrainingError` where training fails.
    """
    folder, probe = out / arm.name, out / arm.name / "probe"
    for target in (folder, probe):
        take_over(run, target)
    plan = folder / "plan.json"
    if not plan.is_file():
        _launch(arm, data, probe, PROBE_STEPS, workers)
        speed = float(read_metrics(probe / "seq2seq" / "metrics.csv")[-1]["seconds_per_step"])
        (probe / VIEWS).replace(folder / VIEWS)
        write_atomic(plan, json.dumps({"steps": round(60 * minutes / speed), "seconds_per_step": speed}).encode())
    _launch(arm, data, folder, json.loads(plan.read_text())["steps"], workers)
    return folder


def _launch(arm: Arm, data: Path, folder: Path, steps: int, workers: int) -> None:
    if (folder / "model.safetensors").is_file():
        return
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers), "-m", __spec__.name]
    with open(folder / "log.txt", "w") as log:
        arguments = [arm.name, str(arm.feed_forward), str(data), str(folder), str(steps)]
        done = subprocess.run([*line, *arguments], stdout=log, stderr=log, check=False)
    if done.returncode:
        raise TrainingError(f"arm {arm.name} ended with {done.returncode}; see {folder / 'log.txt'}")


def _one(name: str, feed_forward: str, data: str, folder: str, steps: str) -> None:
    from mvae.training.cli import train

    arm, out = next(arm for arm in ARMS if arm.name == name), Path(folder)
    arm = replace(arm, feed_forward=int(feed_forward))
    train(recipe_of(arm, vae_of(out), int(steps)), out, data=Path(data), resume=True, stage="seq2seq")


if __name__ == "__main__":
    _one(*sys.argv[1:])

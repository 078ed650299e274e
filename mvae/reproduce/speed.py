"""``python -m mvae reproduce speed``: seconds of an epoch of our training loop beside pythae's trainer, for the systems that it
has, with the same network, images, batch and optimiser.

Each library runs in its own process and environment (``make pythae`` fills pythae's) on one thread; they take turns epoch by
epoch, one still while the other works, and the first epoch of both is not counted, nor is anything that pythae does between
epochs (:mod:`mvae.reproduce.speed_pythae`).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mvae.data.benchmarks import load_benchmark
from mvae.errors import InputError, OptionError, TrainingError
from mvae.evaluate.results import write_study
from mvae.machine import cpu_name

ARMS = ("vae", "beta_vae", "info_vae", "s_vae", "vae_gan", "vq_vae", "vq_vae_bf16")
"""The last is our VQ-VAE in mixed precision beside pythae's, which has none and stays float32."""
PYTHAE = Path(".venv-pythae/bin/python")
WARM_UP = 1
"""Epochs that are not counted."""
COLUMNS = (
    "arm", "ours_s", "pythae_s", "ratio", "ratio_low", "ratio_high", "parameters", "images", "batch", "epochs", "device",
    "torch", "pythae", "load_average", "cpu", "command",
)


@dataclass(frozen=True)
class Spec:
    """What both sides train."""

    arm: str
    images: str
    """A .npy file of binary images, uint8 [N, C, S, S]."""
    epochs: int
    batch: int = 100
    learning_rate: float = 1e-3
    """Of Adam."""
    latent: int = 16
    width: int = 400
    layers: int = 2
    hidden: int = 128
    """Channels of the VQ-VAE."""
    codes: int = 512
    """Of the VQ-VAE."""
    device: str = "cpu"
    seed: int = 0


class Side:
    """One library's process. Ends with the ``with`` block."""

    def __init__(self, name: str, line: Sequence[str | Path], spec: Spec, log: Path):
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        self.name, self.log = name, log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [*map(str, line), json.dumps(asdict(spec))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True, env=environment,
            )

    def answer(self) -> dict:
        """Its next line of JSON; lines that are none, the library's own words, are passed over. Raises
        :class:`TrainingError` where it has ended."""
        for line in self.process.stdout:
            found = parsed(line)
            if found is not None:
                return found
        raise TrainingError(f"{self.name} ended with {self.process.wait()}: {self.log.read_text()[-600:].strip()}")

    def epoch(self) -> float:
        """Have it train for one epoch: seconds."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.answer()["seconds"])


def parsed(line: str) -> dict | None:
    """The JSON object of a line, or None where it is something else."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


@contextmanager
def sides(spec: Spec, pythae: Path, folder: Path) -> Iterator[tuple[Side, Side]]:
    """Both libraries' processes, ours first. They are ended whatever happens."""
    script = Path(__file__).with_name("speed_pythae.py")
    lines = {"ours": [sys.executable, "-m", "mvae.reproduce.speed_ours"], "pythae": [pythae, "-P", script]}
    started: list[Side] = []
    try:
        for name, line in lines.items():
            started.append(Side(name, line, spec, folder / f"{spec.arm}-{name}.txt"))
        yield tuple(started)
    finally:
        for side in started:
            side.process.kill()
            side.process.wait()
            side.process.stdin.close()
            side.process.stdout.close()


def same_network(arm: str, ours: list[list[int]], theirs: list[list[int]]) -> int:
    """Number of parameters. Raises :class:`TrainingError` unless both have tensors of the same shapes, in whatever order."""
    if sorted(ours) != sorted(theirs):
        raise TrainingError(f"{arm}: our parameters have the shapes {sorted(ours)}, pythae's {sorted(theirs)}; expected the same")
    return sum(int(np.prod(shape)) for shape in ours)


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Medians of the epochs' seconds, their ratio, and the least and largest ratio of two epochs that followed each other."""
    medians, turns = (statistics.median(ours), statistics.median(theirs)), [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "ours_s": medians[0], "pythae_s": medians[1], "ratio": medians[0] / medians[1],
        "ratio_low": min(turns), "ratio_high": max(turns),
    }


def measure(spec: Spec, pythae: Path, folder: Path) -> dict:
    """One arm: a row without what all arms share."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with sides(spec, pythae, folder) as (ours, theirs):
        said = ours.answer(), theirs.answer()
        parameters, seconds = same_network(spec.arm, said[0]["shapes"], said[1]["shapes"]), []
        for turn in range(spec.epochs):
            order = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
            found = {side.name: side.epoch() for side in order}
            seconds.append((found["ours"], found["pythae"]))
    counted = seconds[WARM_UP:]
    versions = sorted({about["torch"] for about in said})
    return {
        "arm": spec.arm, **compared(*zip(*counted, strict=True)), "parameters": parameters, "batch": spec.batch,
        "epochs": len(counted), "device": spec.device, "torch": " and ".join(versions), "pythae": said[1]["pythae"],
        "load_average": load,
    }


def binary_images(data: Path, count: int) -> np.ndarray:
    """The first training images, uint8 [N, C, S, S], black or white: drawn once, with each pixel's grey as probability."""
    grey = load_benchmark(data, "train").images[:count].transpose(0, 3, 1, 2)
    return (np.random.default_rng(0).random(grey.shape) < grey / 255).astype(np.uint8)


def run_all(data: Path, *, images: int, epochs: int, only: Sequence[str] | None, device: str, pythae: Path, results: Path,
            sizes: dict[str, int] | None = None) -> list[dict]:
    """Every arm, or those of ``only``, then the table. ``sizes``: fields of :class:`Spec` that differ.

    Raises :class:`OptionError` for an unknown arm, too few epochs or a device that is not there, :class:`InputError` where
    pythae's environment is missing, :class:`TrainingError` where a side fails or the networks differ.
    """
    unknown = sorted(set(only or ()) - set(ARMS))
    if unknown or epochs <= WARM_UP or images < Spec.batch or (device != "cpu" and not torch.cuda.is_available()):
        raise OptionError(
            f"arms {unknown}, {epochs} epochs, {images} images, device {device!r:.20}; expected some of {ARMS}, more than "
            f"{WARM_UP} epoch, at least {Spec.batch} images, and a device that is there"
        )
    if not pythae.is_file():
        raise InputError(f"{pythae}: no Python there; `make pythae` fills the environment from requirements-pythae.txt")
    rows, command = [], f"python -m mvae reproduce speed --images {images} --epochs {epochs}"
    command += (f" --only {' '.join(only)}" if only else "") + (f" --device {device}" if device != "cpu" else "")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "images.npy"
        np.save(path, binary_images(data, images))
        for arm in tqdm([arm for arm in ARMS if not only or arm in only], desc="speed", unit="arm"):
            spec = Spec(arm, str(path), epochs, device=device, **(sizes or {}))
            row = measure(spec, pythae, Path(scratch))
            rows.append(row | {"images": images, "cpu": cpu_name(), "command": command})
    write_study(results, "speed", COLUMNS, rows)
    return rows

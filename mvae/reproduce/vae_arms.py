"""What the studies of the VAE share: arms trained side by side by a process each, stored results, and one way to measure."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mvae.data.dataset import Pictures
from mvae.errors import OptionError, TrainingError
from mvae.evaluate.ceilings import measure
from mvae.evaluate.drawings import list_drawings
from mvae.evaluate.judge import Judge
from mvae.evaluate.through_tokens import sample_drawings, torch_roundtrip
from mvae.files import write_atomic
from mvae.models.mvae import MVAE
from mvae.models.perceptual import PerceptualDistance
from mvae.training.recipe import VaeStage

SEEN_DRAWINGS = 1000
"""Drawings of trained concepts that are judged beside all of the never-seen ones."""


@dataclass(frozen=True)
class Arm:
    """One VAE of a study."""

    name: str
    about: str
    """What differs from the reference, in words."""
    stage: VaeStage
    start: str = ""
    """Checksum of the weights that it begins with, if it does not begin with fresh ones: a result belongs to them."""


def choose(arms: Sequence[Arm], only: list[str] | None, workers: int) -> list[Arm]:
    """The arms named, or all. Raises :class:`OptionError` for an unknown name or no worker."""
    names = [arm.name for arm in arms]
    unknown = sorted(set(only or []) - set(names))
    if unknown or workers < 1:
        raise OptionError(f"arms {unknown}, {workers} workers; expected some of {names} and at least 1 worker")
    return [arm for arm in arms if not only or arm.name in only]


def run_side_by_side(arms: Sequence[Arm], out: Path, module: str, arguments: Sequence[str], workers: int) -> None:
    """``python -m MODULE ARM ARGUMENTS`` for every arm without a result, ``workers`` at once; each logs into ``out/ARM/log.txt``.

    Raises :class:`TrainingError` where one fails; the others are then ended.
    """
    waiting, running = [arm for arm in arms if stored_result(arm, out) is None], {}
    with tqdm(total=len(arms), initial=len(arms) - len(waiting), desc="arms", unit="arm") as bar:
        while waiting or running:
            while waiting and len(running) < workers:
                arm = waiting.pop(0)
                (out / arm.name).mkdir(parents=True, exist_ok=True)
                log = open(out / arm.name / "log.txt", "w")  # noqa: SIM115 (closed with its process)
                line = [sys.executable, "-m", module, arm.name, *arguments]
                running[arm.name] = (subprocess.Popen(line, stdout=log, stderr=log), log)
            time.sleep(0.5)
            for name, (process, log) in list(running.items()):
                if process.poll() is not None:
                    log.close()
                    del running[name]
                    bar.update()
                    if process.returncode:
                        for other, _ in running.values():
                            other.terminate()
                        raise TrainingError(f"arm {name} ended with {process.returncode}; see {out / name / 'log.txt'}")


def stored_result(arm: Arm, out: Path) -> dict | None:
    """What an earlier process measured, if it was of the same settings."""
    path = out / arm.name / "result.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found if found.pop("settings", None) == _settings(arm) else None


def result_of(arm: Arm, out: Path, make: Callable[[], dict]) -> dict:
    """The stored result, or what ``make`` returns, which is stored."""
    found = stored_result(arm, out)
    if found is None:
        found = make()
        write_atomic(out / arm.name / "result.json", json.dumps({**found, "settings": _settings(arm)}, indent=1).encode())
    return found


def _settings(arm: Arm) -> dict:
    """As they come back from a JSON file."""
    return json.loads(json.dumps(asdict(arm)))


def reconstruction(vae: MVAE, data: Path, unseen: Pictures) -> dict[str, float]:
    """The judge's scores, PSNR (dB), SSIM and perceptual distance of never-seen drawings through the tokens, and the scores of
    trained ones."""
    judge, listed, size = Judge(), list_drawings(data, "train"), vae.config.image_size
    drawings = {name: sample_drawings(listed, name, count) for name, count in (("unseen", len(listed)), ("train", SEEN_DRAWINGS))}
    never, seen = (measure(judge, drawings[name], torch_roundtrip(vae), size, name) for name in drawings)
    return {
        **{name: never[name] for name in ("token_ceiling", "token_ceiling_5", "real_ceiling", "psnr", "ssim", "psnr_64")},
        "of_real_ceiling": never["token_ceiling"] / never["real_ceiling"],
        "token_ceiling_seen": seen["token_ceiling"],
        "real_ceiling_seen": seen["real_ceiling"],
        "psnr_seen": seen["psnr"],
        "perceptual": perceptual_distance(vae, unseen),
    }


@torch.no_grad()
def perceptual_distance(vae: MVAE, pictures: Pictures) -> float:
    """Mean distance in Lite1's features between pictures and what comes back through the tokens."""
    distance, found = PerceptualDistance(variant=1), []
    for start in range(0, len(pictures), 32):
        image: Tensor = pictures.batch(range(start, min(start + 32, len(pictures))))
        found.append(distance(image, vae.decode_tokens(vae.encode_tokens(image))))
    return torch.cat(found).mean().item()

"""Trains the systems of Table 9: the same backbone, data, number of epochs, batch and optimiser for all nine; a process each.

    python -m mvae.reproduce.table9_training mnist vae 0 runs/table9 --data data --epochs 16
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import Distribution

from mvae.data.benchmarks import CLASSES, load_benchmark
from mvae.errors import MvaeError
from mvae.evaluate.classifier import to_float
from mvae.files import write_atomic
from mvae.models.mvae_system import MvaeSystem
from mvae.models.system import System, SystemConfig
from mvae.models.systems import build_system
from mvae.models.vade import Vade
from mvae.models.vq_vae import VqVae
from mvae.training.checkpoint import float_state, load_weights, save_tensors
from mvae.training.label_words import DRAWING, LabelWords, train_words
from mvae.training.system_loop import Fitted, Settings, fit
from mvae.training.vade_start import begin_mixture, pretrain

WEIGHTS, LOG, WORDS, SMALL = "weights.safetensors", "log.json", "words.safetensors", "small.safetensors"
MINIATURISED = "mvae_small"
"""The mVAE distilled into half its width; not a system of its own."""
PRETRAINING = 0.3
"""Share of VaDE's epochs that train the autoencoder alone."""
WIDTH = 192
"""Units of a hidden layer, of two each way; the miniaturised mVAE has half of them."""


def system_config(data: str) -> SystemConfig:
    """What all systems share on one data set: grey images have a Gaussian likelihood with a standard deviation of .1, colour
    images the discretised logistic one, and half the units, so that an entry stays below 1 MB."""
    if data == "cifar10":
        return SystemConfig(side=32, channels=3, latent=32, width=WIDTH // 2, likelihood="logistic")
    return SystemConfig(latent=16, width=WIDTH, likelihood="gaussian", variance=0.01)


def settings(name: str, epochs: int, seed: int) -> Settings:
    """Alike for all, but that the VAE-GAN's players take half as long steps."""
    rate = 1e-3 if name == "vae_gan" else 2e-3
    return Settings(epochs=epochs, batch=200, optimiser="adam", learning_rate=rate, schedule="cosine", seed=seed)


def folder_of(out: Path, data: str, name: str, seed: int) -> Path:
    """Where a run is kept; the miniaturised mVAE is trained with the whole one."""
    name = "mvae" if name == MINIATURISED else name
    return out / data / f"{name}-s{seed}"


def is_trained(folder: Path, data: str, name: str, seed: int, epochs: int) -> bool:
    """Whether ``folder`` holds such a run, of these very settings, words included."""
    log = _log(folder)
    fits = _facts(data, name, seed, epochs).items() <= log.items()
    return fits and (name != "mvae" or log.get("words", {}).get("epochs") == words_epochs(data, epochs))


def words_epochs(data: str, epochs: int) -> int:
    """Of the seq2seq that draws from words, for so many of the systems."""
    return round(DRAWING[data].epochs * epochs)


def _log(folder: Path) -> dict:
    path = folder / LOG
    return json.loads(path.read_text()) if path.is_file() else {}


def _facts(data: str, name: str, seed: int, epochs: int) -> dict:
    """As they come back from a JSON file."""
    how, config = asdict(settings(name, epochs, seed)), asdict(system_config(data))
    return json.loads(json.dumps({"data": data, "system": name, "seed": seed, "settings": how, "config": config}))


def train(data: str, name: str, seed: int, out: Path, *, source: Path, epochs: int, device: str = "cpu", limit: int = 0) -> Path:
    """Train one system unless it is there already, after as many epochs; returns its folder. ``limit``: only so many images, 0:
    all.

    Raises DataError where the benchmark ``source / data`` has not been built.
    """
    folder = folder_of(out, data, name, seed)
    if is_trained(folder, data, name, seed, epochs):
        return folder
    for stale in folder.glob("measured-*.json"):  # of another run
        stale.unlink()
    found, facts, log = load_benchmark(source / data, "train"), _facts(data, name, seed, epochs), _log(folder)
    images, labels = found.images[: limit or None], torch.from_numpy(found.labels[: limit or None])
    x = to_float(images).to(device)
    if not facts.items() <= log.items():
        log = facts | {"images": len(x), "device": device} | _train_system(folder, data, name, x, settings(name, epochs, seed))
        write_atomic(folder / LOG, json.dumps(log, indent=1).encode())
    if name == "mvae":
        log["words"] = _train_words(folder, data, seed, out, x, labels.to(device), words_epochs(data, epochs))
        write_atomic(folder / LOG, json.dumps(log, indent=1).encode())
    return folder


def _train_system(folder: Path, data: str, name: str, x: Tensor, how: Settings) -> dict:
    """What its log says."""
    begun, steps = time.monotonic(), how.epochs * max(1, len(x) // how.batch)
    torch.manual_seed(how.seed)
    system = build_system(name, system_config(data), steps).to(x.device)
    logged = _fit(system, x, how)
    save_tensors(folder / WEIGHTS, float_state(system))
    if isinstance(system, MvaeSystem):
        save_tensors(folder / SMALL, float_state(_miniaturised(system, x, how, steps)))
    return {"loss": logged.loss, "terms": logged.terms, "epoch_seconds": logged.seconds, "seconds": time.monotonic() - begun}


def _train_words(folder: Path, data: str, seed: int, out: Path, x: Tensor, labels: Tensor, epochs: int) -> dict:
    """What the log says of the words, which learn the tokens of the system that is stored."""
    begun, system = time.monotonic(), stored(data, "mvae", seed, out).to(x.device)
    torch.manual_seed(seed)
    words = LabelWords(system.codebook, system.positions, CLASSES[data]).to(x.device)
    found = train_words(words, _tokens(system, x), labels, epochs=epochs, seed=seed)
    save_tensors(folder / WORDS, float_state(words))
    return found | {"seconds": time.monotonic() - begun}


def _fit(system: System | VqVae, x: Tensor, how: Settings) -> Fitted:
    if not isinstance(system, Vade):
        return fit(system, x, how, binarised=False)
    first = max(1, round(PRETRAINING * how.epochs))
    before = pretrain(system, x, replace(how, epochs=first), binarised=False)
    begin_mixture(system, x, fits=3, seed=how.seed)
    after = fit(system, x, replace(how, epochs=how.epochs - first), binarised=False)
    return Fitted(before.seconds + after.seconds, before.loss + after.loss, before.terms + after.terms)


def _miniaturised(teacher: MvaeSystem, x: Tensor, how: Settings, steps: int) -> MvaeSystem:
    """Half as wide, and distilled."""
    student = MvaeSystem(_half(teacher.config), steps=steps, teacher=teacher).to(x.device)
    fit(student, x, how, binarised=False)
    teacher.requires_grad_(True)
    return student


@torch.no_grad()
def _tokens(system: MvaeSystem, x: Tensor) -> Tensor:
    return torch.cat([system.encode(part) for part in x.split(1000)])


def _half(config: SystemConfig) -> SystemConfig:
    return replace(config, width=config.width // 2)


def stored(data: str, name: str, seed: int, out: Path, weights: str = WEIGHTS) -> System | VqVae:
    """A trained system. Raises DataError where it has not been trained."""
    config = system_config(data)
    system = build_system(name, _half(config) if weights == SMALL else config)
    load_weights(system, folder_of(out, data, name, seed) / weights)
    return system.eval()


def stored_words(data: str, seed: int, out: Path, system: MvaeSystem) -> LabelWords:
    """The seq2seq of a trained mVAE."""
    words = LabelWords(system.codebook, system.positions, CLASSES[data])
    load_weights(words, folder_of(out, data, "mvae", seed) / WORDS)
    return words.eval()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.reproduce.table9_training", description=__doc__)
    parser.add_argument("benchmark", choices=list(CLASSES))
    parser.add_argument("system")
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the built benchmarks (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--limit", type=int, default=0, help="train on so many images alone (default: all)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.device != "cpu":  # to check a distribution's parameters is to wait for the accelerator, at every step
        Distribution.set_default_validate_args(False)
    try:
        print(train(args.benchmark, args.system, args.seed, args.out, source=args.data, epochs=args.epochs, device=args.device,
                    limit=args.limit))
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

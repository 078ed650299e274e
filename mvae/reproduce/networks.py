"""``python -m mvae reproduce networks``: what layers, neurons, latent dimensions (paper, 3.3) and a sparse code (3.7) are
worth in a VAE of MNIST, one of them changed at a time.

Every arm takes the same epochs over the same images, binarised anew in each; three seeds. Times are those of one decoded image
on one thread, when all training is done.
"""

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mvae.data.benchmarks import load_benchmark
from mvae.evaluate.classifier import to_float
from mvae.evaluate.results import write_study
from mvae.machine import cpu_name
from mvae.miniaturize.sparse import SparseVAE
from mvae.models.backbones import multiply_adds
from mvae.models.system import SystemConfig
from mvae.reproduce.arms import over_seeds
from mvae.training.system_loop import Settings, fit, held_out
from mvae.training.vae_stage import ACTIVE_VARIANCE

IMAGES, TESTED, THRESHOLD = 10_000, 2000, 0.1
"""Training and test images; below ``THRESHOLD`` a coordinate of the code becomes zero."""
MEASURED = ("negative_elbo", "distortion", "rate", "active_units", "zeros", "thresholded_distortion", "epoch_seconds")
COLUMNS = (
    "arm", "varied", "value", "parameters", "macs", "decode_ms", *(f"{name}{part}" for name in MEASURED for part in ("", "_sd")),
    "seeds", "epochs", "cpu", "command",
)
PLAIN = SystemConfig(latent=20, width=400, layers=2)


@dataclass(frozen=True)
class Network:
    """One arm."""

    varied: str
    value: float
    config: SystemConfig = PLAIN
    strength: float = 0.0
    laplace: bool = False

    @property
    def name(self) -> str:
        return f"{self.varied} {self.value:g}"


def networks() -> list[Network]:
    """One thing changed at a time; the plain network is layers 2, neurons 400, latent 20, penalty 0."""
    return [
        *(Network("layers", n, replace(PLAIN, layers=n)) for n in (1, 2, 3)),
        *(Network("neurons", n, replace(PLAIN, width=n)) for n in (50, 100, 200, 800)),
        *(Network("latent", n, replace(PLAIN, latent=n)) for n in (2, 5, 10, 40)),
        *(Network("penalty", strength, strength=strength) for strength in (0.1, 0.3, 1.0, 3.0)),
        Network("laplace prior", 1, laplace=True),
    ]


def images(data: Path) -> tuple[Tensor, Tensor]:
    """Training images, and test images binarised once at one half. Raises DataError where the benchmark is not there."""
    train, test = load_benchmark(data, "train"), load_benchmark(data, "test")
    return to_float(train.images[:IMAGES]), (to_float(test.images[:TESTED]) > 0.5).float()


def measure(arm: Network, seed: int, epochs: int, train: Tensor, test: Tensor) -> tuple[SparseVAE, dict[str, float]]:
    """Train one network with one seed."""
    torch.manual_seed(seed)
    system = SparseVAE(arm.config, arm.strength, arm.laplace)
    settings = Settings(epochs=epochs, batch=100, optimiser="adam", learning_rate=1e-3, schedule="cosine", seed=seed)
    logged = fit(system, train, settings)
    with torch.no_grad():
        code = system.code(test, THRESHOLD)
        fit_of_code = -system.likelihood.log_prob(test, system.generator(code)).mean().item()
        active = int((system.features(test).var(0) > ACTIVE_VARIANCE).sum())
    found = held_out(system, test)
    return system, {
        **{name: found[name] for name in ("negative_elbo", "distortion", "rate")}, "active_units": active,
        "zeros": float((code == 0).float().mean()), "thresholded_distortion": fit_of_code,
        "epoch_seconds": statistics.median(logged.seconds),
    }


def run_all(data: Path, *, seeds: int, epochs: int, results: Path) -> list[dict]:
    """Every arm with every seed, then the table."""
    torch.set_num_threads(1)
    (train, test), rows, systems = images(data), [], []
    command = f"python -m mvae reproduce networks --seeds {seeds} --epochs {epochs}"
    for arm in tqdm(networks(), desc="networks", unit="arm"):
        runs = [measure(arm, seed, epochs, train, test) for seed in range(seeds)]
        systems.append(runs[0][0])
        row = {"arm": arm.name, "varied": arm.varied, "value": arm.value, "seeds": seeds, "epochs": epochs, "command": command}
        for name in MEASURED:
            row |= over_seeds(name, [found[name] for _, found in runs])
        rows.append(row)
    for row, system in zip(rows, systems, strict=True):
        z = torch.zeros(1, system.config.latent)
        row |= {
            "parameters": sum(p.numel() for p in system.parameters()), "cpu": cpu_name(),
            "macs": multiply_adds(system.generator, z) + multiply_adds(system.body, test[:1]), "decode_ms": _median_ms(system, z),
        }
    write_study(results, "networks", COLUMNS, rows)
    return rows


@torch.no_grad()
def _median_ms(system: SparseVAE, z: Tensor, rounds: int = 200) -> float:
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        system.decode(z)
        found.append(1000 * (time.perf_counter() - begun))
    return statistics.median(found)

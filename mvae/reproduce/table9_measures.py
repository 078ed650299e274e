"""What Table 9 says of one trained system, measured on its exported graphs as the app runs them.

    python -m mvae.reproduce.table9_measures mnist vae 0 runs/table9 --data data

Legend: N test images, D latent dimension, F features of the classifier, G classes.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from export.systems import export_system
from mvae.data.benchmarks import CLASSES, Labelled, load_benchmark
from mvae.engine.stored_system import StoredSystem, load_system
from mvae.engine.system_titles import SYSTEM_TITLES
from mvae.errors import MvaeError
from mvae.evaluate.classifier import Classifier, classify, load_classifier, to_float
from mvae.evaluate.clustering import clustering_accuracy
from mvae.evaluate.frechet import frechet_distance
from mvae.evaluate.manifold import density_and_coverage
from mvae.files import write_atomic
from mvae.models.system import System
from mvae.models.vae_gan import VaeGan
from mvae.models.vq_vae import VqVae
from mvae.reproduce.table9_training import MINIATURISED, SMALL, WEIGHTS, folder_of, stored, stored_words

DRAWN, PROBED, BOUNDED = 500, 20_000, 2000
"""Images drawn of a class; training images whose latents a classifier learns from; test images for the bound."""


@dataclass(frozen=True)
class Judged:
    """The test images as the classifier sees them."""

    test: Labelled
    train: Labelled
    judge: Classifier
    features: np.ndarray
    """float32 [N, F], of as many as are drawn."""
    accuracy: float


def judged(data: str, source: Path, drawn_of_each: int = DRAWN) -> Judged:
    """Raises DataError where the benchmark or its classifier is missing."""
    test, train = load_benchmark(source / data, "test"), load_benchmark(source / data, "train")
    judge = load_classifier(data)
    classes, features = classify(judge, test.images)
    count = drawn_of_each * len(CLASSES[data])
    return Judged(test, train, judge, features[:count], float((classes == test.labels).mean()))


def measured_path(data: str, name: str, seed: int, out: Path) -> Path:
    """Where :func:`measure` keeps what it found."""
    return folder_of(out, data, name, seed) / f"measured-{name}.json"


def measure(data: str, name: str, seed: int, out: Path, source: Path, count: int = DRAWN) -> dict[str, float]:
    """Export one trained system and measure it, with ``count`` images drawn of a class, or return what was measured before.
    ``name`` may be :data:`MINIATURISED`."""
    folder, path = folder_of(out, data, name, seed), measured_path(data, name, seed, out)
    if path.is_file():
        return json.loads(path.read_text())
    real = judged(data, source, count)
    small = name == MINIATURISED
    system = stored(data, "mvae" if small else name, seed, out, SMALL if small else WEIGHTS)
    words = stored_words(data, seed, out, system) if name in ("mvae", MINIATURISED) else None
    log = json.loads((folder / "log.json").read_text())
    export_system(system, folder / "zoo", name=name, title=SYSTEM_TITLES[name], data=data, source=source, words=words,
                  words_of="mvae" if small else "", facts={"seed": seed, "epochs": log["settings"]["epochs"]})
    entry = load_system(data, name, folder / "zoo")
    found = {
        "real_accuracy": real.accuracy, "parameters": sum(p.numel() for p in system.parameters()), "bytes": _bytes(entry),
        **drawn(entry, real, count), **probes(entry, real), **bounds(system, real),
    }
    if words is not None:
        found |= {f"words_{key}": value for key, value in drawn(entry, real, count, words=True).items()}
    write_atomic(path, json.dumps(found, indent=1).encode())
    return found


def _bytes(entry: StoredSystem) -> int:
    """Of encoder and decoder: what all systems have."""
    return sum(len(entry.entry.files[name]) for name in ("encoder.onnx", "decoder.onnx"))


def drawn(entry: StoredSystem, real: Judged, count: int = DRAWN, words: bool = False) -> dict[str, float]:
    """Images drawn for every class, by the class's mixture or from words, as the classifier and its features see them."""
    images, labels = [], np.repeat(np.arange(len(entry.entry.classes)), count)
    for label in range(len(entry.entry.classes)):
        latents = entry.draw_words(label, count, seed=label) if words else entry.sample(label, count, seed=label)
        images.append((entry.decode(latents).transpose(0, 2, 3, 1) * 255).round().astype(np.uint8))
    classes, features = classify(real.judge, np.concatenate(images))
    density, coverage = density_and_coverage(real.features, features)
    return {
        "cga": float((classes == labels).mean()), "density": density, "coverage": coverage,
        "frechet": frechet_distance(real.features, features),
    }


def probes(entry: StoredSystem, real: Judged) -> dict[str, float]:
    """A linear and a nonlinear classifier on frozen latents, and what is lost on the way through them, or through the tokens of a
    system that has some."""
    test = _latents(entry, real.test.images)
    train, labels = _latents(entry, real.train.images[:PROBED]), real.train.labels[:PROBED]
    scaler = StandardScaler().fit(train)
    linear = LogisticRegression(max_iter=200).fit(scaler.transform(train), labels)
    deep = MLPClassifier((128,), max_iter=20, batch_size=200, random_state=0, early_stopping=False)
    deep.fit(scaler.transform(train), labels)
    kept = entry.words.snapped(test) if entry.words else test
    seen = np.concatenate([entry.decode(part) for part in np.array_split(kept, max(1, len(test) // 1000))])
    x = real.test.images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    error = np.square(seen - x).reshape(len(x), -1).mean(1)
    return {
        "probe_accuracy": float(linear.score(scaler.transform(test), real.test.labels)),
        "latent_accuracy": float(deep.score(scaler.transform(test), real.test.labels)),
        "psnr": float((-10 * np.log10(np.maximum(error, 1e-10))).mean()),
    }


def _latents(entry: StoredSystem, images: np.ndarray) -> np.ndarray:
    parts = np.array_split(images, max(1, len(images) // 1000))
    return np.concatenate([entry.encode(part.transpose(0, 3, 1, 2).astype(np.float32) / 255) for part in parts])


@torch.no_grad()
def bounds(system: System | VqVae, real: Judged) -> dict[str, float]:
    """−ELBO in nats an image, in bits a value where the likelihood is discrete, and clustering accuracy; those that are
    defined."""
    torch.manual_seed(0)
    x, found = to_float(real.test.images[:BOUNDED]), {}
    if not isinstance(system, VqVae | VaeGan):  # one has no prior of its own, the other no likelihood
        terms = system.terms(x)
        parts = [name for name in ("distortion", "rate", "conditional", "rate_w", "rate_y") if name in terms]
        nats = sum(float(terms[name].mean()) for name in parts)
        found["negative_elbo"] = nats
        if system.config.likelihood == "logistic":
            found["bits_per_dim"] = nats / math.log(2) / x[0].numel()
    if hasattr(system, "clusters"):
        found["clustering_accuracy"] = clustering_accuracy(
            system.clusters(to_float(real.test.images)).argmax(1).numpy(), real.test.labels
        )
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.reproduce.table9_measures", description=__doc__)
    parser.add_argument("benchmark", choices=list(CLASSES))
    parser.add_argument("system", choices=list(SYSTEM_TITLES))
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the built benchmarks (default: %(default)s)")
    parser.add_argument("--drawn", type=int, default=DRAWN, help="images drawn of a class (default: %(default)s)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        print(json.dumps(measure(args.benchmark, args.system, args.seed, args.out, args.data, args.drawn)))
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

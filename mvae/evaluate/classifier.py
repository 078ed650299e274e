"""Classifiers of the benchmark sets: the independent, frozen judges of class-conditional generation.

A small convolutional network a set, trained once on its training images and committed in ``zoo/judge``:

    python -m mvae.evaluate.classifier --data data/mnist --out zoo/judge

Legend: N images, S side, C channels, K classes, F = ``FEATURES``.
"""

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from mvae.data.benchmarks import Labelled, load_benchmark
from mvae.errors import DataError, MvaeError
from mvae.training.checkpoint import save_tensors

FEATURES = 128
BATCH = 512
FOLDER = Path(__file__).resolve().parents[2] / "zoo" / "judge"


class Classifier(nn.Module):
    """Images float [N, C, S, S] in [0, 1] → logits [N, K]."""

    def __init__(self, channels: int, side: int, classes: int, width: int = 32):
        super().__init__()
        self.settings = {"channels": channels, "side": side, "classes": classes, "width": width}
        widths = (channels, width, width, 2 * width, 2 * width)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[1:])
        self.embed = nn.Linear(2 * width * (side // 4) ** 2, FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """[N, F]: what lies before the last layer; Fréchet distances, coverage and density are measured there."""
        x = images
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = F.relu(norm(layer(x)))
            if number % 2:
                x = F.max_pool2d(x, 2)
        return F.relu(self.embed(F.dropout(x.flatten(1), 0.3, self.training)))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.dropout(self.features(images), 0.3, self.training))


def to_float(images_NSSC: np.ndarray) -> Tensor:
    """uint8 [N, S, S, C] → float [N, C, S, S] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images_NSSC)).permute(0, 3, 1, 2).float().div_(255)


def moved(images: Tensor, reach: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Every image shifted by up to ``reach`` pixels and, if wanted, half of them mirrored."""
    padded = F.pad(images, (reach,) * 4)
    side, steps = images.shape[-1], torch.randint(2 * reach + 1, (len(images), 2), generator=generator).tolist()
    made = torch.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(padded, steps, strict=True)])
    mirrored = (torch.rand(len(images), generator=generator) < 0.5) & flip
    return torch.where(mirrored[:, None, None, None], made.flip(-1), made)


def train_classifier(
    train: Labelled, classes: int, *, epochs: int = 8, seed: int = 0, flip: bool = False, progress: bool = True, width: int = 32
) -> Classifier:
    """Train on all of ``train`` with shifts (and mirror images), Adam with one cycle of the learning rate."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    count, side, _, channels = train.images.shape
    model = Classifier(channels, side, classes, width).to(memory_format=torch.channels_last)
    batch = max(1, min(256, count // 10))
    steps = epochs * (count // batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=max(2, steps))
    labels, bar = torch.from_numpy(train.labels), tqdm(total=steps, desc="classifier", disable=not progress)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch + 1, batch):
            chosen = order[start : start + batch]
            images = moved(to_float(train.images[chosen.numpy()]), max(1, side // 14), flip, generator)
            loss = F.cross_entropy(model(images), labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            bar.update()
    return model.eval()


@torch.no_grad()
def classify(model: Classifier, images_NSSC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Most likely class int64 [N] and features float32 [N, F] of uint8 images."""
    classes, features = [], []
    for start in range(0, len(images_NSSC), BATCH):
        found = model.features(to_float(images_NSSC[start : start + BATCH]))
        features.append(found.numpy())
        classes.append(model.head(found).argmax(1).numpy())
    return np.concatenate(classes), np.concatenate(features)


def accuracy(model: Classifier, data: Labelled) -> float:
    """Share of images named rightly: for a test set the ceiling of conditional generation."""
    return float((classify(model, data.images)[0] == data.labels).mean())


def save_classifier(model: Classifier, path: Path, facts: dict) -> None:
    """Half-precision safetensors with settings and ``facts`` (accuracies, the data's checksum)."""
    tensors = {n: t.half() for n, t in model.state_dict().items() if t.is_floating_point()}
    save_tensors(path, tensors, {"settings": json.dumps(model.settings), "facts": json.dumps(facts)})


def load_classifier(name: str, folder: Path = FOLDER) -> Classifier:
    """The committed classifier of a benchmark. Raises :class:`DataError` where there is none or the file is not one."""
    path = folder / f"{name}.safetensors"
    try:
        with safe_open(path, "pt") as file:
            model = Classifier(**json.loads(file.metadata()["settings"]))
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (no iterator of its own)
        model.load_state_dict(model.state_dict() | tensors)
    except (OSError, SafetensorError, TypeError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: no classifier ({error!s:.200}); make it with python -m mvae.evaluate.classifier") from None
    return model.eval()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.evaluate.classifier", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder made by `mvae data build mnist` or another benchmark")
    parser.add_argument("--out", type=Path, default=FOLDER, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        index = json.loads((args.data / "index.json").read_text(encoding="utf-8"))
        train, test = load_benchmark(args.data, "train"), load_benchmark(args.data, "test")
        model = train_classifier(train, len(index["classes"]), epochs=args.epochs, flip=index["name"] == "cifar10")
        path = args.out / f"{index['name']}.safetensors"
        facts = {"test_accuracy": accuracy(model, test), "data": index["splits"]["train"]["sha256"], "epochs": args.epochs}
        save_classifier(model, path, facts)
        stored = accuracy(load_classifier(index["name"], args.out), test)
        print(json.dumps({"path": str(path), **facts, "stored_accuracy": stored}))
    except (MvaeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m mvae.evaluate.train_judge``: makes ``zoo/judge`` from the judge styles, prints its ceilings on the train styles.

    python -m mvae.evaluate.train_judge --leave-out noto-v1 --out runs/judge/check  # on a style it has not seen
    python -m mvae.evaluate.train_judge                                            # the committed judge

1. Views: every judge drawing several times, augmented, through the lower blocks of EfficientNet-Lite2 with its ImageNet
   weights; kept on disk, since these blocks stay as they are.
2. Linear discriminant analysis of the features of all views gives embedding and class directions.
3. Fine-tuning of the upper blocks, embedding and directions by a softmax over the scaled cosines.

Interrupted, it continues where it was: views are files of their own, fine-tuning checkpoints after every epoch. The same seed and
thread count give the same weights. Drawings of the train styles are never fitted, and no choice was made on them: options
were chosen by ``--leave-out``.
"""

import argparse
import hashlib
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F
from tqdm import tqdm

from mvae.errors import DataError, MvaeError
from mvae.evaluate import augment as augment_module
from mvae.evaluate.augment import augment
from mvae.evaluate.ceilings import by_part, hits
from mvae.evaluate.discriminant import fit_discriminant
from mvae.evaluate.drawings import Drawings, composite_on_white, load_drawings
from mvae.evaluate.judge import BATCH, JUDGE_PATH, VARIANT, Head, Judge
from mvae.files import replacing
from mvae.models import efficientnet_lite
from mvae.models.efficientnet_lite import Backbone, load_imagenet, scale_pixels

STORED = 11
"""What enters this block, 88 x 8 x 8 values, is stored of every view: the blocks below it keep their ImageNet weights."""
FIRST_TUNED = 15
"""Blocks from this one on are fine-tuned."""
DIMENSIONS = 512
SCALE = 24.0
"""Initial scale of the cosines."""
SMOOTHING = 0.1
HEAD_FASTER = 4
"""Learning rate of embedding and directions, relative to that of the blocks."""
_SIDED = re.compile(r"left|right|clock|thirty")


def may_flip(drawings: Drawings) -> torch.Tensor:
    """False where left and right carry meaning: flags, signs, letters, clocks and whatever names a side."""
    sided = [
        group in ("flags", "symbols") or bool(_SIDED.search(label))
        for group, label in zip(drawings.group, drawings.label, strict=True)
    ]
    return ~torch.tensor(sided)


def fingerprint(drawings: Drawings, seed: int) -> str:
    """Identifies the views that these drawings and this seed give, pixels and code of the views included."""
    digest = hashlib.sha256(f"{seed} {STORED} {torch.__version__}".encode())
    digest.update(np.ascontiguousarray(drawings.rgba))
    for module in (augment_module, efficientnet_lite):
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:16]


@torch.no_grad()
def make_view(backbone: Backbone, drawings: Drawings, number: int, seed: int, folder: Path) -> np.ndarray:
    """Activations that enter block ``STORED``, float16 [N, 8, 8, 88] mapped from disk; view 0 is the drawing as it is."""
    path = folder / f"view-{number:02d}.npy"
    if not path.is_file():
        generator = torch.Generator().manual_seed(seed * 1000 + number - 1 if number else 0)
        flip = may_flip(drawings)
        parts = []
        for start in tqdm(range(0, len(drawings), BATCH), desc=f"view {number}", unit="batch", leave=False):
            rgba = drawings.rgba[start : start + BATCH]
            if number:
                rgb = augment(torch.from_numpy(rgba), flip[start : start + BATCH], generator)
            else:
                rgb = torch.from_numpy(composite_on_white(rgba)).permute(0, 3, 1, 2).float()
            pixels = scale_pixels(rgb).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                parts.append(backbone.lower(pixels, STORED).permute(0, 2, 3, 1).half().numpy())
        with replacing(path) as partial:
            _save_array(partial, np.concatenate(parts))
    return np.load(path, mmap_mode="r")


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def _batch(view: np.ndarray, chosen: np.ndarray) -> torch.Tensor:
    """float32 [B, C, S, S] in channels-last memory."""
    return torch.from_numpy(view[chosen].astype(np.float32)).permute(0, 3, 1, 2)


@torch.no_grad()
def view_features(backbone: Backbone, view: np.ndarray, number: int, folder: Path) -> torch.Tensor:
    """Features of every drawing in one view under the ImageNet weights, [N, F]; kept on disk as float16."""
    path = folder / f"features-{number:02d}.npy"
    if not path.is_file():
        found = []
        for start in tqdm(range(0, len(view), BATCH), desc=f"features of view {number}", unit="batch", leave=False):
            with torch.autocast("cpu", torch.bfloat16):
                found.append(backbone.upper(_batch(view, np.arange(start, min(start + BATCH, len(view)))), STORED).half().numpy())
        with replacing(path) as partial:
            _save_array(partial, np.concatenate(found))
    return torch.from_numpy(np.load(path).astype(np.float32))


def fine_tune(
    backbone: Backbone,
    head: Head,
    views: list[np.ndarray],
    row_N: np.ndarray,
    class_N: torch.Tensor,
    epochs: int,
    rate: float,
    seed: int,
    checkpoint: Path,
) -> None:
    """Train the upper blocks and the head in place, one view an epoch; resumes from ``checkpoint``.

    Learning rates are relative to each tensor's size: folded convolutions differ by orders of magnitude.
    """
    tuned = {f"head.{name}": value for name, value in head.named_parameters()}
    for name, value in backbone.named_parameters():
        if name.startswith("head") or _block(name) >= FIRST_TUNED:
            tuned[f"backbone.{name}"] = value
    size = {name: max(value.detach().square().mean().sqrt().item(), 1e-3) for name, value in tuned.items()}
    full = [rate * size[name] * (HEAD_FASTER if name.startswith("head") else 1) for name in tuned]
    groups = [{"params": [value], "lr": lr} for value, lr in zip(tuned.values(), full, strict=True)]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    begun = _restore(checkpoint, tuned, optimizer)
    steps = -(-len(class_N) // BATCH)
    for epoch in range(begun, epochs):
        view = views[(epoch + 1) % len(views)]
        order = np.random.default_rng([seed, epoch]).permutation(len(class_N))
        progress = tqdm(range(steps), desc=f"fine-tuning, epoch {epoch + 1}/{epochs}", unit="batch", leave=False)
        for step in progress:
            share = (epoch * steps + step) / (epochs * steps)
            for group, lr in zip(optimizer.param_groups, full, strict=True):
                group["lr"] = lr * min(1.0, share * 20 + 0.05) * (0.5 + 0.5 * math.cos(math.pi * share))
            chosen = np.sort(order[step * BATCH : (step + 1) * BATCH])
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                entering = backbone.between(_batch(view, row_N[chosen]), STORED, FIRST_TUNED)
            logits = head(backbone.upper(entering.float(), FIRST_TUNED))
            loss = F.cross_entropy(logits, class_N[torch.from_numpy(chosen)], label_smoothing=SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned.values(), 5.0)
            optimizer.step()
            progress.set_postfix(loss=f"{loss.item():.3f}")
        _store(checkpoint, tuned, optimizer, epoch + 1)


def _block(name: str) -> int:
    """Number of the block that a parameter of the backbone belongs to, -1 for the stem."""
    return int(name.split(".")[1]) if name.startswith("blocks.") else -1


def _store(path: Path, tuned: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, epochs_done: int) -> None:
    tensors = {name: value.detach().contiguous() for name, value in tuned.items()}
    for name, value in tuned.items():
        state = optimizer.state[value]
        tensors |= {f"{name}|{key}": torch.as_tensor(state[key]).contiguous() for key in ("exp_avg", "exp_avg_sq", "step")}
    with replacing(path) as partial:
        save_file(tensors, partial, {"epochs_done": str(epochs_done)})


def _restore(path: Path, tuned: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Epochs done already."""
    if not path.is_file():
        return 0
    with safe_open(path, framework="pt") as stored, torch.no_grad():
        for name, value in tuned.items():
            value.copy_(stored.get_tensor(name))
            optimizer.state[value] = {key: stored.get_tensor(f"{name}|{key}") for key in ("exp_avg", "exp_avg_sq", "step")}
        return int(stored.metadata()["epochs_done"])


def save_judge(path: Path, backbone: Backbone, head: Head, concepts: np.ndarray, about: dict) -> None:
    """Half-precision weights with the concepts in the header, written atomically."""
    tensors = {f"backbone.{k}": v.half().contiguous() for k, v in backbone.state_dict().items()}
    tensors |= {f"head.{k}": v.half().contiguous() for k, v in head.state_dict().items()}
    metadata = {"concepts": json.dumps([str(concept) for concept in concepts]), "training": json.dumps(about, sort_keys=True)}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata)


def train_judge(
    drawings: Drawings, kept_N: np.ndarray, work: Path, out: Path, views: int, epochs: int, rate: float, seed: int
) -> Judge:
    """Fit on the drawings where ``kept_N`` is true, keep intermediate files in ``work``, write the judge to ``out`` and read it.

    Views are made of all drawings, so that judges that leave different styles out share them.
    """
    folder = work / fingerprint(drawings, seed)
    backbone = load_imagenet(VARIANT).fold().to(memory_format=torch.channels_last)
    stored = [make_view(backbone, drawings, number, seed, folder) for number in range(views + 1)]
    row_N = np.flatnonzero(kept_N)
    concepts, class_N = np.unique(drawings.concept[row_N], return_inverse=True)
    class_N = torch.from_numpy(class_N)
    head = Head(len(concepts), DIMENSIONS)
    features = torch.cat([view_features(backbone, view, number, folder)[row_N] for number, view in enumerate(stored)])
    weight, bias, directions = fit_discriminant(features, class_N.repeat(len(stored)), DIMENSIONS)
    with torch.no_grad():
        head.embed.weight.copy_(weight)
        head.embed.bias.copy_(bias)
        head.directions.copy_(directions)
        head.scale.fill_(SCALE)
    styles = sorted(str(style) for style in set(drawings.style[row_N]))
    about = {"styles": styles, "views": views, "epochs": epochs, "rate": rate, "seed": seed}
    if epochs:
        options = hashlib.sha256(repr((about, DIMENSIONS, SCALE, SMOOTHING)).encode()).hexdigest()[:16]
        fine_tune(backbone, head, stored, row_N, class_N, epochs, rate, seed, folder / f"tuning-{options}.safetensors")
    save_judge(out, backbone, head, concepts, about | {"drawings": len(row_N)})
    return Judge(out)


def ceilings(judge: Judge, drawings: Drawings) -> dict:
    """R@1 and R@5 per style on the drawings whose concept the judge knows."""
    known = drawings.take(np.isin(drawings.concept, judge.concepts))
    ranks = judge.ranks(judge.classify(judge.embed(known.rgba, "judging drawings")), known.concept)
    return {
        "samples": len(known),
        "top_1": hits(ranks, 1),
        "top_5": hits(ranks, 5),
        "top_1_by_style": by_part(ranks, known.style, 1),
        "top_5_by_style": by_part(ranks, known.style, 5),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mvae.evaluate.train_judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/emoji"))
    parser.add_argument("--work", type=Path, default=Path("runs/judge"), help="views and checkpoints")
    parser.add_argument("--out", type=Path, default=JUDGE_PATH.parent, help="folder of judge.safetensors")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="STYLE", help="judge styles not trained on but reported")
    parser.add_argument("--views", type=int, default=3, help="augmented views of each drawing")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2e-3, help="relative to the size of each tensor")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        drawings = load_drawings(args.data, "judge")
        unknown = sorted(set(args.leave_out) - set(drawings.style))
        if unknown:
            raise DataError(f"--leave-out {unknown}: no such judge style; expected some of {sorted(set(drawings.style))}")
        held = np.isin(drawings.style, args.leave_out)
        judge = train_judge(
            drawings, ~held, args.work, args.out / "judge.safetensors", args.views, args.epochs, args.rate, args.seed
        )
        report = ceilings(judge, drawings.take(held) if args.leave_out else load_drawings(args.data, "train"))
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

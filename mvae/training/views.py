"""What the seq2seq learns from: every picture's posterior in several views (as drawn, mirrored, recoloured, moved, nudged), with
captions that stay true. Computed once by the trained encoder and kept beside the run."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from mvae.config import VaeConfig
from mvae.data.captions import HUES, dominant_hue, may_mirror, may_recolour, nearest_colour, recoloured_label
from mvae.data.dataset import Pictures, scale, shift, with_hue
from mvae.models.mvae import MVAE
from mvae.models.quantile import cell_index, cells_to_tokens
from mvae.training.checkpoint import save_tensors, step_generator

KINDS = ("nudge", "move", "mirror", "recolour", "recolour", "recolour")
"""What is done to a picture in view 1, 2, 3 … A nudge, by one or two pixels of 128, changes most tokens, hardly the drawing."""


@dataclass
class Views:
    """Posteriors of N pictures in V views."""

    mean: Tensor
    """float16 [N, V, C, h, w]."""
    deviation: Tensor
    """float16 [N, V, C, h, w], posterior standard deviations."""
    labels: list[list[str | None]]
    """[N][V] labels; ``None`` where the view would not be true and is never drawn."""

    def tokens(self, vae: VaeConfig) -> Tensor:
        """int64 [N, V, P]: the tokens of every view's mean."""
        cells = cell_index(self.mean.flatten(0, 1).float(), vae.levels)
        return cells_to_tokens(cells, vae.levels, vae.depth).unflatten(0, self.mean.shape[:2])


def _variant(image: Tensor, pixels: np.ndarray, meta: dict, view: int, draw: list[float]) -> tuple[Tensor, str | None]:
    """One augmented picture [1, 4, S, S] and the label that tells the truth about it."""
    label = meta["label"]
    kind = KINDS[(view - 1) % len(KINDS)]
    if kind == "recolour":
        return _recoloured(image, pixels, label, draw[0]) if may_recolour(meta) else (image, None)
    if kind == "mirror":
        return (image.flip(-1), label) if may_mirror(meta) else (image, None)
    side = image.shape[-1]
    if kind == "nudge":
        steps = [step * max(1, side // 128) for step in (-2, -1, 1, 2)]
        return shift(image, steps[int(4 * draw[0])], steps[int(4 * draw[1])]), label
    reach = round(side * 0.06)
    image = shift(image, round((2 * draw[0] - 1) * reach), round((2 * draw[1] - 1) * reach))
    return scale(image, 0.85 + 0.2 * draw[2]), label


def _recoloured(image: Tensor, pixels: np.ndarray, label: str, draw: float) -> tuple[Tensor, str | None]:
    """One picture [1, 4, S, S] in another colour: its hue turned where it has one, else in shades of one hue."""
    hue = dominant_hue(pixels)
    old = None if hue is None else nearest_colour(hue)
    others = [word for word in HUES if word != old]
    new = others[int(draw * len(others))]
    text = recoloured_label(label, old, new)
    made = with_hue(image, hue, HUES[new])
    if hue is not None:
        return made, text
    shown = dominant_hue((made[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy())
    return made, text if shown is not None else None  # a picture that is mostly black and white has not got a colour


@torch.no_grad()
def compute_views(vae: MVAE, pictures: Pictures, views: int, seed: int, path: Path, mark: str, progress: bool = True) -> Views:
    """Encode original + ``views`` variants of every picture, or read them back from ``path`` if they were made with ``mark``.

    ``mark`` names the encoder and the pictures, so that views of another encoder are never mixed in.
    """
    if path.exists():
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            if facts.get("mark") == mark:
                return Views(file.get_tensor("mean"), file.get_tensor("deviation"), json.loads(facts["labels"]))
    labels: list[list[str | None]] = []
    means, deviations = [], []
    device = next(vae.parameters()).device
    vae.eval()
    for start in tqdm(range(0, len(pictures), 32), desc="views", disable=not progress):
        rows = range(start, min(start + 32, len(pictures)))
        images, stack = pictures.batch(rows), []
        for image, index in zip(images.split(1), rows, strict=True):
            generator = step_generator(seed, index)
            stack.append(image)
            labels.append([pictures.meta[index]["label"]])
            for view in range(1, 1 + views):
                draw = torch.rand(3, generator=generator).tolist()
                variant, text = _variant(image, pictures.pixels[index], pictures.meta[index], view, draw)
                stack.append(variant)
                labels[-1].append(text)
        batch = torch.cat(stack).to(device).contiguous(memory_format=torch.channels_last)
        mean, log_variance = vae.encoder(batch)
        shape = (len(rows), 1 + views, *mean.shape[1:])
        means.append(mean.view(shape).half().cpu())
        deviations.append(torch.exp(0.5 * log_variance).view(shape).half().cpu())
    made = Views(torch.cat(means), torch.cat(deviations), labels)
    save_tensors(path, {"mean": made.mean, "deviation": made.deviation}, {"mark": mark, "labels": json.dumps(labels)})
    return made

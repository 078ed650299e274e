"""Captioned pictures in memory, and the image augmentation that goes with their captions.

Legend: B batch, S side. Pictures are kept as premultiplied uint8 RGBA [N, S, S, 4]; batches are float [B, 4, S, S] in [0, 1].
"""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from mvae.data.render import fit_square
from mvae.data.shards import read_shard
from mvae.errors import DataError


@dataclass
class Pictures:
    """A set of captioned pictures."""

    pixels: np.ndarray
    """uint8 [N, S, S, 4], premultiplied RGBA."""
    captions: list[str]
    meta: list[dict]

    def __len__(self) -> int:
        return len(self.captions)

    def batch(self, indices, device: str | torch.device = "cpu") -> Tensor:
        """float [B, 4, S, S] in [0, 1], premultiplied, channels last in memory (faster convolutions)."""
        pixels = torch.from_numpy(self.pixels[np.asarray(indices)]).to(device)
        return pixels.permute(0, 3, 1, 2).float().div_(255)


def load_pictures(data: Path, *, size: int, role: str = "train", split: str | None = None, progress: bool = True) -> Pictures:
    """Read all samples of a role (and split, if given) from the shards below ``data`` or from one shard file, scaled to ``size``.

    Raises :class:`DataError` where there are none.
    """
    paths = [data] if data.is_file() else sorted(data.glob(f"{role}-*.tar"))
    pixels, captions, meta = [], [], []
    for path in tqdm(paths, desc=f"{role} shards", disable=not progress):
        for sample in read_shard(path):
            if split is not None and sample.meta.get("split", "train") != split:
                continue
            image = fit_square(Image.open(io.BytesIO(sample.image)), size)
            pixels.append(np.asarray(image.convert("RGBa")))
            captions.append(sample.caption)
            meta.append(sample.meta)
    if not captions:
        raise DataError(
            f"{data}: no {role} samples found in {len(paths)} shards, expected {role}-*.tar as written by `mvae data build`"
        )
    return Pictures(np.stack(pixels), captions, meta)


def shift(image: Tensor, dx: int, dy: int) -> Tensor:
    """Move by whole pixels, transparent where nothing comes in: no resampling, so edges stay crisp."""
    padded = F.pad(image, (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0)))
    side = image.shape[-1]
    return padded[..., max(-dy, 0) : max(-dy, 0) + side, max(-dx, 0) : max(-dx, 0) + side]


def scale(image: Tensor, factor: float) -> Tensor:
    """Zoom about the centre by ``factor`` (bilinear on premultiplied pixels)."""
    theta = torch.tensor([[[1 / factor, 0, 0], [0, 1 / factor, 0]]], dtype=image.dtype).expand(image.shape[0], -1, -1)
    return F.grid_sample(image, F.affine_grid(theta, list(image.shape), align_corners=False), align_corners=False)


def rotate_hue(image: Tensor, angle: float) -> Tensor:
    """Turn the hue by ``angle`` radians about the grey axis; alpha stays, colour is kept within [0, alpha]."""
    cosine, sine = math.cos(angle), math.sin(angle)
    third, root = (1 - cosine) / 3, sine / math.sqrt(3)
    a, b, c = cosine + third, third - root, third + root
    matrix = torch.tensor([[a, b, c], [c, a, b], [b, c, a]], dtype=image.dtype)
    colour = torch.einsum("ij,bjhw->bihw", matrix, image[:, :3])
    alpha = image[:, 3:]
    return torch.cat([torch.minimum(colour.clamp(min=0), alpha), alpha], 1)


def augment(image: Tensor, generator: torch.Generator) -> Tensor:
    """Random flip, whole-pixel shift (up to 5 % of the side), zoom (0.8-1.1) and hue turn for a VAE, which needs no caption."""
    out = []
    for picture in image.split(1):
        draw = torch.rand(7, generator=generator).tolist()
        if draw[0] < 0.5:
            picture = picture.flip(-1)
        if draw[1] < 0.25:
            picture = scale(picture, 0.8 + 0.3 * draw[2])
        if draw[3] < 0.5:
            reach = max(1, round(image.shape[-1] * 0.05))
            picture = shift(picture, round((2 * draw[4] - 1) * reach), round((2 * draw[5] - 1) * reach))
        if draw[6] < 0.3:
            picture = rotate_hue(picture, draw[6] / 0.3 * 2 * math.pi)
        out.append(picture)
    return torch.cat(out)

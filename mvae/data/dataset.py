"""Captioned pictures in memory, and the image augmentation that goes with their captions.

Legend: B batch, S side. Pictures are kept as premultiplied uint8 RGBA [N, S, S, 4]; batches are float [B, 4, S, S] in [0, 1].
"""

import colorsys
import io
import json
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

NAMES = "names.json"
"""Beside the shards: labels and tags in other languages, locale → concept → words."""


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
    names = data / NAMES
    if names.is_file():
        known = json.loads(names.read_text(encoding="utf-8"))
        for about in meta:
            about["names"] = {locale: said[about["concept"]] for locale, said in known.items() if about.get("concept") in said}
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


def scale(image: Tensor, factor: float | Tensor) -> Tensor:
    """Zoom about the centre by ``factor``, one for all or one a picture [B] (bilinear on premultiplied pixels)."""
    shrink = 1 / torch.as_tensor(factor, dtype=image.dtype, device=image.device).expand(len(image))
    theta = torch.zeros(len(image), 2, 3, dtype=image.dtype, device=image.device)
    theta[:, 0, 0] = theta[:, 1, 1] = shrink
    return F.grid_sample(image, F.affine_grid(theta, list(image.shape), align_corners=False), align_corners=False)


def rotate_hue(image: Tensor, angle: float | Tensor) -> Tensor:
    """Turn the hue by ``angle`` radians, one for all or one a picture [B], about the grey axis.

    Alpha stays, colour is kept within [0, alpha].
    """
    angle = torch.as_tensor(angle, dtype=image.dtype, device=image.device).expand(len(image))
    third, root = (1 - angle.cos()) / 3, angle.sin() / math.sqrt(3)
    a, b, c = angle.cos() + third, third - root, third + root
    matrix = torch.stack([a, b, c, c, a, b, b, c, a], -1).view(-1, 3, 3)
    colour = torch.einsum("bij,bjhw->bihw", matrix, image[:, :3])
    alpha = image[:, 3:]
    return torch.cat([torch.minimum(colour.clamp(min=0), alpha), alpha], 1)


def colourise(image: Tensor, hue: float, saturation: float = 0.75) -> Tensor:
    """Every premultiplied picture [B, 4, S, S] in shades of one ``hue`` (degrees): HSL lightness stays, so do black and white."""
    alpha = image[:, 3:]
    colour = image[:, :3] / alpha.clamp(min=1e-6)
    lightness = (colour.amax(1, keepdim=True) + colour.amin(1, keepdim=True)) / 2
    chroma = saturation * (1 - (2 * lightness - 1).abs())
    pure = torch.tensor(colorsys.hsv_to_rgb(hue / 360 % 1, 1, 1), dtype=image.dtype, device=image.device)[:, None, None]
    return torch.cat([(lightness + chroma * (pure - 0.5)).clamp(0, 1) * alpha, alpha], 1)


def with_hue(image: Tensor, hue: float | None, wanted: float) -> Tensor:
    """Premultiplied pictures [B, 4, S, S] of one ``hue`` (degrees) turned to the ``wanted`` one; of no one hue, in its shades."""
    return colourise(image, wanted) if hue is None else rotate_hue(image, math.radians(wanted - hue))


_SHADES = {
    "black": (0.0, 0.0, 0.3, 0.02), "white": (0.0, 0.0, 0.38, 0.6), "grey": (0.0, 0.0, 0.6, 0.2), "brown": (24.0, 0.5, 0.5, 0.1),
}
"""Of every shade: hue in degrees, saturation, and what lightness is multiplied by and then raised by."""


def with_shade(image: Tensor, shade: str) -> Tensor:
    """Premultiplied pictures [B, 4, S, S] in black, white, grey or brown; outlines and lights stay darker and lighter."""
    hue, saturation, contrast, least = _SHADES[shade]
    alpha, plain = image[:, 3:], colourise(image, hue, 0.0)[:, :3]
    return colourise(torch.cat([plain * contrast + least * alpha, alpha], 1), hue, saturation)


def augment(image: Tensor, generator: torch.Generator) -> Tensor:
    """Random flip, whole-pixel shift (up to 5 % of the side), zoom (0.8-1.1) and hue turn for a VAE, which needs no caption.

    Runs on the pictures' device; the draws are made on the CPU, so that they are the same everywhere.
    """
    draws = torch.rand(len(image), 7, generator=generator)
    flips, zooms, hues = draws[:, 0] < 0.5, draws[:, 1] < 0.25, draws[:, 6] < 0.3
    image = torch.where(flips.to(image.device)[:, None, None, None], image.flip(-1), image)
    if zooms.any():
        chosen = zooms.to(image.device)
        image[chosen] = scale(image[chosen], (0.8 + 0.3 * draws[zooms, 2]).to(image.device))
    reach = max(1, round(image.shape[-1] * 0.05))
    for number, draw in enumerate(draws.tolist()):
        if draw[3] < 0.5:
            image[number] = shift(image[number], round((2 * draw[4] - 1) * reach), round((2 * draw[5] - 1) * reach))
    if hues.any():
        chosen = hues.to(image.device)
        image[chosen] = rotate_hue(image[chosen], (draws[hues, 6] / 0.3 * 2 * math.pi).to(image.device))
    return image

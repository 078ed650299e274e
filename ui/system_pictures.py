"""Small pictures between arrays, files and the page; and a visitor's picture as the systems see it.

Legend: B images, C channels, S side; values 0 … 1.
"""

import numpy as np
from PIL import Image, ImageOps

from mvae.engine.images import to_rgba
from mvae.errors import ImageError

INK_SIDE = {"mnist": 20 / 28}
"""Longer side of what is drawn, as a share of the image, where a data set leaves a margin."""
MASS_CENTRED = ("mnist",)
"""Data sets whose drawings are centred by their mass, not by their outline."""
GAP = 2
"""Pixels between the pictures of a strip."""
_ENOUGH = 512
"""Pixels of the longer side that are looked at."""
_FAINT = 0.2
"""Share of the range below which a pixel is background."""
_FLAT = 0.1
"""Range of values below which nothing is drawn."""


def to_image(image_CSS: np.ndarray) -> Image.Image:
    """One image as 8-bit grey or RGB."""
    values = np.rint(image_CSS * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))


def strip(images_BCSS: np.ndarray) -> Image.Image:
    """Images side by side in one RGBA picture, transparent between them."""
    side = images_BCSS.shape[-1]
    found = Image.new("RGBA", (len(images_BCSS) * (side + GAP) - GAP, side))
    for place, image in enumerate(images_BCSS):
        found.paste(to_image(image), (place * (side + GAP), 0))
    return found


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """dB, of values 0 … 1; infinity where they are equal."""
    error = float(np.mean(np.square(first.astype(np.float64) - second)))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def as_seen(image: Image.Image, data: str, side: int, channels: int) -> np.ndarray:
    """A visitor's picture, made like those that the systems learned from: float32 [1, C, S, S].

    Colour: the middle square, scaled. Grey: light on black, whatever it was before; what is drawn is cut out, scaled and centred
    as in the data set. Raises ImageError for what cannot be read, or where nothing is drawn.
    """
    picture = to_rgba(image)
    picture.thumbnail((_ENOUGH, _ENOUGH))
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if channels == 3:
        square = ImageOps.fit(flat.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
        return np.asarray(square, np.float32).transpose(2, 0, 1)[None] / 255
    grey = np.asarray(flat.convert("L"), np.float32) / 255
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(border) > 0.5:
        grey, border = 1 - grey, 1 - border
    floor, top = float(np.median(border)), float(grey.max())
    if top - floor < _FLAT:
        raise ImageError("Nothing stands out from the background; expected something dark on light, or light on dark.")
    drawn = _cut_out(np.clip((grey - floor) / (top - floor), 0, 1))
    small = _scaled(drawn, max(1, round(side * INK_SIDE.get(data, 1.0))))
    small /= small.max()  # thin lines have become faint
    return _centred(small, side, data in MASS_CENTRED)[None, None]


def _cut_out(grey: np.ndarray) -> np.ndarray:
    """The smallest rectangle that holds what is not background."""
    rows, columns = (np.flatnonzero((grey > _FAINT).any(axis)) for axis in (1, 0))
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(grey: np.ndarray, longest: int) -> np.ndarray:
    """With its longer side ``longest``, by averages where it shrinks."""
    scale = longest / max(grey.shape)
    size = tuple(max(1, round(length * scale)) for length in grey.shape[::-1])
    image = Image.fromarray(np.rint(grey * 255).astype(np.uint8))
    resized = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    return np.asarray(resized).astype(np.float32) / 255


def _centred(grey: np.ndarray, side: int, by_mass: bool) -> np.ndarray:
    """On a black square."""
    height, width = grey.shape
    centre = (height / 2, width / 2)
    if by_mass and grey.sum():
        weights = grey / grey.sum()
        centre = ((np.arange(height) + 0.5) @ weights.sum(1), weights.sum(0) @ (np.arange(width) + 0.5))
    top, left = (
        int(np.clip(round(side / 2 - middle), 0, side - length))
        for middle, length in zip(centre, grey.shape, strict=True)
    )
    square = np.zeros((side, side), np.float32)
    square[top : top + height, left : left + width] = grey
    return square

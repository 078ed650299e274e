"""What pixels say of a sticker: its colour, its background, how many objects, where they are. No network.

Stickers are uint8 straight-alpha [S, S, 4]; shares are of the side or the area.
"""

import numpy as np
from PIL import Image

from mvae.data.captions import SHADES, dominant_hue, nearest_colour, shade_of
from mvae.data.compose import BACKGROUNDS

OPAQUE = 128
SMALLEST = 0.01
"""Area of the smallest object, as a share of the picture's: what is smaller is a crumb."""
FRAME = 2
"""Width in pixels of the frame that a background is read from, of 128."""


def colour_of(sticker: np.ndarray) -> str | None:
    """The colour word of a sticker that is mostly of one hue."""
    hue = dominant_hue(np.asarray(Image.fromarray(sticker).convert("RGBa")))
    return None if hue is None else nearest_colour(hue)


def is_coloured(sticker: np.ndarray, colour: str) -> bool:
    """Whether a sticker is mostly of that colour, a hue or a shade."""
    return (shade_of(np.asarray(Image.fromarray(sticker).convert("RGBa"))) if colour in SHADES else colour_of(sticker)) == colour


def background_of(sticker: np.ndarray) -> str | None:
    """The background's colour word, or None where nine tenths of the frame are not opaque."""
    width = max(1, FRAME * len(sticker) // 128)
    frame = np.concatenate([
        sticker[:width].reshape(-1, 4), sticker[-width:].reshape(-1, 4),
        sticker[width:-width, :width].reshape(-1, 4), sticker[width:-width, -width:].reshape(-1, 4),
    ])
    if (frame[:, 3] > OPAQUE).mean() < 0.9:
        return None
    colour = np.median(frame[:, :3].astype(np.float64), axis=0)
    return min(BACKGROUNDS, key=lambda word: float(np.square(colour - BACKGROUNDS[word]).sum()))


def components(sticker: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) in pixels of what is opaque and hangs together, largest area first, no crumbs."""
    solid = sticker[..., 3] > OPAQUE
    label = np.where(solid, np.arange(1, solid.size + 1).reshape(solid.shape), 0)
    while True:  # every pixel takes the largest label around it until none changes
        padded = np.pad(label, 1)
        around = np.maximum.reduce([
            padded[1 + dy : 1 + dy + len(label), 1 + dx : 1 + dx + label.shape[1]] for dy in (-1, 0, 1) for dx in (-1, 0, 1)
        ])
        spread = np.where(solid, around, 0)
        if np.array_equal(spread, label):
            break
        label = spread
    found = []
    for number, area in zip(*np.unique(label[solid], return_counts=True), strict=True):
        if area >= SMALLEST * solid.size:
            ys, xs = np.nonzero(label == number)
            found.append((int(area), (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)))
    return [box for _, box in sorted(found, key=lambda item: -item[0])]


def place_of(sticker: np.ndarray) -> tuple[int, int] | None:
    """Where the middle of what is opaque lies: (−1, 0 or 1, −1, 0 or 1), to the right and down; None for an empty sticker."""
    weight = sticker[..., 3].astype(np.float64)
    if not weight.any():
        return None
    middles = [(weight.sum(axis) * np.arange(len(weight))).sum() / weight.sum() / len(weight) for axis in (0, 1)]
    return tuple(int(share > 0.6) - int(share < 0.4) for share in middles)


def extent_of(sticker: np.ndarray) -> float:
    """Longer side of the box round all that is opaque, 0 … 1."""
    ys, xs = np.nonzero(sticker[..., 3] > OPAQUE)
    return 0.0 if not len(xs) else float(max(np.ptp(xs), np.ptp(ys)) + 1) / len(sticker)


def part_of(sticker: np.ndarray, part: tuple[float, float, float, float]) -> np.ndarray:
    """What is opaque within ``part`` (left, top, right, bottom as shares), enlarged to fill a sticker of the same side."""
    side = len(sticker)
    left, top, right, bottom = (round(share * side) for share in part)
    cut = Image.fromarray(np.ascontiguousarray(sticker[top:bottom, left:right]))
    box = cut.getchannel("A").point(lambda alpha: 255 * (alpha > OPAQUE)).getbbox()
    canvas = Image.new("RGBa", (side, side))
    if box is not None:
        cut = cut.crop(box).convert("RGBa")
        scale = 0.92 * side / max(cut.size)
        cut = cut.resize(tuple(max(1, round(scale * length)) for length in cut.size), Image.Resampling.BICUBIC)
        canvas.paste(cut, tuple((side - length) // 2 for length in cut.size))
    return np.asarray(canvas.convert("RGBA"))

"""Words for pictures: other ways to say a label, what may be mirrored, and colour words that stay true when recoloured."""

import math
import re

import numpy as np

HUES = {"red": 0.0, "orange": 28.0, "yellow": 52.0, "green": 120.0, "blue": 215.0, "purple": 275.0, "pink": 325.0}
"""Colour words and their hue in degrees."""
SHADES = ("black", "white", "grey", "brown")
"""Colour words that are no hue."""
COLOUR_WORDS = frozenset(HUES) | {"black", "white", "grey", "gray", "brown", "golden", "silver", "light", "dark"}

_ONE_SIDED_GROUPS = frozenset({"flags", "symbols"})
_ONE_SIDED_WORDS = frozenset(
    "left right clock clockwise anticlockwise arrow button keycap o'clock letter letters abc sign mark "
    "calendar numbers latin input atm moon text map".split()
)
_FIXED_COLOUR_GROUPS = frozenset({"flags", "symbols", "people-body", "smileys-emotion", "component"})


def may_mirror(meta: dict) -> bool:
    """Whether the mirrored drawing still shows what the label says (no writing, no flags, no left and right)."""
    words = set(re.findall(r"[a-z']+", meta["label"].lower()))
    return meta.get("group") not in _ONE_SIDED_GROUPS and not words & _ONE_SIDED_WORDS


def dominant_hue(pixels: np.ndarray) -> float | None:
    """Hue in degrees of a premultiplied uint8 picture [S, S, 4] that is mostly of one colour, else ``None``.

    One colour: at least 40 % of the opaque pixels are saturated, and their hues agree (mean resultant length ≥ 0.85).
    """
    opaque = pixels[pixels[..., 3] > 200][:, :3].astype(np.float32) / 255
    if len(opaque) < 50:
        return None
    high, low = opaque.max(1), opaque.min(1)
    saturated = opaque[(high - low > 0.3) & (high > 0.35)]
    if len(saturated) < 0.4 * len(opaque):
        return None
    r, g, b = saturated.T
    angle = np.arctan2(math.sqrt(3) * (g - b), 2 * r - g - b)
    vector = np.exp(1j * angle).mean()
    return float(np.degrees(np.angle(vector)) % 360) if abs(vector) >= 0.85 else None


def nearest_colour(hue: float) -> str:
    """The colour word whose hue is nearest."""
    return min(HUES, key=lambda word: abs((hue - HUES[word] + 180) % 360 - 180))


def shade_of(pixels: np.ndarray) -> str | None:
    """The one of :data:`SHADES` that a premultiplied uint8 picture [S, S, 4] is mostly of, else ``None``.

    Black, white, grey: the median opaque pixel has hardly any colour, its lightness says which; brown: that of a dark orange.
    """
    opaque = pixels[pixels[..., 3] > 200][:, :3].astype(np.float32) / 255
    if len(opaque) < 50:
        return None
    high, low = opaque.max(1), opaque.min(1)
    chroma, lightness = float(np.median(high - low)), float(np.median(high + low)) / 2
    if chroma < 0.12:
        return "black" if lightness < 0.32 else "white" if lightness > 0.72 else "grey"
    r, g, b = np.median(opaque, 0)
    angle = float(np.degrees(np.arctan2(math.sqrt(3) * (g - b), 2 * r - g - b)))
    return "brown" if lightness < 0.5 and chroma < 0.6 and 5 <= angle <= 45 else None


def recoloured_label(label: str, old: str | None, new: str) -> str | None:
    """``label`` told of the recoloured drawing: "red apple" → "green apple", "cat" → "purple cat".

    ``None`` where the label speaks of colours that the drawing's own colour word does not cover.
    """
    words = label.split()
    coloured = [word for word in words if word in COLOUR_WORDS]
    if not coloured:
        return f"{new} {label}"
    if coloured == [old]:
        return " ".join(new if word == old else word for word in words)
    return None


def may_recolour(meta: dict) -> bool:
    """Faces, people, flags and symbols keep their colours: they belong to what is meant."""
    return meta.get("group") not in _FIXED_COLOUR_GROUPS


def article(words: str) -> str:
    """``"apple"`` → ``"an apple"``."""
    return f"{'an' if words[:1] in 'aeiou' else 'a'} {words}"


def with_article(label: str, draw: float) -> str:
    """The label, half of the time with "a" or "an" before it, unless it is a number of things."""
    if draw < 0.5 or label.startswith(("two ", "three ")):
        return label
    return article(label)


def in_another_language(names: dict[str, list[str]], draws: list[float]) -> str:
    """A label, or now and then a tag, in a language chosen by two numbers in [0, 1). ``names``: locale → label, then tags."""
    said = list(names.values())[int(draws[0] * len(names))]
    return said[0] if draws[1] < 0.75 or len(said) == 1 else said[1 + int((draws[1] - 0.75) * 4 * (len(said) - 1))]


def reworded(label: str, tags: list[str], draws: list[float]) -> str:
    """Another way to say a label, from two numbers in [0, 1): a tag alone, or the label and a tag. Without tags, the label."""
    if not tags:
        return label
    tag = tags[int(draws[0] * len(tags))]
    return tag if draws[1] < 0.3 else f"{label} {tag}" if draws[1] < 0.65 else f"{tag} {label}"

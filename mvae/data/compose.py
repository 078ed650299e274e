"""Compositions of drawings, with captions that tell the truth: recoloured, on a background, smaller, elsewhere, mirrored, two
objects together, counted. Unlimited, and the same for the same seed.

A scene is planned first (which drawings, where, in which colour, in which words) and drawn afterwards, so that a caption can be
said in other words without drawing anything again.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import inflect
import numpy as np
import torch
from PIL import Image

from mvae.data.captions import (
    HUES,
    SHADES,
    article,
    dominant_hue,
    may_mirror,
    may_recolour,
    nearest_colour,
    recoloured_label,
    shade_of,
)
from mvae.data.dataset import with_hue, with_shade
from mvae.engine.pages import small_picture
from mvae.errors import DataError

BACKGROUNDS = {
    "red": (222, 56, 49), "orange": (245, 148, 40), "yellow": (250, 214, 70), "green": (74, 170, 84), "blue": (64, 132, 222),
    "purple": (136, 82, 200), "pink": (244, 138, 190), "white": (255, 255, 255), "black": (24, 24, 26), "grey": (140, 142, 146),
}
"""Colour words for backgrounds, sRGB."""
NOTHING = "transparent"
"""The word for no background."""
COUNTS = ("", "one", "two", "three")
HELD_OUT = 10
"""One pair in ten (colour × object, object × object) is never trained on."""
KINDS = {
    "colour": 0.22, "shade": 0.1, "background": 0.14, "place": 0.14, "mirrored": 0.04, "beside": 0.13, "above": 0.11,
    "count": 0.12,
}
"""Shares of the kinds of scenes."""
PLACES = {
    "at the top": (0.0, -1.0), "at the bottom": (0.0, 1.0), "on the left": (-1.0, 0.0), "on the right": (1.0, 0.0),
    "in the top left corner": (-1.0, -1.0), "in the top right corner": (1.0, -1.0),
    "in the bottom left corner": (-1.0, 1.0), "in the bottom right corner": (1.0, 1.0),
}
"""Words → direction from the middle, x to the right and y down."""
SIZES = ("tiny", "small")
STEP = 0.25
"""From the middle of a picture to that of a small copy: a whole number of places on grids of 4, 8 and 12, so that a copy has the
same tokens wherever it stands."""
SPOTS = {2: ((0.25, 0.5), (0.75, 0.5)), 3: ((0.5, 0.25), (0.25, 0.75), (0.75, 0.75))}
"""Middles of two and of three small copies."""
BESIDE = ("next to", "beside", "and")
ABOVE = ("on", "on top of", "above")
_UNCOUNTED = re.compile(r"\b(of|with|without|in|on|and|at|to|behind|man|men|woman|women|person|people|one|two|three)\b.|[:,]|\d")
"""Labels that have no simple plural: with more behind one of these words, with punctuation or with digits."""
_ALONE = frozenset({"flags", "symbols", "component"})
_words = inflect.engine()


@dataclass(frozen=True)
class Part:
    """One drawing of a scene."""

    picture: int
    x: float = 0.5
    """Middle of a small copy, as a share of the picture's side."""
    y: float = 0.5
    small: bool = False
    """A small copy (:mod:`mvae.engine.pages`) instead of the whole drawing as it is."""
    colour: str | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Scene:
    """What is drawn, and the words for it."""

    kind: str
    parts: tuple[Part, ...]
    words: str
    """English, without article and style."""
    background: str | None = None
    """A key of :data:`BACKGROUNDS`; None: transparent."""
    named: tuple[int, ...] = ()
    """Its drawings in the order of the words."""
    pair: tuple[str, str] | None = field(default=None, compare=False)
    """What has been combined: a colour and a concept, or two concepts."""


def held_out(first: str, second: str) -> bool:
    """Whether a pair (colour and concept, or two concepts in either order) is kept for testing: by its hash, always the same."""
    digest = hashlib.sha256("\n".join(sorted((first, second))).encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT == 0


def plural(label: str) -> str | None:
    """``"red apple"`` → ``"red apples"``; None where that is not so simple ("slice of pizza", "woman cook", "grapes")."""
    *before, last = label.split()
    if _UNCOUNTED.search(label) or _words.singular_noun(last):
        return None
    counted = _words.plural_noun(last)
    return " ".join([*before, counted]) if counted else None


class Composer:
    """Plans and draws scenes from one set of drawings."""

    def __init__(self, pixels: np.ndarray, metas: Sequence[dict], seed: int = 0):
        """``pixels``: premultiplied uint8 [N, S, S, 4]; ``metas``: label, concept, group and style of each.

        Raises :class:`DataError` where none of them may be combined.
        """
        self.pixels, self.metas, self.seed = pixels, metas, seed
        self.hues = [dominant_hue(picture) for picture in pixels]
        self.single = [i for i, meta in enumerate(metas) if meta.get("group") not in _ALONE]
        self.by_style: dict[str, list[int]] = {}
        for i in self.single:
            self.by_style.setdefault(metas[i]["style"], []).append(i)
        if not self.single:
            raise DataError("no drawing that may be combined with others; expected at least one that is no flag or symbol")

    def plan(self, number: int, kind: str | None = None, testing: bool = False) -> Scene:
        """Scene ``number``, of a drawn kind or the given one. ``testing``: pairs kept for testing alone, else all others.

        Raises :class:`DataError` where the drawings allow no such scene.
        """
        generator = np.random.default_rng((self.seed, number, testing))
        for _ in range(1000):
            chosen = kind or str(generator.choice(list(KINDS), p=np.array(list(KINDS.values())) / sum(KINDS.values())))
            scene = getattr(self, f"_{chosen}")(generator, int(generator.choice(self.single)))
            if scene is not None and (scene.pair is None or held_out(*scene.pair) == testing):
                return scene
        raise DataError(f"no scene of kind {kind!r} among 1000 tries; expected more or other drawings")

    def draw(self, scene: Scene) -> np.ndarray:
        """The scene's picture, premultiplied uint8 [S, S, 4]."""
        side = self.pixels.shape[1]
        canvas = Image.new("RGBa", (side, side), (*BACKGROUNDS[scene.background], 255) if scene.background else (0, 0, 0, 0))
        for part in scene.parts:
            _paste(canvas, self._coloured(part), part, side)
        return np.asarray(canvas)

    def _coloured(self, part: Part) -> np.ndarray:
        picture, hue = self.pixels[part.picture], self.hues[part.picture]
        if part.colour is not None:
            picture = in_colour(picture, hue, part.colour)
        return picture[:, ::-1] if part.mirrored else picture

    def _own_colour(self, number: int) -> str | None:
        hue = self.hues[number]
        return None if hue is None else nearest_colour(hue)

    def can_be(self, number: int, word: str) -> bool:
        """Whether a drawing that may be recoloured can take a colour that it has not got, and shows it then."""
        picture, hue = self.pixels[number], self.hues[number]
        if word in SHADES:
            return shade_of(picture) != word and shade_of(in_colour(picture, hue, word)) == word
        own = self._own_colour(number)
        return own != word and (own is not None or dominant_hue(in_colour(picture, None, word)) is not None)

    def _new_colour(self, generator: np.random.Generator, number: int) -> tuple[str, str] | None:
        """A colour that the drawing can take and has not got, and the label that says so."""
        meta, own = self.metas[number], self._own_colour(number)
        colour = str(generator.choice([word for word in HUES if word != own]))
        words = recoloured_label(meta["label"], own, colour) if may_recolour(meta) else None
        if words is None or not self.can_be(number, colour):
            return None
        return colour, words

    def _colour(self, generator: np.random.Generator, number: int) -> Scene | None:
        found = self._new_colour(generator, number)
        if found is None:
            return None
        pair = found[0], self.metas[number]["concept"]
        return Scene("colour", (Part(number, colour=found[0]),), found[1], named=(number,), pair=pair)

    def _shade(self, generator: np.random.Generator, number: int) -> Scene | None:
        meta, own = self.metas[number], shade_of(self.pixels[number])
        shade = str(generator.choice([word for word in SHADES if word != own]))
        words = recoloured_label(meta["label"], own, shade) if may_recolour(meta) else None
        if words is None or not self.can_be(number, shade):
            return None
        return Scene("shade", (Part(number, colour=shade),), words, named=(number,), pair=(shade, meta["concept"]))

    def _background(self, generator: np.random.Generator, number: int) -> Scene:
        own = self._own_colour(number)
        colour = str(generator.choice([NOTHING, *(word for word in BACKGROUNDS if word != own)]))
        label = self.metas[number]["label"]
        words = [f"{label} on a {colour} background", f"{label}, {colour} background"][int(generator.integers(2))]
        return Scene("background", (Part(number),), words.replace("a orange", "an orange"),
                     None if colour == NOTHING else colour, (number,))

    def _place(self, generator: np.random.Generator, number: int) -> Scene:
        label = self.metas[number]["label"]
        middle = (0.5, 0.5)
        words = f"{generator.choice(SIZES)} {label}"
        if generator.random() < 0.6:
            place = str(generator.choice(list(PLACES)))
            middle = tuple(0.5 + step * STEP for step in PLACES[place])
            words = f"{words if generator.random() < 0.5 else label} {place}"
        return Scene("place", (Part(number, *middle, small=True),), words, named=(number,))

    def _mirrored(self, generator: np.random.Generator, number: int) -> Scene | None:
        meta = self.metas[number]
        if not may_mirror(meta):
            return None
        return Scene("mirrored", (Part(number, mirrored=True),), f"mirrored {meta['label']}", named=(number,))

    def _pair(self, generator: np.random.Generator, number: int) -> tuple[int, list[str], list[str | None]] | None:
        """Another drawing of the same style and another concept; words and colours for both."""
        others = self.by_style[self.metas[number]["style"]]
        other = int(generator.choice(others))
        if self.metas[other]["concept"] == self.metas[number]["concept"]:
            return None
        words, colours = [], []
        for drawing in (number, other):
            found = self._new_colour(generator, drawing) if generator.random() < 0.2 else None
            if found and held_out(found[0], self.metas[drawing]["concept"]):
                found = None
            words.append(found[1] if found else self.metas[drawing]["label"])
            colours.append(found[0] if found else None)
        return other, words, colours

    def _beside(self, generator: np.random.Generator, number: int) -> Scene | None:
        if (found := self._pair(generator, number)) is None:
            return None
        other, words, colours = found
        parts = (Part(number, 0.25, 0.5, True, colours[0]), Part(other, 0.75, 0.5, True, colours[1]))
        relation = str(generator.choice(BESIDE))
        text = f"{words[0]} {relation} {article(words[1])}"
        return Scene("beside", parts, text, named=(number, other), pair=self._concepts(number, other))

    def _above(self, generator: np.random.Generator, number: int) -> Scene | None:
        if (found := self._pair(generator, number)) is None:
            return None
        other, words, colours = found
        parts = (Part(other, 0.5, 0.75, True, colours[1]), Part(number, 0.5, 0.25, True, colours[0]))
        if generator.random() < 0.25:
            text, named = f"{words[1]} {['under', 'below'][int(generator.integers(2))]} {article(words[0])}", (other, number)
        else:
            text, named = f"{words[0]} {generator.choice(ABOVE)} {article(words[1])}", (number, other)
        return Scene("above", parts, text, named=named, pair=self._concepts(number, other))

    def _count(self, generator: np.random.Generator, number: int) -> Scene | None:
        count = int(generator.integers(2, 4))
        counted = plural(self.metas[number]["label"])
        if counted is None:
            return None
        parts = tuple(Part(number, *spot, small=True) for spot in SPOTS[count])
        return Scene("count", parts, f"{COUNTS[count]} {counted}", named=(number,))

    def _concepts(self, first: int, second: int) -> tuple[str, str]:
        return self.metas[first]["concept"], self.metas[second]["concept"]


def in_colour(picture: np.ndarray, hue: float | None, wanted: str) -> np.ndarray:
    """A premultiplied picture [S, S, 4] in one of the colours of :data:`HUES` or :data:`SHADES`.

    For a hue, a picture of one ``hue`` (degrees) is turned to it, one of no one hue is drawn in its shades.
    """
    image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    image = with_shade(image, wanted) if wanted in SHADES else with_hue(image, hue, HUES[wanted])
    return (image[0].permute(1, 2, 0) * 255).round().byte().numpy()


def _paste(canvas: Image.Image, picture: np.ndarray, part: Part, side: int) -> None:
    """Put a premultiplied picture, whole or as a small copy, on the canvas."""
    image, corner = Image.fromarray(np.ascontiguousarray(picture), "RGBa"), (0, 0)
    if part.small:
        image = small_picture(image)
        corner = tuple(round(middle * side - image.width / 2) for middle in (part.x, part.y))
    layer = np.zeros((side, side, 4), np.float32)
    patch = np.asarray(image, np.float32)
    x, y = corner
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + patch.shape[1], side), min(y + patch.shape[0], side)
    layer[y0:y1, x0:x1] = patch[y0 - y : y1 - y, x0 - x : x1 - x]
    under = np.asarray(canvas, np.float32)
    canvas.paste(Image.fromarray((layer + under * (1 - layer[..., 3:] / 255)).round().clip(0, 255).astype(np.uint8), "RGBa"))

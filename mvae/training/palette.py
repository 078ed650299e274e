"""What a model's palette (:mod:`mvae.engine.palette`) is learned from: drawings and the same drawings in another colour."""

import numpy as np

from mvae.config import VaeConfig
from mvae.data.captions import HUES, SHADES, dominant_hue, nearest_colour, shade_of
from mvae.data.dataset import Pictures
from mvae.engine.palette import Palette
from mvae.models.quantile import token_cells
from mvae.training.scenes import Scenes

WORDS = (*HUES, *SHADES)


def learn_palette(pictures: Pictures, tokens: np.ndarray, scenes: Scenes, vae: VaeConfig) -> Palette:
    """For every colour and token the mean of what that token has become, digit by digit, rounded.

    ``tokens``: int64 [N, P] of the pictures. Pairs are the scenes that show one of them in another colour, and the pictures that
    have the colour already, which keep it. A token that no pair holds stays as it is.
    """
    cells = token_cells(vae.levels, vae.coordinates).numpy()
    sums, counts = np.zeros((len(WORDS), *cells.shape)), np.zeros((len(WORDS), len(cells)), np.int64)

    def count(colour: str | None, before: np.ndarray, after: np.ndarray) -> None:
        if colour is not None:
            row = WORDS.index(colour)
            np.add.at(sums[row], before, cells[after])
            np.add.at(counts[row], before, 1)

    for number, (named, colours) in enumerate(zip(scenes.named, scenes.colours, strict=True)):
        if len(named) == 1:
            count(colours[0], tokens[named[0]], scenes.tokens[number].numpy())
    for picture, before in zip(pictures.pixels, tokens, strict=True):
        hue = dominant_hue(picture)
        count(shade_of(picture) if hue is None else nearest_colour(hue), before, before)
    digits = np.where(counts[..., None] > 0, np.rint(sums / np.maximum(counts, 1)[..., None]), cells).astype(np.int64)
    return Palette(WORDS, (digits @ vae.levels ** np.arange(vae.coordinates)[::-1]).astype(np.uint16))

"""What a model's palette (:mod:`mvae.engine.palette`) is learned from: drawings, and the same drawings in another colour."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from tqdm import tqdm

from mvae.data.captions import HUES, SHADES, may_recolour
from mvae.data.compose import Composer, held_out, in_colour
from mvae.data.dataset import Pictures
from mvae.engine.palette import Palette
from mvae.models.mvae import MVAE
from mvae.models.quantile import token_cells
from mvae.training.checkpoint import save_tensors
from mvae.training.recall import encode_drawn

WORDS = (*HUES, *SHADES)
SHARE = 0.4
"""Share of all that could be recoloured that is: ten thousand pairs are enough, more change nothing."""


def compute_palette(
    vae: MVAE, pictures: Pictures, tokens: np.ndarray, seed: int, path: Path, mark: str, progress: bool = True
) -> Palette:
    """Recolour, encode and learn, or read the palette back from ``path`` where it was made with the same ``mark``.

    ``tokens``: int64 [N, P] of the pictures. Pairs of colour and concept that are held out for testing are left out.
    """
    if path.exists():
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("mark") == mark:
                return Palette(WORDS, file.get_tensor("palette").numpy().astype(np.uint16))
    before, colours = [], []

    def drawn() -> Iterator[np.ndarray]:
        for number, word, picture in tqdm(recolourings(pictures, seed), desc="palette", unit="pair", disable=not progress):
            before.append(number)
            colours.append(WORDS.index(word))
            yield picture

    after = encode_drawn(vae, drawn()).numpy()
    palette = learn_palette(tokens[before], np.array(colours, np.int64), after, vae.config.levels, vae.config.coordinates)
    save_tensors(path, {"palette": torch.from_numpy(palette.tokens.astype(np.int32))}, {"mark": mark})
    return palette


def recolourings(pictures: Pictures, seed: int) -> Iterator[tuple[int, str, np.ndarray]]:
    """A share of the drawings that may be recoloured, each in colours that it has not got: its number, the word, the picture."""
    composer, random = Composer(pictures.pixels, pictures.meta, seed), np.random.default_rng(seed)
    for number in composer.single:
        if not may_recolour(pictures.meta[number]):
            continue
        for word in WORDS:
            if random.random() < SHARE and not held_out(word, pictures.meta[number]["concept"]) and composer.can_be(number, word):
                yield number, word, in_colour(pictures.pixels[number], composer.hues[number], word)


def learn_palette(before: np.ndarray, colours: np.ndarray, after: np.ndarray, levels: int, coordinates: int) -> Palette:
    """For every colour and token the mean of what that token became, digit by digit, rounded; tokens int64 [n, P], ``colours``
    int64 [n] of :data:`WORDS`. A token that no pair holds stays as it is: recolouring it has not been seen.
    """
    cells = token_cells(levels, coordinates).numpy()
    sums, counts = np.zeros((len(WORDS), *cells.shape)), np.zeros((len(WORDS), len(cells)), np.int64)
    for row in range(len(WORDS)):
        chosen = colours == row
        np.add.at(sums[row], before[chosen].ravel(), cells[after[chosen].ravel()])
        np.add.at(counts[row], before[chosen].ravel(), 1)
    digits = np.where(counts[..., None] > 0, np.rint(sums / np.maximum(counts, 1)[..., None]), cells).astype(np.int64)
    return Palette(WORDS, (digits @ levels ** np.arange(coordinates)[::-1]).astype(np.uint16))

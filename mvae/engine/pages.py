"""What the encoder reads of recalled stickers, laid out in pages of as many tokens as a sticker has.

A page holds a sticker as it is, or, where the model reads small copies, the last page holds up to two stickers at half size, each
in a quarter of the page: upper left, upper right. What is asked for small, twice or beside something else is then at hand in
its size, a whole number of grid places away from where it is to be drawn.

Legend: P tokens a sticker, Q = P / 4 tokens of a small copy, S image side.
"""

import numpy as np
from PIL import Image

from mvae.config import SMALL_COPIES, LatentConfig
from mvae.errors import DataError

SMALL = 7 / 16
"""Side of a small copy, as a share of the picture's: the quarter in whose middle it stands leaves a narrow frame."""


def small_places(latent: LatentConfig) -> np.ndarray:
    """int64 [SMALL_COPIES, Q]: the places of each small copy on the page.

    Raises :class:`DataError` for a grid without whole quarters.
    """
    rows, columns = latent.shape
    if rows % 2 or columns % 2 or latent.depth != 1:
        raise DataError(f"small copies on a grid of {rows}×{columns}×{latent.depth}; expected even sides and one token a place")
    grid = np.arange(rows * columns).reshape(rows, columns)
    return np.stack([half.ravel() for half in np.hsplit(grid[: rows // 2], SMALL_COPIES)])


def small_picture(picture: Image.Image) -> Image.Image:
    """A premultiplied (``RGBa``) picture, S × S → its small copy in the middle of S/2 × S/2."""
    side = picture.width
    shrunk = picture.resize((round(SMALL * side), round(SMALL * side)), Image.Resampling.HAMMING)
    cell = Image.new("RGBa", (side // 2, side // 2))
    cell.paste(shrunk, ((cell.width - shrunk.width) // 2,) * 2)
    return cell


def small_page(picture: Image.Image) -> Image.Image:
    """A picture of mode RGBA or RGBa, S × S → one that holds its small copy, upper left, and nothing else; the same mode."""
    page = Image.new("RGBa", picture.size)
    page.paste(small_picture(picture.convert("RGBa")), (0, 0))
    return page.convert(picture.mode)


def lay_out(
    whole: np.ndarray, small: np.ndarray | None, pages: int, latent: LatentConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [K, P] and, for a model that reads small copies, [K', Q] → ids int64 [pages, P] and which of them there are, bool.

    Stickers that find no room are left out.
    """
    ids = np.zeros((pages, latent.positions), np.int64)
    there = np.zeros((pages, latent.positions), bool)
    room = pages if small is None else pages - 1
    ids[: len(whole[:room])], there[: len(whole[:room])] = whole[:room], True
    if small is not None:
        for places, tokens in zip(small_places(latent), small, strict=False):
            ids[-1, places], there[-1, places] = tokens, True
    return ids, there

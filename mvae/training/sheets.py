"""Sample sheets: rows of small pictures on a checkerboard, as one PNG."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mvae.files import write_atomic
from mvae.objective import on_white


def checkerboard(side: int, cell: int = 8) -> np.ndarray:
    """Grey checkerboard, float [side, side, 1] in [0, 1]: makes transparency visible."""
    index = np.arange(side) // cell
    return np.where((index[:, None] + index[None]) % 2, 0.86, 0.96)[..., None]


def save_sheet(path: Path, rows: list[Tensor], captions: list[str] | None = None, columns: int = 16) -> None:
    """``rows``: tensors [N, 4, S, S] of premultiplied pictures that belong together, one under the other, N pictures wide at
    most.

    ``captions`` are written below each column.
    """
    side = rows[0].shape[-1]
    background = checkerboard(side)
    count = rows[0].shape[0]
    band, text = len(rows) * side, 12 if captions else 0
    lines = -(-count // columns)
    sheet = Image.new("RGB", (min(count, columns) * side, lines * (band + text + 4)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, pictures in enumerate(rows):
        pixels = pictures.detach().float().clamp(0, 1).cpu().permute(0, 2, 3, 1).numpy()
        for index, picture in enumerate(pixels):
            seen = picture[..., :3] + background * (1 - picture[..., 3:])
            tile = Image.fromarray((seen.clip(0, 1) * 255 + 0.5).astype(np.uint8))
            sheet.paste(tile, (index % columns * side, index // columns * (band + text + 4) + row * side))
    for index, words in enumerate(captions or []):
        draw.text((index % columns * side + 2, index // columns * (band + text + 4) + band), words[: side // 6], fill="black")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def psnr_on_white(x: Tensor, y: Tensor) -> Tensor:
    """PSNR in dB per image of two premultiplied batches [B, 4, S, S], composited on white as 8-bit RGB: [B]."""
    seen = [torch.round(on_white(i) * 255) / 255 for i in (x, y)]
    error = (seen[0] - seen[1]).square().mean((1, 2, 3)).clamp(min=1e-10)
    return -10 * torch.log10(error)

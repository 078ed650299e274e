"""The real drawings, decoded from the shards that ``python -m mvae data build emoji`` writes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mvae.data.shards import read_shard
from mvae.errors import DataError


@dataclass(frozen=True)
class Drawings:
    """Arrays over N drawings, in the order of the shards' names."""

    rgba: np.ndarray
    """uint8 [N, S, S, 4], straight alpha."""
    concept: np.ndarray
    """Code points of the base emoji, str [N]."""
    label: np.ndarray
    group: np.ndarray
    """Emoji group, for example ``flags``."""
    style: np.ndarray
    split: np.ndarray
    """``train`` or ``unseen``, str [N]."""

    def __len__(self) -> int:
        return len(self.rgba)

    def take(self, chosen: np.ndarray) -> "Drawings":
        """The drawings at the given indices or where the given mask is true."""
        return Drawings(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Stored:
    """One drawing that has not been decoded yet."""

    concept: str
    label: str
    group: str
    style: str
    split: str
    image: bytes


def list_drawings(folder: Path | str, role: str) -> list[Stored]:
    """Every drawing of one role (``train`` or ``judge``), in the order of the shards' names.

    Raises :class:`DataError` when the folder holds no such shard, or a sample lacks one of the fields above.
    """
    paths = sorted(Path(folder).glob(f"{role}-*.tar"))
    if not paths:
        raise DataError(f"{folder}: no {role}-*.tar shards; expected the output of: python -m mvae data build emoji")
    names = [field.name for field in fields(Stored) if field.name != "image"]
    found = []
    for path in paths:
        for sample in read_shard(path):
            missing = [name for name in names if name not in sample.meta]
            if missing:
                raise DataError(
                    f"{path}: sample {sample.key} lacks {missing}; expected the metadata of: python -m mvae data build emoji"
                )
            found.append(Stored(*(sample.meta[name] for name in names), sample.image))
    return found


def decode_drawings(stored: Sequence[Stored]) -> Drawings:
    """Decode the pixels. Raises :class:`DataError` for no drawings, or drawings of different sizes."""
    images = []
    for drawing in tqdm(stored, desc="decoding drawings", unit="drawing", leave=False):
        images.append(np.asarray(Image.open(io.BytesIO(drawing.image)).convert("RGBA")))
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) != 1:
        raise DataError(f"drawings of sizes {sizes}; expected one size")
    names = [field.name for field in fields(Drawings) if field.name != "rgba"]
    return Drawings(np.stack(images), **{name: np.array([getattr(drawing, name) for drawing in stored]) for name in names})


def load_drawings(folder: Path | str, role: str) -> Drawings:
    """:func:`list_drawings`, decoded."""
    return decode_drawings(list_drawings(folder, role))


def composite_on_white(rgba_NSS4: np.ndarray) -> np.ndarray:
    """Straight-alpha RGBA uint8 → RGB uint8 on a white background, rounded to nearest. Any leading dimensions."""
    colour, alpha = rgba_NSS4[..., :3].astype(np.uint32), rgba_NSS4[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)

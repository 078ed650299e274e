"""From one picture to another through the latent space, and animations as files.

Legend: P positions, C coordinates of one token.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mvae.config import LatentConfig
from mvae.errors import OptionError, TokensError

FRAMES_MAX = 120
FORMATS = {"webp": "WEBP", "gif": "GIF"}
"""File ending → Pillow's name."""


def between(first: Sequence[int], second: Sequence[int], frames: int, latent: LatentConfig) -> np.ndarray:
    """Tokens of ``frames`` pictures from ``first`` to ``second``, both included: int64 [frames, P].

    Every coordinate of the latent goes straight from its cell to the other's, so that equal tokens stay as they are. Raises
    OptionError unless ``frames`` is 2 … 120, TokensError for tokens that are not those of whole pictures of this latent.
    """
    if isinstance(frames, bool) or not isinstance(frames, int) or not 2 <= frames <= FRAMES_MAX:
        raise OptionError(f"frames is {frames!r:.60}; expected a whole number from 2 to {FRAMES_MAX}")
    ends = []
    for tokens in (first, second):
        given = np.asarray(tokens)
        whole = given.shape == (latent.positions,) and given.dtype.kind in "iu"
        if not whole or given.min() < 0 or given.max() >= latent.codebook:
            raise TokensError(f"got tokens of shape {given.shape}; expected {latent.positions} from 0 to {latent.codebook - 1}")
        ends.append(given)
    powers = latent.levels ** np.arange(latent.coordinates - 1, -1, -1)
    start, end = (tokens[:, None] // powers % latent.levels for tokens in ends)  # [P, C]
    share = np.linspace(0, 1, frames)[:, None, None]
    # Halves go towards the end, at both ends alike: a way back is the same pictures in reverse but for these.
    cells = np.floor(start + share * (end - start) + 0.5).astype(np.int64)
    return (cells * powers).sum(-1)


def animation(images: Sequence[Image.Image], kind: str = "webp", milliseconds: int = 50) -> bytes:
    """An endless animation of RGBA pictures, there and back again. ``kind``: ``webp`` (transparent) or ``gif`` (on white).

    Raises OptionError for another kind or no picture.
    """
    if kind not in FORMATS or not images:
        raise OptionError(f"kind is {kind!r:.20}, {len(images)} pictures; expected one of {', '.join(FORMATS)} and at least one")
    there_and_back = [*images, *images[-2:0:-1]]
    if kind == "gif":  # transparent or not is all that a GIF knows: edges would fray
        there_and_back = [Image.alpha_composite(Image.new("RGBA", image.size, "white"), image) for image in there_and_back]
    buffer = io.BytesIO()
    first, *others = there_and_back
    first.save(
        buffer, FORMATS[kind], save_all=True, append_images=others, duration=milliseconds, loop=0,
        **({"quality": 90, "method": 4} if kind == "webp" else {}),
    )
    return buffer.getvalue()

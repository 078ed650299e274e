"""What differs between two columns, in tokens and in pixels."""

import numpy as np

from ui.cards import Card
from ui.names import model_title


def psnr_on_white(first, second) -> float:
    """PSNR in dB of two RGBA images of one size, composited on white as 8-bit RGB; infinity when equal."""

    def flat(image):
        rgba = np.asarray(image, dtype=np.float64)
        alpha = rgba[..., 3:] / 255
        return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha))

    error = np.mean((flat(first) - flat(second)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def comparison(card: Card, tokens, first: Card, first_tokens) -> list[str]:
    """Lines for ``card`` that compare it with the first column; pictures of different sizes are not compared."""
    equal = sum(a == b for a, b in zip(tokens, first_tokens, strict=True))
    notes = [f"{equal} of {len(tokens)} tokens as in {model_title(first.name)}"]
    if card.image.size == first.image.size:
        distance = psnr_on_white(card.image, first.image)
        notes.append("every pixel the same" if np.isinf(distance) else f"PSNR to its picture: {distance:.1f} dB")
    return notes

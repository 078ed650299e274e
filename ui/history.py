"""What a visitor has made during this visit: a strip of small stickers, newest first; a press draws one again."""

import re
from dataclasses import dataclass
from html import escape

from PIL import Image

from mvae.errors import OptionError
from ui.cards import data_url

MAX_MADE = 24
"""Older ones are forgotten."""
SIDE = 64
"""Pixels of a small sticker."""
FIELD = "history-picked"
"""Hidden field that a press on the strip writes a place into."""


@dataclass(frozen=True)
class Made:
    """Everything that draws a sticker again, and how it looked."""

    prompt: str
    style: str
    seed: int
    negative: str
    image: str
    """Address of the small sticker."""

    @classmethod
    def of(cls, prompt: str, style: str | None, seed: int, negative: str, image: Image.Image) -> "Made":
        """From what was asked for and the sticker in the first column."""
        return cls(prompt, style or "", int(seed), negative, data_url(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))

    def asked(self) -> tuple:
        """What it was asked for by: equal for stickers that are drawn alike."""
        return self.prompt, self.style, self.seed, self.negative


def with_made(history: tuple[Made, ...], made: Made) -> tuple[Made, ...]:
    """``history`` with ``made`` in front; what was asked for before in just that way moves there."""
    return (made, *(other for other in history if other.asked() != made.asked()))[:MAX_MADE]


def picked(history: tuple[Made, ...], place: str) -> Made:
    """The sticker at the place that a press named. Raises :class:`OptionError` where there is none."""
    if not re.fullmatch(r"\d{1,3}", place or "") or int(place) >= len(history):
        raise OptionError(f"sticker {place!r:.20} of this visit; expected 0 to {len(history) - 1}")
    return history[int(place)]


def render_history(history: tuple[Made, ...]) -> str:
    """The strip; nothing until there are two."""
    if len(history) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" data-hand="{FIELD}" data-value="{place}" data-tip="{escape(made.prompt)}">'
        f'<img src="{made.image}" alt="{escape(made.prompt)}"></button>'
        for place, made in enumerate(history)
    )
    return f'<div class="chart-title">This visit</div><div class="strip">{buttons}</div>'

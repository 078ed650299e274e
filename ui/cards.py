"""Result cards: one per model, drawn as HTML from what has been measured so far."""

import base64
import io
from dataclasses import dataclass, field
from html import escape

from PIL import Image

from ui.names import megabytes, model_title

STAGES = {"text": "Text", "tokens": "Tokens", "decode": "Decode"}
"""Stages of prompt → sticker, in the order in which they run; the keys are CSS classes."""

_ARROW = (
    '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true">'
    '<path d="M8 2v8.2M4.6 7 8 10.4 11.4 7M2.5 13.6h11"/></svg>'
)


@dataclass
class Card:
    """One model's column, from waiting to done."""

    name: str
    bytes: int
    image: Image.Image | None = None
    """RGBA; partial while tokens are still being made."""
    share: float = 0.0
    """Tokens made so far, 0 … 1."""
    timings: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage; empty until the sticker is done."""
    notes: list[str] = field(default_factory=list)
    file_name: str = "sticker.png"
    state: str = "ready"
    """What it is doing before the first tokens appear."""
    recalled: list[tuple[str, str]] = field(default_factory=list)
    """Words and address of the stickers that were read beside the prompt."""


def data_url(image: Image.Image) -> str:
    """The image as a PNG inside a ``data:`` address."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def stage_bar(timings: dict[str, float], width: float = 100.0) -> str:
    """Stages as a stacked bar that takes ``width`` per cent of its line; each piece says its milliseconds when pointed at."""
    total = sum(timings.values()) or 1.0
    pieces = "".join(
        f'<i class="{stage}" style="width:{100 * timings[stage] / total:.2f}%" '
        f'data-tip="{STAGES[stage]}: {timings[stage]:.1f} ms"></i>'
        for stage in STAGES
        if stage in timings
    )
    return f'<div class="bar" style="width:{width:.2f}%">{pieces}</div>'


def render_cards(cards: list[Card]) -> str:
    """All columns side by side."""
    size = "one" if len(cards) == 1 else "few" if len(cards) <= 3 else "many"
    return f'<div class="cards {size} n{len(cards)}">{"".join(map(_render, cards))}</div>'


def _render(card: Card) -> str:
    title = escape(model_title(card.name))
    notes = "".join(f'<div class="note">{escape(note)}</div>' for note in card.notes)
    if card.timings:
        span = "prompt to pixels" if "tokens" in card.timings else "tokens to pixels"
        speed = f'<div class="total"><span>{span}</span><b>{sum(card.timings.values()):.0f} ms</b></div>' + stage_bar(
            card.timings
        )
    else:
        state = f"{card.share:.0%} of the tokens" if card.share else escape(card.state)
        speed = f'<div class="total"><span>{state}</span></div><div class="bar"></div>'
    return (
        f'<article class="card" data-model="{escape(card.name)}" data-done="{str(bool(card.timings)).lower()}">'
        f'<div class="stage">{_stage(card)}</div>'
        f'<div class="facts"><div class="top"><span class="name">{title}</span>'
        f'<span class="size" data-tip="The files this model loads, memory included">{megabytes(card.bytes)}</span></div>'
        f"{speed}{_recalled(card)}{notes}</div></article>"
    )


def _recalled(card: Card) -> str:
    if not card.recalled:
        return ""
    read = "".join(f'<img src="{address}" alt="" data-tip="{escape(words)}">' for words, address in card.recalled)
    words = escape(", ".join(dict.fromkeys(words for words, _ in card.recalled)))
    return f'<div class="recalled" data-tip="What the model read beside your prompt">{read}<span>looked at: {words}</span></div>'


def _stage(card: Card) -> str:
    if card.image is None:
        return '<div class="empty">Your sticker<br>appears here</div>'
    address = data_url(card.image)
    width, height = card.image.size
    picture = f'<img src="{address}" alt="Sticker drawn by {escape(model_title(card.name))}" width="{width}" height="{height}">'
    if not card.timings:
        return f'{picture}<div class="rows" style="width:{100 * card.share:.0f}%"></div>'
    save = (
        f'<a class="save" href="{address}" download="{escape(card.file_name)}" aria-label="Download transparent PNG" '
        f'data-tip="Transparent PNG, {width} × {height} px">{_ARROW}<span>PNG</span></a>'
    )
    return picture + save

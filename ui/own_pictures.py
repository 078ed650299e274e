"""A visitor's own pictures: kept as tokens for this visit, and redrawn by models that read a memory. Nothing is trained."""

from dataclasses import dataclass
from html import escape

import gradio as gr
from PIL import Image

import mvae
from mvae.config import PROMPT_MAX_CHARACTERS
from mvae.errors import ImageError, MvaeError, OptionError
from ui.cards import data_url
from ui.library import Library
from ui.messages import explain, notice
from ui.theme import html

MAX_PICTURES = 24


@dataclass(frozen=True)
class Own:
    """What one visitor has added."""

    memory: mvae.Memory
    shown: tuple[tuple[str, str], ...]
    """Words and address of each picture as its tokens keep it."""


def add_picture(library: Library, image: Image.Image | None, words: str, own: Own | None) -> Own:
    """``own`` with one picture more. Raises :class:`OptionError`, :class:`PromptError` or :class:`ImageError`."""
    if image is None:
        raise ImageError("Choose a picture first.")
    if own is not None and len(own.shown) >= MAX_PICTURES:
        raise OptionError(f"Up to {MAX_PICTURES} pictures fit; clear them to begin again.")
    model = library.get(library.memory_names[0])
    memory = model.remember(image, words, own=own.memory if own else None)
    seen = data_url(model.decode(memory.tokens[-1]))
    return Own(memory, (*(own.shown if own else ()), (memory.label(len(memory) - 1), seen)))


def render_own(own: Own | None) -> str:
    """The pictures added so far, as their tokens keep them."""
    if own is None:
        return ""
    figures = "".join(
        f'<figure><img src="{address}" alt="{escape(words)}"><figcaption>{escape(words)}</figcaption></figure>'
        for words, address in own.shown
    )
    return f'<div class="own">{figures}</div>'


class OwnPictures:
    """Builds the panel inside the current ``gr.Blocks``; :attr:`state` holds an :class:`Own` or None."""

    def __init__(self, library: Library):
        self.library = library
        self.state = gr.State(None)
        with gr.Accordion("Your own pictures", open=False, elem_id="own", visible=bool(library.memory_names)):
            html(
                '<p class="hint">Add a picture and its words; models that read a memory redraw it when a prompt comes near. '
                "Nothing is trained, and it is forgotten when you leave.</p>"
            )
            self.image = gr.Image(
                type="pil", image_mode="RGBA", sources=["upload"], label="Picture", show_label=False, height=150,
                elem_id="own-image",
            )
            self.words = gr.Textbox(
                label="What it shows", show_label=False, placeholder="What it shows", max_length=PROMPT_MAX_CHARACTERS,
                max_lines=1, container=False, elem_id="own-words",
            )
            with gr.Row(elem_id="own-buttons"):
                self.add = gr.Button("Add", size="sm", min_width=0, elem_id="own-add")
                self.clear = gr.Button("Clear", size="sm", min_width=0, elem_id="own-clear")
            self.list = html("", elem_id="own-list")

    def connect(self, message, **event) -> None:
        """Register the panel's events; ``message`` shows what went wrong, ``event`` are the options of events that run models."""
        outputs = [self.state, self.list, self.image, self.words, message]
        gr.on([self.add.click, self.words.submit], self._add, [self.image, self.words, self.state], outputs, **event)
        self.clear.click(lambda: (None, ""), None, [self.state, self.list], queue=False, api_visibility="private")

    def _add(self, image, words, own):
        try:
            own = add_picture(self.library, image, words or "", own)
        except MvaeError as error:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), notice(explain(error, words or ""))
        return own, render_own(own), None, "", notice()

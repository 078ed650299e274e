"""The Remix tab: parts of a sticker drawn anew, variations of it, a picture of one's own to begin with, and animations from one
prompt to another. Everything works on tokens: what is painted over becomes unknown, and the model draws it given the rest."""

import base64
import re
import secrets
from dataclasses import dataclass
from html import escape

import gradio as gr
import numpy as np
from PIL import Image

import mvae
from mvae.config import PROMPT_MAX_CHARACTERS, LatentConfig
from mvae.engine.morph import FORMATS, animation, between
from mvae.errors import ImageError, MvaeError, OptionError
from ui.cards import data_url
from ui.library import Library
from ui.messages import explain, notice
from ui.names import EXAMPLES, model_title, style_choices
from ui.theme import html

UNDO = 20
"""Steps that can be taken back."""
VARIATIONS = 4
RENEWED = 0.5
"""Share of the grid that a variation draws anew."""
FRAMES = 24
"""Of an animation, one way."""


@dataclass(frozen=True)
class Piece:
    """What is being worked on, and what it was before."""

    tokens: tuple[int, ...]
    before: tuple[tuple[int, ...], ...] = ()

    def then(self, tokens: tuple[int, ...]) -> "Piece":
        """The next state of the same piece."""
        return Piece(tokens, (*self.before, self.tokens)[-UNDO:])


def chosen_places(painted: str, latent: LatentConfig) -> list[int]:
    """Grid places that were painted over, from the painter's text ("3 4 17"). Raises :class:`OptionError` for none or others."""
    places = latent.positions // latent.depth
    if not re.fullmatch(r"\d{1,5}( \d{1,5})*", painted or ""):
        raise OptionError("Paint over what should be drawn anew first.")
    chosen = sorted({int(place) for place in painted.split(" ")})
    if chosen[-1] >= places:
        raise OptionError(f"place {chosen[-1]} of the grid; expected 0 to {places - 1}")
    return chosen


def with_gaps(tokens: tuple[int, ...], places: list[int], latent: LatentConfig) -> tuple[int, ...]:
    """``tokens`` with the mask token at every token of these grid places."""
    gone = set(places)
    return tuple(latent.mask_token if number // latent.depth in gone else token for number, token in enumerate(tokens))


def scattered(latent: LatentConfig, seed: int, share: float = RENEWED) -> list[int]:
    """A share of the grid's places, the same for the same seed."""
    places = latent.positions // latent.depth
    order = np.random.default_rng(seed).permutation(places)
    return sorted(order[: max(1, round(share * places))].tolist())


def painter(image: Image.Image | None, latent: LatentConfig) -> str:
    """The element to paint on."""
    address = data_url(image) if image else ""
    return (
        f'<mvae-painter data-image="{address}" data-rows="{latent.shape[0]}" data-columns="{latent.shape[1]}" '
        'data-target="remix-painted"></mvae-painter>'
    )


class RemixTab:
    """Builds the tab inside the current ``gr.Blocks`` and handles its events."""

    def __init__(self, library: Library, engine: dict):
        """``engine``: options of events that run a model."""
        self.library, self.engine = library, engine
        self._build()

    # Events

    def begin(self, name: str, prompt: str, style: str):
        """Draw something to work on."""
        return self._answer(name, prompt, lambda model: Piece(model.generate(prompt, style=style or None, seed=_seed()).tokens))

    def take(self, name: str, image: Image.Image | None):
        """Begin with a picture of the visitor's own."""

        def read(model: mvae.Model) -> Piece:
            if image is None:
                raise ImageError("Choose a picture first.")
            return Piece(tuple(model.encode(image)))

        return self._answer(name, "", read)

    def redraw(self, name: str, prompt: str, style: str, painted: str, piece: Piece | None):
        """Draw what is painted over anew."""

        def make(model: mvae.Model) -> Piece:
            start = with_gaps(_begun(piece).tokens, chosen_places(painted, model.latent), model.latent)
            return piece.then(model.generate(prompt, style=style or None, seed=_seed(), start=start).tokens)

        return self._answer(name, prompt, make)

    def undo(self, name: str, piece: Piece | None):
        """Take the last step back."""

        def back(model: mvae.Model) -> Piece:
            before = _begun(piece).before
            if not before:
                raise OptionError("There is nothing to take back.")
            return Piece(before[-1], before[:-1])

        return self._answer(name, "", back)

    def pick(self, name: str, picked: str, piece: Piece | None):
        """Go on with one of the variations; ``picked``: its tokens, as the row of variations names them."""

        def choose(model: mvae.Model) -> Piece:
            numbers = [int(number) for number in re.findall(r"\d{1,5}", picked or "")]
            if len(numbers) != model.latent.positions or max(numbers) >= model.latent.codebook:
                raise OptionError(f"{len(numbers)} tokens; expected {model.latent.positions}")
            return _begun(piece).then(tuple(numbers))

        return self._answer(name, "", choose)

    def vary(self, name: str, prompt: str, style: str, painted: str, piece: Piece | None):
        """A row of variations; yields it as it grows. What is painted over varies, or half of the grid, scattered."""
        try:
            model, made = self.library.get(name), []
            tokens = _begun(piece).tokens
            for _ in range(VARIATIONS):
                seed = _seed()
                places = chosen_places(painted, model.latent) if painted else scattered(model.latent, seed)
                sticker = model.generate(prompt, style=style or None, seed=seed, start=with_gaps(tokens, places, model.latent))
                made.append((sticker.tokens, sticker.image))
                yield _row(made), notice()
        except MvaeError as error:
            yield gr.skip(), notice(explain(error, prompt or ""))

    def morph(self, name: str, first: str, second: str, style: str):
        """An animation from one prompt's sticker to the other's; yields (animation, notice)."""
        try:
            model, seed = self.library.get(name), _seed()
            yield '<div class="hint">Drawing both …</div>', notice()
            ends = [model.generate(prompt, style=style or None, seed=seed) for prompt in (first, second)]
            way = between(ends[0].tokens, ends[1].tokens, FRAMES, model.latent)
            images = [model.decode(tokens) for tokens in way.tolist()]
            yield _player(images, first, second), notice()
        except MvaeError as error:
            yield gr.skip(), notice(explain(error, first or second or ""))

    def _answer(self, name: str, prompt: str, make):
        """(piece, painter, painted, variations, notice) after ``make`` has been given the model."""
        try:
            model = self.library.get(name)
            piece = make(model)
            return piece, painter(model.decode(piece.tokens), model.latent), "", "", notice()
        except MvaeError as error:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), notice(explain(error, prompt or ""))

    # Layout

    def _build(self) -> None:
        first = self.library.default_names[0]
        latent = self.library.vae(first).latent
        piece, message = gr.State(None), html(notice(), elem_id="remix-message")
        with gr.Row(elem_id="remix"):
            with gr.Column(elem_id="remix-stage"):
                canvas = html(painter(None, latent), elem_id="remix-canvas")
                painted = gr.Textbox("", elem_id="remix-painted", show_label=False, container=False)
                picked = gr.Textbox("", elem_id="remix-picked", show_label=False, container=False)
                row = html("", elem_id="remix-row")
            with gr.Column(elem_id="remix-tools"):
                prompt = gr.Textbox(
                    EXAMPLES[1], label="What it shows", max_length=PROMPT_MAX_CHARACTERS, max_lines=1, elem_id="remix-prompt"
                )
                style = gr.Radio(style_choices(), value="fluent", label="Style", elem_id="remix-style")
                name = gr.Dropdown([(model_title(n), n) for n in self.library.names], value=first, label="Model")
                with gr.Row(elem_id="remix-buttons"):
                    begin = gr.Button("Draw", variant="primary", elem_id="remix-begin")
                    redraw = gr.Button("Redraw painted part", elem_id="remix-redraw")
                    vary = gr.Button(f"{VARIATIONS} variations", elem_id="remix-vary")
                    undo = gr.Button("Undo", elem_id="remix-undo")
                with gr.Accordion("Begin with a picture of your own", open=False, elem_id="remix-own"):
                    image = gr.Image(
                        type="pil", image_mode="RGBA", sources=["upload"], show_label=False, height=150, elem_id="remix-image"
                    )
        with gr.Column(elem_id="morph"):
            html('<h2>From one prompt to another</h2><p class="sub">Both stickers, and all that lies between.</p>')
            field = {"show_label": False, "container": False, "max_length": PROMPT_MAX_CHARACTERS, "max_lines": 1}
            with gr.Row(elem_id="morph-words"):
                start = gr.Textbox("pizza", elem_id="morph-first", **field)
                end = gr.Textbox("a smiling cat", elem_id="morph-second", **field)
                morph = gr.Button("Make animation", scale=0, elem_id="morph-make")
            film = html("", elem_id="morph-film")

        private = {"api_visibility": "private", "show_progress": "hidden"}
        outputs = [piece, canvas, painted, row, message]
        gr.on([begin.click, prompt.submit], self.begin, [name, prompt, style], outputs, **self.engine, **private)
        redraw.click(self.redraw, [name, prompt, style, painted, piece], outputs, **self.engine, **private)
        undo.click(self.undo, [name, piece], outputs, **self.engine, **private)
        vary.click(self.vary, [name, prompt, style, painted, piece], [row, message], **self.engine, **private)
        image.upload(self.take, [name, image], outputs, **self.engine, **private)
        picked.input(self.pick, [name, picked, piece], outputs, **self.engine, **private)
        makes = [morph.click, start.submit, end.submit]
        gr.on(makes, self.morph, [name, start, end, style], [film, message], **self.engine, **private)


def _seed() -> int:
    return secrets.randbelow(2**31)


def _begun(piece: Piece | None) -> Piece:
    if piece is None:
        raise OptionError("Draw a sticker or choose a picture first.")
    return piece


def _row(made: list[tuple[tuple[int, ...], Image.Image]]) -> str:
    """Variations as buttons; a press hands their tokens to the hidden field."""
    buttons = "".join(
        f'<button type="button" data-hand="remix-picked" data-value="{" ".join(map(str, tokens))}" data-tip="Go on with this">'
        f'<img src="{data_url(image)}" alt="Variation {number}"></button>'
        for number, (tokens, image) in enumerate(made, 1)
    )
    return f'<div class="variations">{buttons}</div>'


def _player(images: list[Image.Image], first: str, second: str) -> str:
    """The animation, and both files to keep."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{first} to {second}".lower()).strip("-")[:60] or "morph"
    files = {kind: f"data:image/{kind};base64," + base64.b64encode(animation(images, kind)).decode() for kind in FORMATS}
    links = "".join(
        f'<a class="keep" href="{address}" download="{words}.{kind}">{kind.upper() if kind == "gif" else "WebP"}</a>'
        for kind, address in files.items()
    )
    return (
        f'<div class="film"><img src="{files["webp"]}" alt="{escape(first)} becomes {escape(second)}">'
        f'<div class="links">Keep it: {links}</div></div>'
    )

"""The Generate tab: a prompt becomes stickers, one column per model, with their times, bytes and place in the latent space."""

import json
import re
import secrets
from collections.abc import Iterator
from html import escape

import gradio as gr

from mvae.bench import machine
from mvae.config import PROMPT_MAX_CHARACTERS, TEXT_MAX_TOKENS
from mvae.errors import MvaeError, OptionError, PromptError
from ui.cards import Card, data_url, render_cards
from ui.charts import Speed, crowd_warning, empty_speed, render_speed
from ui.column_notes import comparison
from ui.history import FIELD, Made, picked, render_history, with_made
from ui.latent_map import LatentMap
from ui.library import Library
from ui.messages import explain, notice
from ui.names import EXAMPLES, FOREIGN_EXAMPLES, LEVEL_HINTS, STYLE_NAMES, megabytes, model_title, style_choices
from ui.own_pictures import OwnPictures
from ui.surprise import surprise
from ui.theme import html
from ui.token_grid import render_grids

MAX_COLUMNS = 12
REPEATS = (5, 10, 25)
GUIDANCE = (1.0, 8.0)
TEMPERATURE = (0.0, 1.5)
ENGINE = "engine"
"""Concurrency group of every event that runs a model: one at a time, so that no visitor spoils another's timing."""


class GenerateTab:
    """Builds the tab inside the current ``gr.Blocks`` and handles its events."""

    def __init__(self, library: Library, latent_map: LatentMap | None):
        self.library = library
        self.map = latent_map
        self._build()

    # Events

    def draw_columns(
        self, prompt, style, names, same_tokens, seed, new_seed, guidance, temperature, negative, own, history
    ) -> Iterator[tuple]:
        """Draw one column after the other; yields (results, notice, seed, speed, grids, map, history, strip) with every row of
        tokens."""
        seed = secrets.randbelow(2**31) if new_seed else seed
        later = (gr.skip(),) * 5
        try:
            cards = self._cards(names, prompt, seed)
            if same_tokens:
                self._check_one_latent(cards)
            options = {"style": style or None, "seed": seed, "guidance": guidance, "temperature": temperature}
            options["negative"] = negative or ""
            drawn: list[tuple[Card, tuple[int, ...]]] = []
            for card in cards:
                card.state = "reading the prompt" if self.library.is_ready(card.name) else "loading the model"
                yield render_cards(cards), notice(), seed, *later
                model = self.library.get(card.name)
                if same_tokens and drawn:
                    tokens = drawn[0][1]
                    decoded = model.decode_timed(tokens)
                    card.image, card.timings = decoded.image, dict(decoded.timings)
                else:
                    mine = own.memory if own and model.memory else None
                    for sticker in model.stream(prompt, own=mine, **options):
                        card.image, card.share = sticker.image, sticker.share
                        if sticker.share < 1:
                            yield render_cards(cards), notice(), seed, *later
                    card.timings, tokens = dict(sticker.timings), sticker.tokens
                    card.recalled = self._recalled(model, sticker, mine)
                    if sticker.prompt_was_cut:
                        card.notes.append(f"Read only the first {TEXT_MAX_TOKENS} pieces of the prompt.")
                if not drawn:
                    card.notes.append(f"seed {seed}, {len(tokens)} tokens")
                elif self.library.latent_id(card.name) == self.library.latent_id(cards[0].name):
                    card.notes += comparison(card, tokens, *drawn[0])
                drawn.append((card, tokens))
                yield render_cards(cards), notice(), seed, *later
            speeds = [Speed.of(card) for card in cards]
            history = with_made(history, Made.of(prompt, style, seed, negative or "", cards[0].image))
            found = render_speed(speeds), self._render_grids(drawn), self._render_map(drawn)
            yield render_cards(cards), notice(), seed, *found, history, render_history(history)
        except MvaeError as error:
            yield gr.skip(), notice(explain(error, prompt or "")), seed, *later

    def measure_columns(self, prompt, style, names, repeats, guidance, temperature) -> Iterator[tuple]:
        """Run the chosen models ``repeats`` times, taking turns, so that whatever else the machine does falls on all alike.

        Yields (speed, notice) after every round.
        """
        try:
            cards = self._cards(names, prompt, 0)
            speeds = [Speed(card.name, card.bytes) for card in cards]
            for turn in range(int(repeats)):
                for speed in speeds:
                    model = self.library.get(speed.name)
                    options = {"style": style or None, "seed": turn, "guidance": guidance, "temperature": temperature}
                    speed.add(model.generate(prompt, **options).timings)
                yield render_speed(speeds, f"Run {turn + 1} of {repeats}"), notice()
            yield render_speed(speeds, crowd_warning()), notice()
        except MvaeError as error:
            yield gr.skip(), notice(explain(error, prompt or ""))

    def recall_made(self, place: str, history: tuple[Made, ...]) -> tuple:
        """(prompt, style, seed, new seed, negative) that draw a sticker of this visit again."""
        try:
            made = picked(history, place)
        except MvaeError:
            return (gr.skip(),) * 5
        return made.prompt, made.style, made.seed, False, made.negative

    def surprise(self, names) -> str:
        """A random prompt that the first of the chosen models knows something about."""
        reading = [name for name in names or self.library.default_names if name in self.library.memory_names]
        try:
            return surprise(self.library.get(reading[0]).memory if reading else None)
        except MvaeError:
            return surprise(None)

    # Helpers

    def _recalled(self, model, sticker, own) -> list[tuple[str, str]]:
        """Words and picture of what was read beside the prompt."""
        memory = model.memory_with(own)
        read = [memory.shown(number, colour) for number, colour in zip(sticker.recalled, sticker.colours, strict=True)]
        return [(words, data_url(model.decode(tokens))) for words, tokens in read]

    def _cards(self, names, prompt, seed) -> list[Card]:
        """Waiting columns, smallest model first. Raises PromptError, OptionError or UnknownModelError."""
        if not (prompt or "").strip():
            raise PromptError("the prompt is empty")
        if not names:
            raise OptionError("Choose at least one model.")
        if len(names) > MAX_COLUMNS:
            raise OptionError(f"{len(names)} models are chosen; up to {MAX_COLUMNS} fit side by side.")
        if seed is None:
            raise OptionError("The seed is empty; expected a whole number from 0.")
        words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40] or "sticker"
        smallest_first = sorted(names, key=self.library.bytes)
        return [
            Card(name, self.library.bytes(name), file_name=f"{words}-{name}-{seed}.png", state="waiting")
            for name in smallest_first
        ]

    def _check_one_latent(self, cards: list[Card]) -> None:
        latents = {card.name: self.library.latent_id(card.name) for card in cards}
        if len(set(latents.values())) > 1:
            raise OptionError(f"Tokens can be shared only within one latent; the chosen models have {latents}.")

    def _render_grids(self, drawn: list[tuple[Card, tuple]]) -> str:
        """Only tokens of the first column's latent can stand beside each other."""
        first = self.library.get(drawn[0][0].name).latent
        return render_grids(
            [(card.name, tokens) for card, tokens in drawn if self.library.latent_id(card.name) == first.latent_id], first
        )

    def _render_map(self, drawn: list[tuple[Card, tuple]]) -> str:
        """The map with every sticker of its latent, and the drawings closest to each."""
        if self.map is None:
            return ""
        stickers, lines = [], ""
        for card, tokens in drawn:
            if self.library.latent_id(card.name) != self.map.latent.latent_id:
                continue
            x, y = self.map.project(tokens)
            near = self.map.nearest(tokens)
            title = model_title(card.name)
            stickers.append({"x": x, "y": y, "label": title, "image": data_url(card.image), "near": [hit.index for hit in near]})
            hits = "".join(
                f'<span class="hit"><mvae-thumbnail data-index="{hit.index}"></mvae-thumbnail>'
                f'<span><b title="{escape(hit.caption)}">{escape(hit.caption)}</b>'
                f"{escape(STYLE_NAMES[hit.style])}<br>{hit.equal_tokens} of {len(tokens)} tokens</span></span>"
                for hit in near
            )
            lines += f'<div class="line"><span class="who">{escape(title)}</span><div class="hits">{hits}</div></div>'
        return f'<mvae-map data-stickers="{escape(json.dumps(stickers))}"></mvae-map><div class="near">{lines}</div>'

    def _model_choices(self) -> list[tuple[str, str]]:
        choices = []
        for name in self.library.names:
            parts = (model_title(name), megabytes(self.library.bytes(name)), LEVEL_HINTS.get(name.rpartition("-")[2]))
            choices.append((" · ".join(filter(None, parts)), name))
        return choices

    # Layout

    def _build(self) -> None:
        prompt, button, lucky, chips = self._composer()
        message = html(notice(), elem_id="message")
        with gr.Row(elem_id="work"):
            with gr.Column(elem_id="choices"):
                style, names, same_tokens, new_seed, seed, guidance, temperature, negative = self._choices()
                own = OwnPictures(self.library)
            with gr.Column(elem_id="results"):
                waiting = [Card(name, self.library.bytes(name)) for name in self.library.default_names]
                results = html(render_cards(waiting), elem_id="cards")
                strip, history = html("", elem_id="history"), gr.State(())
                again = gr.Textbox("", elem_id=FIELD, elem_classes="unseen", show_label=False, container=False)
        with gr.Row(elem_id="insight"):
            with gr.Column(elem_id="speed-panel"):
                measure, repeats, speed, grids = self._speed_panel()
            with gr.Column(elem_id="map-panel", visible=self.map is not None):
                place = self._map_panel()

        inputs = [prompt, style, names, same_tokens, seed, new_seed, guidance, temperature, negative, own.state, history]
        outputs = [results, message, seed, speed, grids, place, history, strip]
        engine = {"concurrency_limit": 1, "concurrency_id": ENGINE, "trigger_mode": "once"}
        private = {"api_visibility": "private", "show_progress": "hidden"}
        gr.on([button.click, prompt.submit], self.draw_columns, inputs, outputs, **engine, **private)
        for chip in chips:
            chosen = chip.click(None, None, prompt, js=f"() => {json.dumps(chip.value)}", queue=False, **private)
            chosen.then(self.draw_columns, inputs, outputs, **engine, **private)
        chosen = lucky.click(self.surprise, names, prompt, queue=False, **private)
        chosen.then(self.draw_columns, inputs, outputs, **engine, **private)
        restored = [prompt, style, seed, new_seed, negative]
        chosen = again.input(self.recall_made, [again, history], restored, queue=False, **private)
        chosen.then(self.draw_columns, inputs, outputs, **engine, **private)
        own.connect(message, **engine, **private)
        measure.click(
            self.measure_columns, [prompt, style, names, repeats, guidance, temperature], [speed, message], **engine, **private
        )

    def _composer(self):
        with gr.Row(elem_id="composer"):
            prompt = gr.Textbox(
                EXAMPLES[0],
                label="Prompt",
                placeholder="What should the sticker show?",
                max_length=PROMPT_MAX_CHARACTERS,
                max_lines=1,
                container=False,
                show_label=False,
                elem_id="prompt",
            )
            button = gr.Button("Make sticker", variant="primary", scale=0, elem_id="make")
        with gr.Row(elem_id="chips"):
            html("Try", elem_classes="chips-word")
            chips = [self._chip(example) for example in EXAMPLES]
            lucky = self._chip("Surprise me", elem_id="lucky")
            if self.library.memory_names:
                html("or your language", elem_classes="chips-word")
                chips += [self._chip(example) for example in FOREIGN_EXAMPLES]
        return prompt, button, lucky, chips

    def _chip(self, words: str, **options) -> gr.Button:
        return gr.Button(words, size="sm", min_width=0, elem_classes="chip", **options)

    def _choices(self):
        recommended = self.library.recommended()
        # A first sticker should show what the model can do: a named style is drawn better than an unnamed one.
        style = gr.Radio(style_choices(), value="fluent", label="Style", elem_id="style-choice")
        names = gr.CheckboxGroup(
            self._model_choices(), value=self.library.default_names, label="Models to compare", elem_id="model-choice"
        )
        same_tokens = gr.Checkbox(
            label="Same tokens for every model", info="Only the decoders differ then.", container=False, elem_id="same-tokens"
        )
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            new_seed = gr.Checkbox(True, label="New seed each time", container=False)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
            guidance = gr.Slider(
                *GUIDANCE, recommended["guidance"], step=0.1, label="Guidance", info="How strictly to follow the words."
            )
            temperature = gr.Slider(
                *TEMPERATURE, recommended["temperature"], step=0.05, label="Temperature", info="0 takes the likeliest token."
            )
            negative = gr.Textbox(
                "", label="Leave out", info="Words to lead away from.", max_length=PROMPT_MAX_CHARACTERS, max_lines=1,
                elem_id="negative",
            )
        return style, names, same_tokens, new_seed, seed, guidance, temperature, negative

    def _speed_panel(self):
        cpu = escape(machine(threads=1)["cpu"])
        html(f'<h2>Speed and size</h2><p class="sub">Measured on this machine ({cpu}), one thread, one model at a time.</p>')
        with gr.Row(elem_id="measure-row"):
            measure = gr.Button("Measure latency", scale=0, elem_id="measure")
            counts = [(f"{count}×", count) for count in REPEATS]
            repeats = gr.Radio(counts, value=10, label="Repeats", show_label=False, container=False, elem_id="repeats")
        return measure, repeats, html(empty_speed(), elem_id="speed"), html("", elem_id="tokens-map")

    def _map_panel(self):
        html(
            '<h2>Where it lands</h2><p class="sub">Real drawings, laid out by the two main directions of the latent space. '
            "Dashed lines lead to the closest ones in all its dimensions, listed below with the tokens they share.</p>"
        )
        return html('<mvae-map data-stickers="[]"></mvae-map>' if self.map else "", elem_id="map")

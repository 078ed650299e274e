"""The Compare tab: every model in one plot, two of them on the same sticker, what they are made of, and what each technique
buys."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from statistics import median
from time import perf_counter

import gradio as gr
import numpy as np
from PIL import Image

from mvae.bench import machine, prompt_of
from mvae.config import PROMPT_MAX_CHARACTERS
from mvae.engine.images import png_bytes
from mvae.errors import MvaeError, OptionError
from ui.cards import data_url
from ui.charts import crowd_warning
from ui.column_notes import psnr_on_white
from ui.library import Library
from ui.measured import Point, latencies, qualities
from ui.messages import explain, notice
from ui.names import EXAMPLES, megabytes, model_title, style_choices
from ui.pareto import pareto_plot
from ui.tables import ablation_table, layer_tables
from ui.theme import html
from zoo.newest import newest_rows
from zoo.shortcomings import shortcomings

ROUNDS = (3, 10, 30)
GAIN = 4
"""Differences of pixels are shown this many times as large."""
SIDE = 384
"""Side in pixels of the pictures in the slider."""


def _measured_here(runs: dict[str, list[float]]) -> str:
    """Medians, in words: models without a score have no place in the plot."""
    times = (f"{model_title(name)} {median(values):.1f} ms" for name, values in runs.items())
    return f"Medians of {len(next(iter(runs.values()), []))}: {', '.join(times)}."


def on_white(image: Image.Image) -> Image.Image:
    """An RGBA sticker as RGB, on white."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def same_size(first: Image.Image, second: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Both on white; the larger one scaled down to the smaller, as averages."""
    side = min(first.width, second.width)
    return tuple(on_white(image).resize((side, side), Image.Resampling.BOX) for image in (first, second))


def difference(first: Image.Image, second: Image.Image) -> Image.Image:
    """Absolute difference of two RGB pictures of one size, ``GAIN`` times as large; black: equal."""
    gap = np.abs(np.asarray(first, np.int16) - np.asarray(second, np.int16))
    return Image.fromarray(np.minimum(gap * GAIN, 255).astype(np.uint8))


class CompareTab:
    """Builds the tab inside the current ``gr.Blocks`` and handles its events."""

    def __init__(self, library: Library, results: Path, engine: dict, tab: gr.Tab):
        """``results``: folder of result files; ``engine``: options of events that run a model; ``tab``: where it is built."""
        self.library, self.results, self.engine = library, results, engine
        times, self.cpu = latencies(results)
        quality = qualities(results)
        self.points = [Point(name, library.bytes(name), times.get(name), quality.get(name)) for name in library.names]
        self._build(tab)

    # Events

    def both(self, first: str, second: str, prompt: str, style: str, same_tokens: bool):
        """(slider, difference, lines, notice): one prompt drawn by two models, the second from the first one's tokens or its
        own."""
        try:
            one, other, seed = self.library.get(first), self.library.get(second), secrets.randbelow(2**31)
            options = {"style": style or None, "seed": seed}
            drawn = one.generate(prompt, **options)
            if same_tokens:
                if one.latent.latent_id != other.latent.latent_id:
                    names = f"{model_title(first)} and {model_title(second)}"
                    raise OptionError(f"{names} have different latents; untick “Same tokens”.")
                again = other.decode_timed(drawn.tokens)
            else:
                again = other.generate(prompt, **options)
        except MvaeError as error:
            return gr.skip(), gr.skip(), gr.skip(), notice(explain(error, prompt or ""))
        pair = same_size(drawn.image, again.image)
        shown = tuple(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for image in pair)
        gap = difference(*pair).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        return shown, self._difference(gap), self._facts(pair, (drawn, again), (first, second)), notice()

    def measure_all(self, rounds: int, second: str) -> Iterator[tuple]:
        """Time every model here, taking turns; yields (plot, progress, notice) after each round."""
        try:
            runs: dict[str, list[float]] = {name: [] for name in self.library.names}
            for turn in range(int(rounds)):
                for name, values in runs.items():
                    model = self.library.get(name)
                    prompt, style = prompt_of(turn)
                    begun = perf_counter()
                    png_bytes(model.generate(prompt, style=style, seed=turn).image)
                    values.append(1000 * (perf_counter() - begun))
                here = [replace(point, milliseconds=median(runs[point.name])) for point in self.points]
                said = f'<div class="progress-line">Round {turn + 1} of {int(rounds)}</div>'
                yield pareto_plot(here, f"this machine ({self._machine()}), now", second), said, notice()
            yield gr.skip(), f'<div class="progress-line">{escape(_measured_here(runs))} {crowd_warning()}</div>', notice()
        except MvaeError as error:
            yield gr.skip(), "", notice(str(error))

    def layers(self, name: str):
        """(table, notice): what a model is made of."""
        try:
            return layer_tables(name, self.library.layers(name)), notice()
        except MvaeError as error:
            return gr.skip(), notice(str(error))

    def pick(self, picked: str):
        """The model that was pressed in the plot, for the second picture and the layers."""
        name = (picked or "").strip()
        return name if name in self.library.names else gr.skip()

    # Helpers

    def _warn(self) -> None:
        """Levels that are not smaller, or slower, than a larger one of their size."""
        sizes = {point.name: point.bytes for point in self.points}
        said = shortcomings(sizes, {p.name: p.milliseconds for p in self.points if p.milliseconds is not None})
        if said:
            lines = "; ".join(f"{model_title(name)}: {', '.join(notes)}" for name, notes in said.items())
            html(f'<p class="hint" id="shortcomings">Mind: {escape(lines)}.</p>')

    def _machine(self) -> str:
        return machine(threads=1)["cpu"]

    def _difference(self, image: Image.Image) -> str:
        return (
            f'<figure class="difference"><img src="{data_url(image)}" alt="Difference of the two pictures">'
            f"<figcaption>Difference, {GAIN} times as strong; black is equal.</figcaption></figure>"
        )

    def _facts(self, pair, drawn, names) -> str:
        gap = np.abs(np.asarray(pair[0], np.int16) - np.asarray(pair[1], np.int16)).max(-1)
        distance = psnr_on_white(*(image.convert("RGBA") for image in pair))
        rows = "".join(
            f"<tr><td>{model_title(name)}</td><td>{megabytes(self.library.bytes(name))}</td>"
            f"<td>{found.timings['decode']:.1f} ms</td><td>{found.image.width} px</td></tr>"
            for name, found in zip(names, drawn, strict=True)
        )
        alike = "Every pixel is the same." if np.isinf(distance) else (
            f"PSNR of one to the other {distance:.1f} dB; {(gap > 8).mean():.1%} of the pixels differ by more than 8 of 255."
        )
        return (
            f'<p class="sub">{alike}</p><table class="figures"><thead><tr><th>left, then right</th><th>download</th>'
            f"<th>decode</th><th>picture</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    # Layout

    def _build(self, tab: gr.Tab) -> None:
        names = self.library.names
        choices = [(model_title(name), name) for name in names]
        first, second = self.library.default_names[0], (self.library.default_names[1:] or self.library.default_names)[0]
        message = html(notice(), elem_id="compare-message")
        with gr.Column(elem_id="compare"):
            html('<h2>Smaller, faster, better: choose two</h2><p class="sub">Press a model to put it beside another on the same '
                 "sticker. The line joins those that none beats in both.</p>")
            self._warn()
            plot = html(pareto_plot(self.points, self.cpu, second), elem_id="pareto")
            with gr.Row(elem_id="compare-measure"):
                measure = gr.Button("Measure here", scale=0, elem_id="compare-measure-button")
                rounds = gr.Radio([(f"{count}×", count) for count in ROUNDS], value=ROUNDS[0], show_label=False, container=False,
                                  elem_id="compare-rounds")
            progress = html("", elem_id="compare-progress")
            picked = gr.Textbox("", elem_id="compare-picked", elem_classes="unseen", show_label=False, container=False)
        with gr.Row(elem_id="compare-pair"):
            with gr.Column(elem_id="compare-choices"):
                prompt = gr.Textbox(EXAMPLES[0], label="What it shows", max_length=PROMPT_MAX_CHARACTERS, max_lines=1,
                                    elem_id="compare-prompt")
                style = gr.Dropdown(style_choices(), value="fluent", label="Style")
                left = gr.Dropdown(choices, value=first, label="Left", elem_id="compare-left")
                right = gr.Dropdown(choices, value=second, label="Right", elem_id="compare-right")
                same = gr.Checkbox(True, label="Same tokens", info="Only the decoders differ then.", container=False)
                draw = gr.Button("Compare", variant="primary", elem_id="compare-draw")
            with gr.Column(elem_id="compare-pictures"):
                with gr.Row(elem_id="compare-seen"):
                    slider = gr.ImageSlider(type="pil", show_label=False, interactive=False, height=SIDE, buttons=[],
                                            elem_id="compare-slider")
                    gap = html('<div class="hint">Press “Compare”, then drag the line.</div>', elem_id="compare-difference")
                facts = html("", elem_id="compare-facts")
        with gr.Column(elem_id="compare-layers"):
            html('<h2>What it is made of</h2><p class="sub">Every stored tensor of the model on the right, its bytes and its '
                 "share of zeros.</p>")
            table = html("", elem_id="layers")
        with gr.Column(elem_id="compare-ablation"):
            html('<h2>What each technique costs and buys</h2><p class="sub">The same small model, with one technique, with all, '
                 "and with all but one.</p>")
            html(ablation_table(newest_rows(self.results, "ablation-arms")), elem_id="ablation")

        private = {"api_visibility": "private", "show_progress": "hidden"}
        inputs, outputs = [left, right, prompt, style, same], [slider, gap, facts, message]
        gr.on([draw.click, prompt.submit], self.both, inputs, outputs, **self.engine, **private)
        measure.click(self.measure_all, [rounds, right], [plot, progress, message], **self.engine, **private)
        chosen = picked.input(self.pick, picked, right, queue=False, **private)
        chosen.then(self.both, inputs, outputs, **self.engine, **private)
        # Files are read when they are looked at, not when the app starts.
        gr.on([tab.select, right.change], self.layers, right, [table, message], queue=False, **private)

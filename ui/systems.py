"""The Systems tab: nine ways to learn the same small pictures, side by side: samples of a class, maps of their latents, a picture
of the visitor's own given back by each, and what was measured."""

import base64
import hashlib
import secrets
from pathlib import Path

import gradio as gr
from PIL import Image

from mvae.data.benchmarks import CLASSES
from mvae.engine.images import open_image
from mvae.engine.stored_system import StoredSystem
from mvae.engine.system_titles import DATA_TITLES, SYSTEM_TITLES
from mvae.errors import ImageError, MvaeError, OptionError
from ui.messages import notice
from ui.system_names import COLOUR
from ui.system_pictures import as_seen
from ui.system_samples import EVERY, Row, render_planes, render_rebuilt, render_rows, sample_rows
from ui.system_shelf import Shelf
from ui.system_table import system_table
from ui.theme import html
from zoo.newest import newest_rows

FIRST = ("vae", "gmvae", "vq_vae", "s_vae", "mvae")
"""What a visitor sees at first, of those that are there."""
SEEDS = 10**6
"""Seeds to draw others from; any other can be typed."""
DOODLE_MAX = 200_000
"""Characters of a drawing's address."""
WAITING = '<div class="hint">Draw something, or choose a picture.</div>'


class SystemsTab:
    """Builds the tab inside the current ``gr.Blocks`` and handles its events."""

    def __init__(self, shelf: Shelf, results: Path, engine: dict, tab: gr.Tab):
        """``results``: folder of result files; ``engine``: options of events that run a model; ``tab``: where it is built."""
        self.shelf, self.results = shelf, results
        self.engine = {**engine, "trigger_mode": "always_last"}  # the last choice counts, even while another one is drawn
        if shelf.available:
            self._build(tab)
        else:
            self._build_empty()

    # Events

    def choose_data(self, data: str):
        """(systems, class, own picture's canvas, table) for a data set."""
        systems = gr.CheckboxGroup(choices=self._systems(data), value=self._first(data))
        labels = gr.Radio(choices=self._labels(data), value=EVERY)
        return systems, labels, self._canvas(data), system_table(self._rows(data), data)

    def draw(self, data: str, names: list[str], label: int, seed: int):
        """(rows, notice): samples of every chosen system."""
        systems, unusable = self._chosen(data, names)
        try:
            if seed is None:
                raise OptionError("The seed is empty; expected a whole number from 0.")
            rows: list[Row] = []
            for system in systems:
                rows += sample_rows(system, label, int(seed))
            return render_rows(rows, CLASSES[data], label == EVERY), notice(unusable)
        except MvaeError as error:
            return gr.skip(), notice(str(error))

    def draw_anew(self, data: str, names: list[str], label: int):
        """(seed, rows, notice): the same with a new seed."""
        seed = secrets.randbelow(SEEDS)
        return seed, *self.draw(data, names, label, seed)

    def maps(self, data: str, names: list[str]) -> str:
        """The maps of the chosen systems' latents."""
        systems, _ = self._chosen(data, names)
        digest = hashlib.sha256(b"".join(content for system in systems for content in system.entry.files.values())).hexdigest()
        return render_planes(systems, CLASSES[data], digest[:12])

    def rebuild(self, data: str, names: list[str], own: Image.Image | None) -> str:
        """The visitor's picture as the chosen systems give it back, or what is wrong with it; None: there is none."""
        if own is None:
            return WAITING
        try:
            systems, _ = self._chosen(data, names)
            if not systems:
                raise OptionError("Choose at least one system.")
            side, channels = systems[0].entry.side, systems[0].entry.channels
            return render_rebuilt(as_seen(own, data, side, channels), systems)
        except MvaeError as error:
            return notice(str(error))

    def take(self, image: Image.Image | None, data: str, names: list[str]):
        """(own picture, reconstructions) of a chosen file."""
        return image, self.rebuild(data, names, image)

    def take_doodle(self, address: str, data: str, names: list[str]):
        """(own picture, reconstructions) of what was drawn on the page; ``address``: its PNG, or "none" where it was wiped."""
        if address == "none":
            return None, WAITING
        try:
            head, _, content = address.partition(",")
            if head != "data:image/png;base64" or len(content) > DOODLE_MAX:
                raise ImageError(f"a drawing of {len(address)} characters; expected a PNG of at most {DOODLE_MAX}")
            image = open_image(base64.b64decode(content))
        except ValueError as error:  # base64's, and ImageError
            return gr.skip(), notice(str(error))
        return image, self.rebuild(data, names, image)

    # Helpers

    def _chosen(self, data: str, names: list[str]) -> tuple[list[StoredSystem], str]:
        """Those that can be used, in the order of the comparison, and what is wrong with the others."""
        found, wrong = [], []
        for name in self.shelf.available.get(data, ()):
            if name in (names or ()):
                try:
                    found.append(self.shelf.get(data, name))
                except MvaeError as error:
                    wrong.append(str(error))
        return found, "; ".join(wrong)

    def _systems(self, data: str) -> list[tuple[str, str]]:
        return [(SYSTEM_TITLES[name], name) for name in self.shelf.available[data]]

    def _first(self, data: str) -> list[str]:
        there = self.shelf.available[data]
        return [name for name in FIRST if name in there] or list(there)

    def _labels(self, data: str) -> list[tuple[str, int]]:
        return [("each", EVERY), *((name, label) for label, name in enumerate(CLASSES[data]))]

    def _canvas(self, data: str) -> str:
        """Something to draw on, where a drawing can look like the data set's images."""
        return "" if data in COLOUR else '<mvae-doodle data-target="systems-doodle"></mvae-doodle>'

    def _rows(self, data: str) -> list[dict[str, str]]:
        return newest_rows(self.results, f"table9-{data}")

    # Layout

    def _build_empty(self) -> None:
        with gr.Column(elem_classes="systems"):
            html(
                '<h2>Nine systems</h2><p class="sub" id="systems-none">No exported systems are here yet, so there is nothing to '
                "draw with: <code>python -m mvae reproduce table9</code> trains and exports them into "
                "<code>zoo/systems</code>.</p>"
            )
            for data in DATA_TITLES:
                if rows := self._rows(data):
                    html(f"<h2>Table 9, {DATA_TITLES[data]}</h2>{system_table(rows, data)}")

    def _build(self, tab: gr.Tab) -> None:
        first = next(iter(self.shelf.available))
        message = html(notice(), elem_id="systems-message")
        with gr.Row(elem_id="systems", elem_classes="systems"):
            with gr.Column(elem_id="systems-choices"):
                data, names, label, seed, again = self._choices(first)
            with gr.Column(elem_id="systems-drawn"):
                html('<h2>Nine ways to learn the same pictures</h2><p class="sub">Each has learned to make images from a few '
                     "numbers, with the same network, images and number of epochs. All are drawn and timed here, now.</p>")
                rows = html('<div class="hint">Drawing …</div>', elem_id="systems-rows")
        with gr.Column(elem_id="systems-maps", elem_classes="systems"):
            html('<h2>Where the images lie</h2><p class="sub">Test images in each system\'s latent space, laid out in a plane. '
                 "Press one to see it decoded, then another to see the way between them; or drag from one to the other.</p>")
            planes = html("", elem_id="systems-planes")
        with gr.Column(elem_id="systems-own", elem_classes="systems"):
            html('<h2>A picture of your own</h2><p class="sub">Brought into the form of the data set, encoded to each system\'s '
                 "few numbers, and decoded again. It stays on this server for the visit only.</p>")
            with gr.Row(elem_id="systems-own-row"):
                canvas = html(self._canvas(first), elem_id="systems-canvas")
                image = gr.Image(type="pil", image_mode="RGBA", sources=["upload", "clipboard"], show_label=False, height=168,
                                 elem_id="systems-image")
                rebuilt = html(WAITING, elem_id="systems-rebuilt")
            doodle = gr.Textbox("", elem_id="systems-doodle", elem_classes="unseen", show_label=False, container=False)
        with gr.Column(elem_id="systems-measured", elem_classes="systems"):
            html('<h2>Table 9, measured and claimed</h2><p class="sub">The paper compares the nine in its Table 9. This is the '
                 "same comparison by the code of this repository.</p>")
            table = html(system_table(self._rows(first), first), elem_id="systems-table")

        own = gr.State(None)
        private = {"api_visibility": "private", "show_progress": "hidden"}
        drawing = ([data, names, label, seed], [rows, message])

        chosen = data.input(self.choose_data, data, [names, label, canvas, table], queue=False, **private)
        for event in (
            chosen.then(self.draw, *drawing, **self.engine, **private),
            gr.on([tab.select, names.input], self.draw, *drawing, **self.engine, **private),
        ):
            event = event.then(self.maps, [data, names], planes, **self.engine, **private)
            event.then(self.rebuild, [data, names, own], rebuilt, **self.engine, **private)
        gr.on([label.input, seed.submit, seed.blur], self.draw, *drawing, **self.engine, **private)
        again.click(self.draw_anew, [data, names, label], [seed, rows, message], **self.engine, **private)
        gr.on([image.upload, image.clear], self.take, [image, data, names], [own, rebuilt], **self.engine, **private)
        doodle.input(self.take_doodle, [doodle, data, names], [own, rebuilt], **self.engine, **private)

    def _choices(self, first: str):
        data = gr.Radio([(DATA_TITLES[name], name) for name in self.shelf.available], value=first, label="Images",
                        elem_id="systems-data")
        names = gr.CheckboxGroup(self._systems(first), value=self._first(first), label="Systems", elem_id="systems-names")
        label = gr.Radio(self._labels(first), value=EVERY, label="Class", elem_id="systems-class")
        with gr.Row(elem_id="systems-seed-row"):
            again = gr.Button("Draw others", elem_id="systems-again")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="systems-seed", container=False)
        return data, names, label, seed, again

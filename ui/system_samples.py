"""Samples of systems side by side, one row a system, and reconstructions of one image: what is run, and how it is shown."""

from dataclasses import dataclass
from html import escape
from statistics import median
from time import perf_counter

import numpy as np

from mvae.engine.stored_system import StoredSystem
from mvae.engine.system_titles import SYSTEM_TITLES
from ui.cards import data_url
from ui.system_names import SYSTEM_HINTS, kilobytes, milliseconds
from ui.system_pictures import psnr, to_image

COUNT = 10
"""Pictures of a row."""
EVERY = -1
"""In place of a label: one picture of every class."""
_RUNS = 3
"""Of the decoder, whose median counts."""


@dataclass(frozen=True)
class Row:
    """Pictures of one system."""

    system: str
    title: str
    facts: tuple[str, ...]
    images: np.ndarray
    """float32 [B, C, S, S]."""
    labels: list[int]


def sample_rows(system: StoredSystem, label: int, seed: int) -> list[Row]:
    """One row from the mixture of the class and, of a system that reads words, another from its words.

    ``label``: a class, or ``EVERY``. Raises OptionError for other labels and seeds.
    """
    labels = list(range(len(system.entry.classes))) if label == EVERY else [label] * COUNT
    latents = _each(labels, label, lambda one, count: system.sample(one, count, seed))
    images, decoding = _decoded(system, latents)
    name = system.entry.system
    facts = (f"{milliseconds(decoding)} a picture", kilobytes(system.bytes))
    rows = [Row(name, SYSTEM_TITLES[name], facts, images, labels)]
    if system.words is not None:
        begun = perf_counter()
        latents = _each(labels, label, lambda one, count: system.draw_words(one, count, seed))
        reading = 1000 * (perf_counter() - begun) / len(labels)
        images, decoding = _decoded(system, latents)
        said = f"“{system.words.prompts[labels[0]]}”{' …' if label == EVERY else ''}"
        facts = (said, f"{milliseconds(reading + decoding)} a picture")
        rows.append(Row(name, f"{SYSTEM_TITLES[name]} from words", facts, images, labels))
    return rows


def render_rows(rows: list[Row], classes: tuple[str, ...], every: bool) -> str:
    """All rows; ``every``: with the classes' names above the columns."""
    if not rows:
        return '<div class="hint">Choose at least one system.</div>'
    names = "".join(f"<span>{escape(name)}</span>" for name in classes) if every else ""
    head = f'<div class="system-head"><div></div><div class="pictures">{names}</div></div>' if names else ""
    body = "".join(
        f'<div class="system-row" data-system="{row.system}"><div class="who"><b>{escape(row.title)}</b>'
        f"{''.join(f'<span>{escape(fact)}</span>' for fact in row.facts)}</div>"
        f'<div class="pictures">{"".join(_picture(row, place, classes) for place in range(len(row.images)))}</div></div>'
        for row in rows
    )
    return f'<div class="system-rows">{head}{body}</div>'


def render_rebuilt(seen: np.ndarray, systems: list[StoredSystem]) -> str:
    """An image [1, C, S, S] as it is given to the systems, and as each gives it back, with the PSNR."""
    figures = _figure("What the systems see", f"{seen.shape[-1]} × {seen.shape[-2]} pixels", seen[0], "seen")
    for system in systems:
        again = system.decode(system.encode(seen))
        name = SYSTEM_TITLES[system.entry.system]
        figures += _figure(name, f"PSNR {psnr(seen, again):.1f} dB", again[0], "")
    return f'<div class="rebuilt">{figures}</div>'


def render_planes(systems: list[StoredSystem], classes: tuple[str, ...], version: str) -> str:
    """A map of every system's latents. ``version`` goes into the addresses, so that new files are not mistaken for old ones."""
    if not systems:
        return ""
    key = "".join(
        f'<span><i style="background:var(--class-{label % 10})"></i>{escape(name)}</span>' for label, name in enumerate(classes)
    )
    planes = "".join(
        f'<figure class="plane"><figcaption><b>{SYSTEM_TITLES[system.entry.system]}</b>'
        f"<span>{SYSTEM_HINTS[system.entry.system]}; {system.entry.latent} dimensions</span></figcaption>"
        f'<mvae-plane data-source="systems/{system.name}" data-version="{version}"></mvae-plane></figure>'
        for system in systems
    )
    return f'<div class="key">{key}</div><div class="planes">{planes}</div>'


def _each(labels: list[int], label: int, draw) -> np.ndarray:
    """Latents [B, D]: of one class at once, or one of each."""
    return np.concatenate([draw(one, 1) for one in labels]) if label == EVERY else draw(label, len(labels))


def _decoded(system: StoredSystem, latents: np.ndarray) -> tuple[np.ndarray, float]:
    """Images, and the milliseconds that one of them takes."""
    times = []
    for _ in range(_RUNS):
        begun = perf_counter()
        images = system.decode(latents)
        times.append(1000 * (perf_counter() - begun) / len(latents))
    return images, median(times)


def _picture(row: Row, place: int, classes: tuple[str, ...]) -> str:
    name = classes[row.labels[place]]
    return (
        f'<img src="{data_url(to_image(row.images[place]))}" alt="{escape(name)}, drawn by {escape(row.title)}" '
        f'data-tip="{escape(name)}, {escape(row.title)}">'
    )


def _figure(title: str, facts: str, image: np.ndarray, kind: str) -> str:
    return (
        f'<figure class="{kind}"><img src="{data_url(to_image(image))}" alt="{escape(title)}">'
        f"<figcaption><b>{escape(title)}</b><span>{escape(facts)}</span></figcaption></figure>"
    )

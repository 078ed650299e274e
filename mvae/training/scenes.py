"""Compositions that the seq2seq learns from: their tokens, their words, and the stickers that they are made of.

Computed once by the trained encoder and kept beside the run.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from mvae.data.compose import Composer
from mvae.data.dataset import Pictures
from mvae.models.mvae import MVAE
from mvae.training.checkpoint import save_tensors
from mvae.training.recall import encode_drawn

TONED = ("{} with {} skin", "{}: {} skin tone", "{}, {} skin")
"""How a skin tone is said: label and tone."""


@dataclass
class Scenes:
    """K compositions."""

    tokens: Tensor
    """int32 [K, P]."""
    words: list[str]
    """English, without article and style."""
    styles: list[str]
    named: list[tuple[int, ...]]
    """The pictures they are made of, in the order of the words."""
    colours: list[tuple[str | None, ...]]
    """The colour of each of these, where it is not their own."""

    def __len__(self) -> int:
        return len(self.words)


def stored_scenes(path: Path, mark: str) -> Scenes | None:
    """The scenes in ``path``, if they were made with this ``mark``, which names the encoder and the pictures."""
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        facts = file.metadata() or {}
        if facts.get("mark") != mark:
            return None
        about = json.loads(facts["about"])
        rows = {name: [tuple(row) for row in about[name]] for name in ("named", "colours")}
        return Scenes(file.get_tensor("tokens"), about["words"], about["styles"], **rows)


def compute_scenes(
    vae: MVAE, pictures: Pictures, toned: Pictures | None, count: int, seed: int, path: Path, mark: str, progress: bool = True
) -> Scenes:
    """Compose, draw and encode ``count`` scenes and every picture of ``toned`` (skin tones), and store them in ``path``."""
    composer = Composer(pictures.pixels, pictures.meta, seed)
    vae.eval()
    words, styles, named, colours = [], [], [], []
    total = count + (len(toned) if toned else 0)

    def drawn() -> Iterator[np.ndarray]:
        for picture, said, number, colour in tqdm(
            _all(composer, pictures, toned, count), desc="scenes", total=total, disable=not progress
        ):
            words.append(said)
            styles.append(pictures.meta[number[0]]["style"])
            named.append(number)
            colours.append(colour)
            yield picture

    made = Scenes(encode_drawn(vae, drawn()).to(torch.int32), words, styles, named, colours)
    about = json.dumps({"words": words, "styles": styles, "named": named, "colours": colours}, ensure_ascii=False)
    save_tensors(path, {"tokens": made.tokens}, {"mark": mark, "about": about})
    return made


def _all(
    composer: Composer, pictures: Pictures, toned: Pictures | None, count: int
) -> Iterator[tuple[np.ndarray, str, tuple[int, ...], tuple[str | None, ...]]]:
    """Picture, words, named drawings and their colours: scenes, then skin tones, each made of the same drawing without."""
    for number in range(count):
        scene = composer.plan(number)
        colours = {part.picture: part.colour for part in scene.parts}
        yield composer.draw(scene), scene.words, scene.named, tuple(colours[number] for number in scene.named)
    if toned is None:
        return
    known = {(meta["concept"], meta["style"]): number for number, meta in enumerate(pictures.meta)}
    for number, meta in enumerate(toned.meta):
        base = known.get((meta["concept"], meta["style"]))
        if base is not None:
            yield toned.pixels[number], TONED[number % len(TONED)].format(meta["label"], meta["tone"]), (base,), (None,)

"""The sheet of fixed prompts."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from evaluate_data import sample_folder
from PIL import Image

from mvae.config import STYLES
from mvae.data.captions import HUES
from mvae.data.compose import held_out
from mvae.engine.model import load
from mvae.errors import DataError
from mvae.evaluate.drawings import Stored
from mvae.evaluate.prompt_sheet import (
    COLUMNS,
    COMBINED,
    GAP,
    HEAD,
    SIDE,
    TEXT,
    combine,
    draw_sheet,
    find_drawings,
    read_prompts,
)


def stored(colour: tuple) -> Stored:
    buffer = io.BytesIO()
    Image.new("RGBA", (128, 128), colour).save(buffer, "PNG")
    return Stored("1F34E", "red apple", "food-drink", "noto", "unseen", buffer.getvalue())


def test_a_hundred_prompts_over_all_styles():
    prompts = read_prompts()
    assert len(set(prompts)) == len(prompts) == 100 - sum(COMBINED.values())
    assert min(Counter(style for style, _ in prompts)[style] for style in STYLES) >= 12


def test_combinations_are_held_out_of_training_and_drawn(tmp_path):
    found = combine(sample_folder(tmp_path))
    assert len(found) == sum(COMBINED.values()) and {drawing.split for drawing in found} == {"unseen"}
    colours = found[: COMBINED["colour"]]
    assert all(any(held_out(colour, drawing.concept) for colour in HUES if colour in drawing.label) for drawing in colours)
    for drawing in found:
        assert np.asarray(Image.open(io.BytesIO(drawing.image)))[..., 3].any()


def test_a_data_set_without_their_drawings_is_refused():
    with pytest.raises(DataError, match="expected"):
        find_drawings(Path("tests/data"))


def test_real_drawing_then_through_the_tokens_then_generated():
    model = load("small-fp16")
    sheet = np.asarray(draw_sheet(model, [stored((255, 0, 0, 255))] * (COLUMNS + 1), seed=3))
    cell = 3 * SIDE + GAP
    assert sheet.shape == (2 * (SIDE + TEXT + GAP) + HEAD + GAP, COLUMNS * cell + GAP, 3)
    top, middle = HEAD + GAP, SIDE // 2
    first = [sheet[top + middle, GAP + place * SIDE + middle].astype(int) for place in range(2)]
    assert (first[0] == (255, 0, 0)).all() and np.abs(first[1] - first[0]).max() < 60
    second = sheet[top : top + SIDE, GAP + cell : GAP + cell + 3 * SIDE]
    assert np.array_equal(second, sheet[top : top + SIDE, GAP : GAP + 3 * SIDE])  # the same prompt and seed
    drawn = sheet[top : top + SIDE, GAP + 2 * SIDE : GAP + 3 * SIDE]
    assert not np.array_equal(drawn, sheet[top : top + SIDE, GAP : GAP + SIDE])

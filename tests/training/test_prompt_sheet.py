"""The sheet of fixed prompts."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mvae.config import STYLES
from mvae.engine.model import load
from mvae.errors import DataError
from mvae.evaluate.drawings import Stored
from mvae.evaluate.prompt_sheet import COLUMNS, GAP, HEAD, SIDE, TEXT, draw_sheet, find_drawings, read_prompts


def stored(colour: tuple) -> Stored:
    buffer = io.BytesIO()
    Image.new("RGBA", (128, 128), colour).save(buffer, "PNG")
    return Stored("1F34E", "red apple", "food-drink", "noto", "unseen", buffer.getvalue())


def test_a_hundred_prompts_over_all_styles():
    prompts = read_prompts()
    assert len(set(prompts)) == len(prompts) == 100
    assert Counter(style for style, _ in prompts) == dict.fromkeys(STYLES, 20)


def test_a_data_set_without_their_drawings_is_refused():
    with pytest.raises(DataError, match="expected"):
        find_drawings(Path("tests/data"))


def test_real_drawing_then_through_the_tokens_then_generated():
    model = load("small-fp32")
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

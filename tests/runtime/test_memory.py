"""The memory of stickers: what is recalled, what is added, what is refused."""

import numpy as np
import pytest

from mvae.engine.memory import Memory
from mvae.errors import DataError

LABELS = ["red apple", "red apple", "green apple", "cat", "cat"]
TAGS = [["fruit"], ["fruit"], ["fruit"], ["pet"], ["pet"]]
STYLES = ["noto", "twemoji", "noto", "noto", ""]


@pytest.fixture
def memory() -> Memory:
    return Memory.build(LABELS, TAGS, STYLES, np.arange(5 * 64).reshape(5, 64), "test")


def test_captions_are_kept_once_and_style_decides_between_equals(memory):
    assert len(memory) == 5 and len(memory.index) == 3
    assert memory.recall("a red apple", "twemoji", 2).tolist() == [1, 0]
    assert memory.recall("a red apple", None, 3).tolist() == [0, 1, 2]
    assert memory.recall("cat", "twemoji", 1).tolist() == [3]


def test_the_sticker_to_be_drawn_is_never_recalled(memory):
    assert memory.recall("red apple", "noto", 2, exclude=[0]).tolist() == [1, 2]
    assert len(memory.recall("red apple", None, 99, exclude=[0, 1])) == 3


def test_an_own_sticker_is_found_without_training(memory):
    larger = memory.with_stickers(["my teapot"], [["tea"]], [""], np.arange(64)[None])
    assert len(memory) == 5 and len(larger) == 6
    assert larger.recall("teapot", None, 1).tolist() == [5] and larger.tokens[5].tolist() == list(range(64))
    with pytest.raises(DataError, match="expected 64"):
        memory.with_stickers(["my teapot"], [[]], [""], np.array([[1, 2]]))


def test_file_round_trip(memory):
    again = Memory.from_bytes(memory.to_bytes())
    assert (again.labels, again.tags, again.styles, again.latent_id) == (memory.labels, memory.tags, memory.styles, "test")
    assert np.array_equal(again.tokens, memory.tokens) and again.tokens.dtype == np.uint16
    for prompt in ("apple", "green", "pet cat"):
        assert np.array_equal(again.recall(prompt, "noto", 5), memory.recall(prompt, "noto", 5))


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_damaged_files_are_refused(memory, cut):
    with pytest.raises(DataError, match="memory"):
        Memory.from_bytes(memory.to_bytes()[:cut] if cut else b"")


def test_numbers_must_agree():
    with pytest.raises(DataError, match="equally many"):
        Memory.build(LABELS, TAGS, STYLES, np.zeros((4, 64), int), "test")
    with pytest.raises(DataError, match="equally many"):
        Memory.build(LABELS, TAGS, STYLES, np.full((5, 64), 70000), "test")

"""Words one typing error away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvae.engine.memory import Caption, Memory
from mvae.engine.spelling import Spelling, one_error_apart

WORDS = st.text("abcdé", min_size=0, max_size=6)


def distance(first: str, second: str) -> int:
    """Edits by the textbook's table: replace, leave out, put in, swap neighbours (restricted Damerau-Levenshtein)."""
    table = np.zeros((len(first) + 1, len(second) + 1), int)
    table[:, 0], table[0] = np.arange(len(first) + 1), np.arange(len(second) + 1)
    for i, a in enumerate(first, 1):
        for j, b in enumerate(second, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and b == first[i - 2]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return int(table[-1, -1])


@given(WORDS, WORDS)
def test_one_error_is_a_distance_of_one(first, second):
    assert one_error_apart(first, second) == (distance(first, second) == 1) == one_error_apart(second, first)


@given(st.lists(WORDS, max_size=12), WORDS)
def test_all_known_words_one_error_away_are_found(known, word):
    wanted = set() if len(word) < 4 or word in known else {other for other in known if distance(word, other) == 1}
    assert set(Spelling(known).meant(word, most=99)) == {other for other in wanted if len(other) >= 3}


def test_words_of_more_captions_come_first():
    spelling = Spelling(["surfing", "string", "string", "suing"])
    assert spelling.meant("suring") == ["string", "suing", "surfing"] and spelling.meant("suring", 1) == ["string"]


@pytest.mark.parametrize(
    ("prompt", "label"),
    [("sael", "seal"), ("person gofing", "person golfing"), ("man suring", "man surfing"), ("paegr", "pager"),
     ("two dgos", "dogs"), ("seal", "seal"), ("pager", "pager")],
)
def test_a_mistyped_prompt_finds_what_was_meant(prompt, label):
    labels = ["seal", "person", "person golfing", "man", "man surfing", "string", "pager", "page", "dogs"]
    memory = Memory.build([Caption(each) for each in labels], [""] * len(labels), np.zeros((len(labels), 4), int), "test")
    assert memory.label(int(memory.recall(prompt, None, 1)[0])) == label

"""Other words for a label."""

from random import Random

import pytest

from mvae.data.paraphrase import SENTENCES, TEST_SENTENCES, in_a_sentence, in_other_order, mistyped


def distance(first: str, second: str) -> int:
    """Letters inserted, left out or exchanged (Levenshtein)."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def test_one_typing_error_and_never_at_a_words_ends():
    seen = set()
    for seed in range(300):
        typed = mistyped("a red banana on ice", Random(seed))
        words = typed.split(" ")
        assert words[:2] == ["a", "red"] and words[3:] == ["on", "ice"] and words[2][0] == "b" and words[2][-1] == "a"
        assert distance(words[2], "banana") <= 2
        seen.add(len(words[2]))
    assert seen == {5, 6, 7}
    assert mistyped("a cat", Random(0)) == "a cat" and mistyped("keycap: 3", Random(1)) == "keycap: 3"


def test_sentences_hold_the_words_and_those_for_testing_are_others():
    assert {in_a_sentence("a cat", Random(seed)) for seed in range(400)} == {text.format("a cat") for text in SENTENCES}
    assert not set(SENTENCES) & set(TEST_SENTENCES)


@pytest.mark.parametrize(
    ("label", "other"), [("red apple", "apple red"), ("cat with tears of joy", "tears of joy cat"), ("dog", "dog")]
)
def test_another_order(label, other):
    assert in_other_order(label) == other

"""The caption index: what lies near, what forgives, what is refused."""

import numpy as np
import pytest

from mvae.engine.caption_index import BITS, CaptionIndex, features, words_of
from mvae.errors import DataError

LABELS = ["red apple", "green apple", "grinning cat", "cat with tears of joy", "sailboat", "pizza"]
TAGS = [["fruit"], ["fruit"], ["pet", "smile"], ["pet"], ["boat", "sea"], ["cheese", "slice"]]


@pytest.fixture(scope="module")
def index() -> CaptionIndex:
    return CaptionIndex.build(LABELS, TAGS)


def by_hand(text: str) -> dict[int, float]:
    """:func:`features` of one text, letter by letter in plain integers."""
    found: dict[int, float] = {}
    said: list[str] = []
    for word in words_of(text):
        endings = [word[:-cut] for cut in (1, 2) if len(word) > 3 and word.endswith("es"[-cut:]) and not word.endswith("ss")]
        if word == "berries":
            endings = ["berrie", "berry"]
        marked = f"^{word}$"
        parts = [(marked, 1.0), *((f"^{ending}$", 0.7) for ending in endings)]
        for part, amount in parts:
            code = sum(ord(letter) * pow(16777619, place, 1 << 32) for place, letter in enumerate(part))
            code += 97531 * said.count(part)
            said.append(part)
            keep(found, code, amount)
        for a, b, c in zip(marked, marked[1:], marked[2:], strict=False):
            keep(found, ord(a) + 16777619 * (ord(b) + 16777619 * ord(c)) + 1, 0.5)
    return found


def keep(found: dict[int, float], code: int, amount: float) -> None:
    bucket = (code * 2654435761) % (1 << 32) >> (32 - BITS)
    found[bucket] = max(found.get(bucket, 0.0), amount)


@pytest.mark.parametrize(
    "text", ["red apple", "cats and boxes", "berries", "family: woman, woman, boy", "glass", "Über 猫のキス", "बिल्ली", "", "a"]
)
def test_features_are_those_counted_by_hand(text):
    found = features(["before", text, "behind"])
    row = found.row == 1
    assert dict(zip(found.bucket[row].tolist(), found.weight[row].tolist(), strict=True)) == by_hand(text)
    assert (np.diff(found.row) >= 0).all()


def test_words_are_letters_digits_and_marks():
    assert words_of("The RED-apple’s, a keycap: #") == ["red", "apple", "s", "keycap", "#"]
    assert words_of("चुम्बन करती बिल्ली") == ["चुम्बन", "करती", "बिल्ली"] and words_of("ＢＯＡＴ é") == ["boat", "é"]


@pytest.mark.parametrize("place", range(len(LABELS)))
def test_a_label_finds_itself_first(index, place):
    assert index.nearest(LABELS[place], 1).tolist() == [place]


@pytest.mark.parametrize(
    ("prompt", "first"),
    [("an APPLE that is red", 0), ("aple green", 1), ("tearful joyous cat", 3), ("slice of cheese", 5), ("ＢＯＡＴ", 4)],
)
def test_other_words_order_case_and_errors(index, prompt, first):
    assert index.nearest(prompt, 1).tolist() == [first]


def test_whoever_says_a_label_finds_it():
    labels = ["cat", "cat face", "family: woman, boy", "family: woman, woman, boy", "keycap: #", "keycap: *", "keycap: 1"]
    tags = [["pet", "animal", "meow", "tabby", "whiskers", "kitten"], [], [], ["child", "home"], [], [], []]
    index = CaptionIndex.build(labels, tags)
    assert [index.nearest(label, 1)[0] for label in labels] == list(range(len(labels)))
    assert index.nearest("meow", 1).tolist() == [0]
    assert np.isclose(index.scores("cat")[0], 1, atol=2e-3)


def test_scores_are_cosines_with_labels(index):
    scores = index.scores("grinning cat")
    assert scores.shape == (6,) and scores.min() >= 0 and scores.max() <= 1.001 and scores.argmax() == 2
    assert not index.scores("ξ").any() and not index.scores("the a an").any()


def test_the_letters_of_a_mistyped_word_count_more(index):
    known, strange = index.scores("grinning sailboat"), index.scores("grinning sialboat")
    assert strange[4] / strange[2] > 0.5 * known[4] / known[2] and index.nearest("grinning piza", 2).tolist() == [2, 5]


def test_what_is_explained_is_left_out_but_not_forgotten(index):
    whole, rest = index.scores("pizza and sailboat"), index.scores("pizza and sailboat", without="a pizza")
    assert whole[5] > 0.4 and rest[5] == 0 and rest[4] == whole[4] > 0.4
    assert not index.scores("pizza", without="pizza").any()


def test_what_is_excluded_is_never_found(index):
    assert index.nearest("red apple", 6, exclude=[0]).tolist()[0] == 1
    assert sorted(index.nearest("red apple", 99, exclude=[0, 2]).tolist()) == [1, 3, 4, 5]


def test_an_index_in_two_parts_is_that_of_the_whole(index):
    parts = CaptionIndex.build(LABELS[:2], TAGS[:2]).followed_by(CaptionIndex.build(LABELS[2:], TAGS[2:]))
    assert len(parts) == 6
    for prompt in (*LABELS, "pet", "slice of apple"):
        assert np.allclose(parts.scores(prompt), index.scores(prompt))


def test_refusals():
    with pytest.raises(DataError, match="equally many"):
        CaptionIndex.build([], [])

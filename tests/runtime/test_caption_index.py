"""The caption index: what lies near, what forgives, what is refused."""

import numpy as np
import pytest

from mvae.engine.caption_index import CaptionIndex, features, fnv1a
from mvae.errors import DataError

LABELS = ["red apple", "green apple", "grinning cat", "cat with tears of joy", "sailboat", "pizza"]
TAGS = [["fruit"], ["fruit"], ["pet", "smile"], ["pet"], ["boat", "sea"], ["cheese", "slice"]]


@pytest.fixture(scope="module")
def index() -> CaptionIndex:
    return CaptionIndex.build(LABELS, TAGS)


def test_hash_is_the_published_one():
    assert fnv1a("") == 0x811C9DC5 and fnv1a("a") == 0xE40C292C and fnv1a("foobar") == 0xBF9CF968


@pytest.mark.parametrize("place", range(len(LABELS)))
def test_a_label_finds_itself_first(index, place):
    assert index.nearest(LABELS[place], 1).tolist() == [place]


@pytest.mark.parametrize(
    ("prompt", "first"),
    [("an APPLE that is red", 0), ("aple green", 1), ("joyful cats", 3), ("slice of cheese", 5), ("ＢＯＡＴ", 4)],
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
    full = features("grinning cat")
    assert max(full.values()) == 1.0 and min(full.values()) == 0.35


def test_what_is_excluded_is_never_found_and_a_bonus_counts(index):
    assert index.nearest("red apple", 6, exclude=[0]).tolist()[0] == 1
    assert sorted(index.nearest("red apple", 99, exclude=[0, 2]).tolist()) == [1, 3, 4, 5]
    bonus = np.zeros(6)
    bonus[5] = 2
    assert index.nearest("red apple", 2, bonus=bonus).tolist() == [5, 0]


def test_round_trip_and_refusals(index):
    again = CaptionIndex.from_arrays(index.arrays())
    assert np.array_equal(again.scores("cat"), index.scores("cat"))
    with pytest.raises(DataError, match="arrays"):
        CaptionIndex.from_arrays(index.arrays() | {"values": index.values.astype(np.float32)})
    with pytest.raises(DataError, match="fit together"):
        CaptionIndex.from_arrays(index.arrays() | {"starts": index.starts[:-1]})
    with pytest.raises(DataError, match="equally many"):
        CaptionIndex.build([], [])

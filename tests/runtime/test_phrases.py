"""Captions that a prompt says word for word."""

import numpy as np
import pytest

from mvae.engine.memory import Caption, Memory
from mvae.engine.phrases import Kind, Phrases

CAPTIONS = [
    Caption("tram car", ("car", "tram")), Caption("automobile", ("car",), ("auto",)), Caption("auto rickshaw", ("rickshaw",)),
    Caption("bird", ()), Caption("wing", ("birds",)), Caption("thinking face", ("think",)), Caption("tiger", ("cat",)),
    Caption("person", ()), Caption("people hugging", ("hug",)), Caption("deaf person", (), ("gehörlose person",)),
    Caption("envelope", ()), Caption("red envelope", ()), Caption("fire", ()), Caption("fire engine", ("fire truck",)),
]


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory.build(CAPTIONS, [""] * len(CAPTIONS), np.zeros((len(CAPTIONS), 4), int), "test")


@pytest.mark.parametrize(
    ("prompt", "label"),
    [
        ("car", "automobile"), ("cars", "automobile"), ("auto", "automobile"), ("birds", "bird"), ("people", "person"),
        ("my favourite thing: tiger", "tiger"), ("gehörlose person", "deaf person"), ("envelope red", "red envelope"),
        ("a purple envelope", "envelope"), ("fire truck", "fire engine"), ("tram car", "tram car"), ("thinking", "thinking face"),
    ],
)
def test_what_is_said_is_meant(memory, prompt, label):
    assert memory.label(int(memory.recall(prompt, None, 1)[0])) == label


def test_a_second_thing_is_found_by_its_own_words(memory):
    found = memory.recall("a tiger next to three birds", None, 2)
    assert [memory.label(int(sticker)) for sticker in found] == ["tiger", "bird"]


def test_scores_are_shares_of_what_is_asked():
    phrases = Phrases.build([(["red", "heart"], 0, Kind.LABEL), (["heart"], 1, Kind.LABEL), (["love"], 1, Kind.TAG)])
    whole = phrases.scores(["red", "heart"], {"red"}, (), 2)
    assert whole[0] == 1 and 0.9 < whole[1] < 1
    assert phrases.scores(["hearts"], (), (), 2).tolist() == [0, 0.98] and phrases.scores(["love"], (), (), 2)[1] == 0.85
    half = phrases.scores(["heart", "love"], (), (), 2)
    assert half[1] == pytest.approx(0.5**0.5) and phrases.scores(["heart", "love"], (), {"heart"}, 2)[1] < half[1]
    assert not phrases.scores(["nothing", "known"], (), (), 2).any() and not phrases.scores([], (), (), 2).any()
    assert phrases.scores(["red"], {"red"}, (), 2).tolist() == [0, 0]  # alone it is no caption


def test_joined_phrases_move_their_rows():
    first, second = Phrases.build([(["cat"], 0, Kind.LABEL)]), Phrases.build([(["dog"], 1, Kind.LABEL), (["cat"], 0, Kind.TAG)])
    joined = first.followed_by(second, 3).followed_by(first, 5)
    assert joined.scores(["dog"], (), (), 6).tolist() == [0, 0, 0, 0, 1, 0]
    assert joined.scores(["cat"], (), (), 6).tolist() == [1, 0, 0, 0.85, 0, 1]

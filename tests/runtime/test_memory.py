"""The memory of stickers: what is recalled, what is added, what is refused."""

import numpy as np
import pytest

from mvae.engine.memory import Caption, Memory
from mvae.errors import DataError

APPLE, CAT = Caption("red apple", ("fruit",), ("roter apfel",)), Caption("cat", ("pet",), ("katze",))
CAPTIONS = [APPLE, APPLE, Caption("green apple", ("fruit",)), CAT, CAT]
STYLES = ["noto", "twemoji", "noto", "noto", ""]


@pytest.fixture
def memory() -> Memory:
    return Memory.build(CAPTIONS, STYLES, np.arange(5 * 64).reshape(5, 64), "test")


@pytest.fixture(scope="module")
def many() -> Memory:
    """Things that prompts name together, and some that share their modifiers."""
    labels = ["dog", "pizza", "purple heart", "three o'clock", "hot dog", "red heart", "crown", "cat", "framed picture"]
    captions = [Caption(label, ("king",) if label == "crown" else ()) for label in labels]
    captions[4] = Caption("hot dog", (), ("king",))
    return Memory.build(captions, [""] * len(labels), np.zeros((len(labels), 4), int), "test")


def test_captions_are_kept_once_and_style_decides_between_equals(memory):
    assert len(memory) == 5 and len(memory.captions) == 3
    assert memory.nearest("a red apple", "twemoji", 2).tolist() == [1, 0]
    assert memory.nearest("a red apple", None, 3).tolist() == [0, 1, 2]
    assert memory.recall("cat", "twemoji", 1).tolist() == [3]


def test_the_sticker_to_be_drawn_is_never_recalled(memory):
    assert memory.nearest("red apple", "noto", 2, exclude=[0]).tolist() == [1, 2]
    assert memory.recall("red apple", "noto", 1, exclude=[0]).tolist() == [1]
    assert len(memory.nearest("red apple", None, 99, exclude=[0, 1])) == 3


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a dog next to a pizza", ["dog", "pizza"]), ("pizza under a dog", ["pizza", "dog"]), ("three dogs", ["dog"]),
        ("crownn and pizzza", ["crown", "pizza"]), ("three", ["three o'clock"]), ("hot dog on a cat", ["hot dog", "cat"]),
        ("hot dog", ["hot dog"]), ("purple cat", ["cat"]), ("purple heart", ["purple heart"]), ("king", ["crown"]),
        ("a red heart, please", ["red heart"]), ("please draw a picture of a dog", ["dog"]),
        ("framed picture", ["framed picture"]),
    ],
)
def test_each_thing_of_a_prompt_is_recalled_once_and_in_its_order(many, prompt, found):
    assert [many.label(number) for number in many.recall(prompt, None, 2)] == found


def test_whatever_is_asked_something_is_recalled(many):
    for prompt in ("ξ", "the", "next to", "!"):
        assert len(many.recall(prompt, None, 2)) == 1


def test_other_languages_find_the_same(memory):
    assert memory.recall("Katze", None, 1).tolist() == [3] and memory.recall("ein roter Apfel", "noto", 2).tolist() == [0]


def test_an_own_sticker_is_found_without_training(memory):
    larger = memory.with_stickers([Caption("my teapot", ("tea",))], [""], np.arange(64)[None])
    assert len(memory) == 5 and len(larger) == 6
    assert larger.recall("teapot", None, 1).tolist() == [5] and larger.tokens[5].tolist() == list(range(64))
    with pytest.raises(DataError, match="expected 64"):
        memory.with_stickers([Caption("my teapot")], [""], np.array([[1, 2]]))


def test_joined_memories_answer_as_if_made_in_one_piece(memory, many):
    captions = [Caption(caption.label.replace("cat", "kitten"), caption.tags, caption.names) for caption in many.captions]
    other = Memory.build(captions, many.styles, np.zeros((len(many), 64), int), "test")
    whole = Memory.build([*captions, *CAPTIONS], [*other.styles, *STYLES], np.zeros((len(many) + 5, 64), int), "test")
    joined = other.joined(memory)
    assert len(joined) == len(whole) and joined.styles == whole.styles
    for prompt in ("cat", "katze", "red apple and pizza", "green", "a dog on an apple"):
        assert joined.nearest(prompt, "noto", 6).tolist() == whole.nearest(prompt, "noto", 6).tolist()
        assert joined.recall(prompt, "noto", 2).tolist() == whole.recall(prompt, "noto", 2).tolist()
    with pytest.raises(DataError, match="latent 'other'"):
        memory.joined(Memory.build([CAT], [""], np.zeros((1, 64), int), "other"))


def test_file_round_trip(memory):
    again = Memory.from_bytes(memory.to_bytes())
    assert (again.captions, again.styles, again.latent_id) == (memory.captions, memory.styles, "test")
    assert np.array_equal(again.tokens, memory.tokens) and again.tokens.dtype == np.uint16
    for prompt in ("apple", "green", "pet cat"):
        assert np.array_equal(again.nearest(prompt, "noto", 5), memory.nearest(prompt, "noto", 5))


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_damaged_files_are_refused(memory, cut):
    with pytest.raises(DataError, match="memory"):
        Memory.from_bytes(memory.to_bytes()[:cut] if cut else b"")


def test_files_whose_parts_do_not_fit_are_refused(memory, tmp_path):
    path = tmp_path / "memory.npz"
    path.write_bytes(memory.to_bytes())
    with np.load(path) as file:
        arrays = dict(file)
    for change in (
        {"caption": arrays["caption"] + 1}, {"caption": arrays["caption"][:-1]}, {"style": arrays["style"] + 9},
        {"tokens": arrays["tokens"].astype(np.int64)}, {"captions": np.frombuffer(b'[["cat"]]', np.uint8)},
        {"captions": np.frombuffer(b"{", np.uint8)}, {"tokens": arrays["tokens"][:0]},
    ):
        np.savez_compressed(path, **arrays | change)
        with pytest.raises(DataError, match="memory"):
            Memory.from_bytes(path.read_bytes())


def test_numbers_must_agree():
    with pytest.raises(DataError, match="equally many"):
        Memory.build(CAPTIONS, STYLES, np.zeros((4, 64), int), "test")
    with pytest.raises(DataError, match="equally many"):
        Memory.build(CAPTIONS, STYLES, np.full((5, 64), 70000), "test")


def test_several_of_a_thing_find_the_thing():
    labels = ["three o'clock", "strawberry", "dog", "box", "kiss"]
    memory = Memory.build([Caption(label) for label in labels], [""] * 5, np.zeros((5, 4), int), "test")
    for prompt, label in (("three strawberries", 1), ("two dogs", 2), ("three boxes", 3), ("kiss", 4)):
        assert memory.recall(prompt, None, 1).tolist() == [label]

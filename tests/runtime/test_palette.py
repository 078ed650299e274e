"""Stickers in another colour: which thing of a prompt a colour belongs to, and what becomes of tokens."""

from dataclasses import replace

import numpy as np
import pytest

from mvae.engine.caption_index import words_of
from mvae.engine.colour_words import ColourWords
from mvae.engine.memory import Caption, Memory
from mvae.engine.palette import Palette, colours_asked, is_of_people, named_colours
from mvae.errors import DataError

COLOURS = ("red", "blue", "grey", "purple")
PALETTE = Palette(COLOURS, np.arange(4)[:, None].astype(np.uint16).repeat(64, 1) + np.arange(64, dtype=np.uint16) // 8 * 4)


@pytest.mark.parametrize(
    ("prompt", "places", "colours"),
    [
        ("purple cat", [1], ["purple"]), ("cat is purple", [0], ["purple"]), ("cat", [0], [None]), ("gray cat", [1], ["grey"]),
        ("violet cat", [1], ["purple"]), ("green cat", [1], [None]), ("red blue cat", [2], ["red"]),
        ("blue dog next to red car", [1, 5], ["blue", "red"]), ("dog next to red car", [0, 4], [None, "red"]),
        ("dog and car red", [0, 2], [None, "red"]), ("dog red car", [0, 2], [None, "red"]),
        ("red car and dog", [3, 1], [None, "red"]), ("cat on blue background", [0], [None]),
        ("purple cat on blue background", [1], ["purple"]), ("red katze", [0], ["red"]), ("red", [], []),
    ],
)
def test_a_colour_belongs_to_the_nearest_thing(prompt, places, colours):
    assert asked_for(prompt, [{"thing"}] * len(places), places) == colours


def asked_for(prompt: str, things: list[set[str]], places: list[int]) -> list[str | None]:
    return colours_asked(prompt.split(), named_colours(prompt.split(), COLOURS), things, places)


def test_what_has_the_colour_by_name_and_what_is_of_people_stays():
    assert asked_for("red apple", [{"red", "apple"}], [1]) == [None]
    assert asked_for("red", [{"red", "heart"}], [0]) == [None]
    assert asked_for("blue apple", [{"red", "apple"}], [1]) == ["blue"]
    labels = {"health worker", "man health worker", "cook", "hat"}
    for label in ("woman cook", "man", "raised hand", "health worker", "baby", "man: red hair"):
        assert is_of_people(words_of(label), labels), label
    for label in ("woman's hat", "hat", "baby chick", "cook", "handbag"):
        assert not is_of_people(words_of(label), labels), label


def test_a_word_that_a_thing_is_called_by_is_no_colour_of_it():
    captions = [Caption("tangerine", ("orange",)), Caption("taxi", ("yellow", "red")), Caption("woman", ("lady",))]
    memory = replace(Memory.build(captions, [""] * 3, np.full((3, 16), 9), "test"), palette=PALETTE)
    for prompt in ("ξ", "the", "!", "red", "next to"):  # whatever is asked, something is read
        assert len(memory.read(prompt, None, 2).stickers) == 1, prompt
    for prompt, colour in {"red taxi": "red", "a red lady": None, "blue tangerine": "blue", "tangerine": None}.items():
        assert memory.read(prompt, None, 1).colours == (colour,), prompt
    named = replace(memory, palette=Palette(("orange",), PALETTE.tokens[:1]))
    assert named.read("orange", None, 1).colours == (None,) and named.read("orange taxi", None, 1).colours == ("orange",)


def test_tokens_are_mapped_place_by_place_and_the_given_ones_stay():
    tokens = np.array([[0, 9, 63], [0, 9, 63]], np.uint16)
    made = PALETTE.recoloured(tokens, ["blue", None])
    assert made.tolist() == [[1, 5, 29], [0, 9, 63]] and tokens.tolist() == [[0, 9, 63]] * 2 and made.dtype == np.uint16


@pytest.mark.parametrize(
    "tokens", [np.zeros((3, 64), np.uint16), np.zeros((4, 64), int), np.full((4, 64), 64, np.uint16), np.zeros(4, np.uint16)]
)
def test_a_palette_that_does_not_fit_is_refused(tokens):
    with pytest.raises(DataError, match="palette"):
        Palette(COLOURS, tokens)


def test_a_memory_is_read_in_the_colours_asked_for_and_keeps_its_palette():
    captions = [Caption("cat"), Caption("car", ("red",)), Caption("dog")]
    plain = Memory.build(captions, [""] * 3, np.full((3, 16), 9), "test", np.full((3, 4), 17))
    memory = replace(plain, palette=PALETTE)
    again = Memory.from_bytes(memory.to_bytes())
    joined = plain.with_stickers([Caption("cow")], [""], np.full((1, 16), 9), np.full((1, 4), 17)).joined(memory)
    for known in (memory, again, joined):
        read = known.read("a purple cat next to a blue dog", None, 2)
        assert [known.label(int(sticker)) for sticker in read.stickers] == ["cat", "dog"] and read.colours == ("purple", "blue")
        assert read.tokens.tolist() == [[7] * 16, [5] * 16] and read.small.tolist() == [[11] * 4, [9] * 4]
    assert memory.shown(0, "purple")[0] == "cat, in purple" and memory.shown(0, "purple")[1].tolist() == [7] * 16
    assert memory.shown(0, None)[0] == "cat" and memory.shown(0, None)[1].tolist() == [9] * 16
    assert plain.read("purple cat", None, 2).tokens.tolist() == [[9] * 16] and plain.palette is None


NAMED = {
    "red heart": ("rotes herz", "coeur rouge"), "blue heart": ("blaues herz", "coeur bleu"),
    "red circle": ("roter kreis", "cercle rouge"), "blue circle": ("blauer kreis", "cercle bleu"),
    "red lantern": ("rote laterne", "lanterne rouge"), "tree": ("baum", "arbre"),
    "green heart": ("baumgrünes herz", "coeur arbre"), "palm": ("palmenbaum", "arbre palmier"), "cat": ("katze", "chat"),
    "mustard": ("must", "moutarde"),
}


def test_colours_in_other_languages_are_found_in_the_captions_alone():
    words = ColourWords(("red", "blue"), [(label.split(), [name.split() for name in names]) for label, names in NAMED.items()])
    for word, colour in {"rotes": "red", "rote": "red", "roten": "red", "rouges": "red", "bleu": "blue", "red": "red"}.items():
        assert words.meaning(word) == colour, word
    for word in ("herz", "coeur", "baum", "arbre", "laterne", "rot", "katze", "unheard", "rottweiler"):
        assert words.meaning(word) is None, word  # "arbre" is said of a heart once, but mostly of trees


def test_a_prompt_in_another_language_is_read_in_its_colour():
    captions = [Caption(label, (), names) for label, names in NAMED.items()]
    memory = replace(Memory.build(captions, [""] * len(captions), np.full((len(captions), 16), 9), "test"), palette=PALETTE)
    for prompt in ("rote katze", "chat rouge"):
        assert memory.read(prompt, None, 1).colours == ("red",), prompt
    assert memory.read("i must see a cat", None, 1).colours == (None,) and memory.read("rotes herz", None, 1).colours == (None,)

"""Stickers in another colour, by their tokens: for every colour word the token that a token becomes.

A token of the shared latent stands for a patch of a picture, colour included, so that recolouring is, to a first approximation, a
map of tokens to tokens, place by place. The seq2seq reads what is recalled in the colour asked for, and redraws it.

Legend: K colours, V tokens of the codebook.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from mvae.errors import DataError

ALIASES = {"gray": "grey", "violet": "purple"}
"""Other words for colours."""
PEOPLE = frozenset("man men woman women person people boy girl child adult hand hands fist skin".split())
"""Words of labels that say people. They are never recoloured: "black woman" says a tone of skin, not of paint."""
_BACKGROUND = "background"


@dataclass(frozen=True)
class Palette:
    """Immutable."""

    words: tuple[str, ...]
    """[K] colour words, lower case."""
    tokens: np.ndarray
    """uint16 [K, V]."""

    def __post_init__(self) -> None:
        sound = self.tokens.ndim == 2 and len(self.tokens) == len(self.words) and self.tokens.dtype == np.uint16
        if not sound or not self.tokens.size or self.tokens.max() >= self.tokens.shape[1]:
            raise DataError(
                f"palette: {self.tokens.dtype} {self.tokens.shape} for {len(self.words)} colours; expected uint16, a row "
                "a colour, of tokens below the row's length"
            )

    def recoloured(self, tokens: np.ndarray, colours: Sequence[str | None]) -> np.ndarray:
        """uint16 or int64 [N, …], every row in its colour (one of :attr:`words`), or as it is for None."""
        made = tokens.copy()
        for row, colour in enumerate(colours):
            if colour is not None:
                made[row] = self.tokens[self.words.index(colour)][made[row]]
        return made


def named_colours(asked: Sequence[str], known: Collection[str]) -> list[str | None]:
    """The colour that each of the words asked names in English, None where it names none of the ``known`` ones."""
    colours = [ALIASES.get(word, word) for word in asked]
    return [colour if colour in known else None for colour in colours]


def colours_asked(
    asked: Sequence[str], named: Sequence[str | None], things: Sequence[Collection[str]], places: Sequence[int]
) -> list[str | None]:
    """The colour that a prompt asks for each of its things, None where it asks for none or they have it by name.

    ``asked``: the prompt's words; ``named``: the colour that each of them names; ``things``: the words of each thing's own
    label; ``places``: which of the words asked speaks of it. A colour belongs to the nearest thing, the one
    behind it before the one in front of it; the colour of a background to none.
    """
    found: list[str | None] = [None] * len(things)
    for place, (word, colour) in enumerate(zip(asked, named, strict=True)):
        if colour is None or asked[place + 1 : place + 2] == [_BACKGROUND] or not things:
            continue
        number = min(range(len(things)), key=lambda thing: (abs(places[thing] - place), places[thing] < place))
        own = things[number]
        if found[number] is None and word not in own and colour not in own:
            found[number] = colour
    return found


def is_of_people(label: Sequence[str], labels: Collection[str]) -> bool:
    """Whether a label, as words, is of people: it says so ("woman cook", not "woman's hat"), or it has a man among all ``labels``
    ("health worker" and "man health worker")."""
    said = any(word in PEOPLE and label[place + 1 : place + 2] != ["s"] for place, word in enumerate(label))
    return said or [*label[-1:]] == ["baby"] or " ".join(["man", *label]) in labels


def place_of(said: Collection[str], others: Collection[str], asked: Sequence[str]) -> int:
    """Which of the asked words is one of those ``said``, or else of the ``others``, or else most like one of them; 0 for a prompt
    without words."""
    for known in (set(said), set(others)):
        for place, word in enumerate(asked):
            if word in known:
                return place  # as nearly always: nothing needs to be compared

    def alike(word: str) -> float:
        return max((SequenceMatcher(None, word, other).ratio() for other in (*said, *others)), default=0.0)

    return max(range(len(asked)), key=lambda place: (alike(asked[place]), -place), default=0)

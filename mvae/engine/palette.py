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
PEOPLE = frozenset("man men woman women person people boy girl baby child adult hand skin".split())
"""What is of people is never recoloured: "black woman" says a tone of skin, not of paint."""
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


def colours_asked(
    asked: Sequence[str], things: Sequence[Collection[str]], places: Sequence[int], known: Collection[str]
) -> list[str | None]:
    """The colour that a prompt asks for each of its things, None where it asks for none or they have it by name.

    ``asked``: the prompt's words; ``things``: the words of each thing's own caption, tags included; ``places``: which of the
    words asked speaks of it; ``known``: colours that can be shown. A colour belongs to the next thing behind it or, where there
    is none, to the last before it; the colour of a background to none.
    """
    found: list[str | None] = [None] * len(things)
    order = sorted(range(len(things)), key=lambda number: places[number])
    for place, word in enumerate(asked):
        colour = ALIASES.get(word, word)
        if colour not in known or asked[place + 1 : place + 2] == [_BACKGROUND] or not order:
            continue
        number = next((number for number in order if places[number] >= place), order[-1])
        if found[number] is None and word not in things[number] and not PEOPLE & set(things[number]):
            found[number] = colour
    return found


def place_of(said: Collection[str], asked: Sequence[str]) -> int:
    """Which of the asked words is most like one of the words ``said``; 0 for a prompt without words."""
    known = set(said)
    for place, word in enumerate(asked):
        if word in known:
            return place  # as nearly always: nothing needs to be compared

    def alike(word: str) -> float:
        return max((SequenceMatcher(None, word, other).ratio() for other in known), default=0.0)

    return max(range(len(asked)), key=lambda place: (alike(asked[place]), -place), default=0)

"""Captions that a prompt says word for word: exact phrases, where :mod:`mvae.engine.caption_index` weighs likeness.

"cars" is a car, though more letters of it are in "cable car"; in "my favourite thing: tiger" a tiger is meant.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

LONGEST = 12
"""Words of the longest phrase that is looked up."""
_IRREGULAR = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "geese": "goose", "teeth": "tooth",
    "feet": "foot", "oxen": "ox", "leaves": "leaf", "wolves": "wolf", "knives": "knife", "loaves": "loaf", "elves": "elf",
    "shelves": "shelf", "scarves": "scarf", "calves": "calf", "dice": "die",
}


class Kind(IntEnum):
    """What a phrase is to its caption."""

    LABEL = 0
    TAG = 1
    NAME = 2
    """The label in another language."""
    EVERYDAY = 3
    """What people mean by it (:mod:`mvae.engine.everyday`)."""


WORTH = {Kind.LABEL: 1.0, Kind.TAG: 0.85, Kind.NAME: 0.83, Kind.EVERYDAY: 0.95}
"""Score of a phrase that is all of a prompt. The style asked for, worth 0.1, must not make a tag as good as a label."""
PLURAL_WORTH = 0.98
"""Factor for what is found by the singular of its last word."""
STRANGE = 0.5
"""Weight of a word that no phrase has, beside those that some have: it may be mistyped, or of no account."""
ASIDE = 0.05
"""Weight of a word that says how, beside those that say what: "red envelope" is nearer to itself than to an envelope."""


def singulars(word: str) -> tuple[str, ...]:
    """``"dogs"`` → ``("dog",)``, ``"boxes"`` → ``("boxe", "box")``, ``"berries"`` → ``("berrie", "berry")``; else none."""
    if len(word) < 4 or word[-1] != "s" or word[-2] == "s":
        return ()
    if len(word) > 4 and word.endswith("ies"):
        return word[:-1], word[:-3] + "y"
    return (word[:-1], word[:-2]) if word[-2] == "e" else (word[:-1],)


@dataclass(frozen=True)
class Phrases:
    """Which rows of an index have a phrase. Immutable; :meth:`followed_by` shares what both hold."""

    parts: tuple[tuple[int, dict[str, list[tuple[int, Kind]]]], ...]
    """First row of each part, and its phrases."""
    words: tuple[frozenset[str], ...]
    """Of each part: every word of its phrases."""

    @classmethod
    def build(cls, phrases: Iterable[tuple[Sequence[str], int, Kind]]) -> "Phrases":
        """From phrases (their words), the row that has each, and what it is to it."""
        found: dict[str, list[tuple[int, Kind]]] = {}
        known: set[str] = set()
        for words, row, kind in phrases:
            found.setdefault(" ".join(words), []).append((row, kind))
            known.update(words)
        return cls(((0, found),), (frozenset(known),))

    def followed_by(self, other: "Phrases", rows: int) -> "Phrases":
        """These phrases, and the other's, whose row 0 becomes row ``rows``."""
        return Phrases(self.parts + tuple((first + rows, part) for first, part in other.parts), self.words + other.words)

    def knows(self, word: str) -> bool:
        """Whether any phrase has the word, or its singular."""
        return any(form in part for form in (word, _IRREGULAR.get(word, word), *singulars(word)) for part in self.words)

    def scores(self, asked: list[str], aside: Collection[str], without: Collection[str], count: int) -> np.ndarray:
        """Of every row, float64 [count]: what its phrase explains of the words asked for, 0 … 1.

        Words ``aside`` make no phrase by themselves and weigh nothing, unless nothing else is asked for; words that no phrase has
        weigh little. Phrases with a word of ``without`` have been explained already.
        """
        content = {word for word in asked if word not in aside} or set(asked)
        weights = [ASIDE if word not in content else 1.0 if self.knows(word) else STRANGE for word in asked]
        found, gone = np.zeros(count), set(without)
        for start in range(len(asked)):
            for stop in range(start + 1, min(len(asked), start + LONGEST) + 1):
                words = asked[start:stop]
                if content.isdisjoint(words) or not gone.isdisjoint(words):
                    continue
                share = (sum(weights[start:stop]) / sum(weights)) ** 0.5
                for phrase, factor in _forms(words):
                    for first, part in self.parts:
                        for row, kind in part.get(phrase, ()):
                            found[first + row] = max(found[first + row], WORTH[kind] * factor * share)
        return found


def _forms(words: Sequence[str]) -> list[tuple[str, float]]:
    """A phrase, and with its last word in the singular; what each is worth."""
    *before, last = words
    forms = [(" ".join(words), 1.0)]
    for single in (_IRREGULAR[last],) if last in _IRREGULAR else singulars(last):
        forms.append((" ".join([*before, single]), PLURAL_WORTH))
    return forms

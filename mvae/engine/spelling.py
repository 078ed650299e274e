"""Known words that lie one typing error away from a word that is not known. No list of a language is needed: what is known are
the words of the captions."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

SHORTEST = 4
"""Letters of a word that may have been mistyped: shorter ones are one letter away from too many others."""
SIGNS = 64
"""Letters are counted by their code modulo this: enough to tell most words apart before they are compared."""


class Spelling:
    """The words of a set of captions."""

    def __init__(self, words: Iterable[str]):
        self.count = Counter(words)
        self._words = [word for word in self.count if len(word) >= SHORTEST - 1]
        self._lengths = np.array([len(word) for word in self._words], np.int16)
        self._signs = np.zeros((len(self._words), SIGNS), np.int8)
        rows = np.repeat(np.arange(len(self._words)), self._lengths)
        codes = np.frombuffer("".join(self._words).encode("utf-32-le"), np.uint32) % SIGNS
        np.add.at(self._signs, (rows, codes), 1)

    def meant(self, word: str, most: int = 8) -> list[str]:
        """What ``word`` may stand for, at most ``most`` words, those of most captions first; none where it is known itself."""
        if len(word) < SHORTEST or word in self.count or not self._words:
            return []
        signs = np.bincount(np.frombuffer(word.encode("utf-32-le"), np.uint32) % SIGNS, minlength=SIGNS)
        near = (np.abs(self._lengths - len(word)) <= 1) & (np.abs(self._signs - signs).sum(1) <= 2)
        found = [self._words[row] for row in np.flatnonzero(near) if one_error_apart(word, self._words[row])]
        return sorted(found, key=lambda other: (-self.count[other], other))[:most]


def one_error_apart(first: str, second: str) -> bool:
    """Whether one letter replaced, left out or put in, or two neighbours swapped, make one word of the other."""
    if abs(len(first) - len(second)) > 1 or first == second:
        return False
    start = next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    a, b = first[start:], second[start:]
    if len(a) != len(b):
        return a[1:] == b or a == b[1:]
    return a[1:] == b[1:] or (a[1::-1] == b[:2] and a[2:] == b[2:])

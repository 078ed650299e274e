"""Words for colours in other languages, found in the captions alone: "rotes herz" and "blaues herz" are hearts, red and blue."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

MOSTLY = 0.6
"""Share of the captions with a word that have to be of its colour: "cây" is part of green in Vietnamese, but mostly a tree."""
STEM = 4
"""Letters at least that two forms of one word share."""
ENDING = 2
"""Letters at most by which their ends differ."""


class ColourWords:
    """What every word means that names a colour."""

    def __init__(self, colours: Collection[str], captions: Iterable[tuple[Sequence[str], Sequence[Sequence[str]]]]):
        """``colours``: in English; ``captions``: of each the words of its label and of its names in other languages."""
        self.known = {colour: colour for colour in colours}
        things: dict[str, dict[str, set[str]]] = defaultdict(dict)
        of_colour: dict[str, Counter[str]] = defaultdict(Counter)
        everywhere: Counter[str] = Counter()
        for label, names in captions:
            words = {word for name in names for word in name}
            everywhere.update(words)
            said = [word for word in label if word in self.known]
            for colour in said:
                of_colour[colour].update(words)
            if len(said) == 1 and len(label) == 2:
                (thing,) = set(label) - {said[0]} or {""}
                things[thing].setdefault(said[0], set()).update(words)
        for by_colour in things.values():
            for colour, words in by_colour.items():
                others = set().union(*(other for name, other in by_colour.items() if name != colour))
                for word in words - others if others else ():
                    if len(word) > 1 and of_colour[colour][word] >= MOSTLY * everywhere[word]:
                        self.known.setdefault(word, colour)
        self._stems: dict[str, str] = {}
        for word, colour in self.known.items():
            if len(word) >= STEM:
                self._stems.setdefault(word[: max(STEM, len(word) - ENDING)], colour)
        for word, count in everywhere.items():
            colour = self._of_stem(word)
            if word not in self.known and colour is not None and of_colour[colour][word] >= MOSTLY * count:
                self.known[word] = colour
        self._other = set(everywhere) - set(self.known)

    def meaning(self, word: str) -> str | None:
        """The colour, in English, that a word names, in any of its forms; None for a word that names none."""
        if word in self.known or word in self._other:
            return self.known.get(word)
        return self._of_stem(word)

    def _of_stem(self, word: str) -> str | None:
        lengths = range(len(word), max(STEM, len(word) - ENDING) - 1, -1)
        return next((self._stems[word[:length]] for length in lengths if word[:length] in self._stems), None)

"""Which known captions lie nearest to a prompt: hashed words and letter triples, weighted by rarity. No torch, nothing stored but
the captions themselves, the same result in any language that has 32-bit integers.

Legend: N captions, F = ``BUCKETS`` features; rows are sparse, and of unit length in what the label says: a score is the cosine
with the label, or what the tags add to it, up to ``TAGS_AT_MOST``; all are in [0, 1].
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mvae.engine.phrases import singulars
from mvae.errors import DataError

BITS = 18
BUCKETS = 1 << BITS
WORD_WEIGHT, SINGULAR_WEIGHT, TRIPLE_WEIGHT, TAG_WEIGHT = 1.0, 0.7, 0.5, 0.6
"""A word of the label counts 1; without an s at its end, which makes a plural in many languages, less; each triple of its
letters, which forgives endings and typing errors, less again. A tag's count a little less
than a label's."""
TAGS_AT_MOST = 0.8
"""What tags can make of a score: a label that is said is nearer than any collection of tags."""
STRANGE = 2.0
"""How much more the letters count of a word that no caption has: it is most likely mistyped."""
_MIX, _STEP, _AGAIN = np.uint32(2654435761), np.uint32(16777619), np.uint32(97531)
_UNSAID = frozenset(("a", "an", "the"))


class _Kept(dict):
    """What becomes of each sign, for :meth:`str.translate`: letters, digits and marks stay, # and * stand alone."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        self[code] = sign if unicodedata.category(sign)[0] in "LMN" else f" {sign} " if sign in "#*" else " "
        return self[code]


_KEPT = _Kept({ord("\n"): "\n"})


def words_of(text: str) -> list[str]:
    """Lower-case words after NFKC, and the signs # and *, by which alone two keycaps differ; "a", "an" and "the" say nothing of
    what to draw. Letters, digits and marks (the vowels of many scripts) make words, all else parts them."""
    (words,) = all_words_of([text])
    return words


def all_words_of(texts: Iterable[str]) -> list[list[str]]:
    """:func:`words_of` of many texts, in a tenth of the time."""
    lines = "\n".join(text.replace("\n", " ") for text in texts)
    folded = unicodedata.normalize("NFKC", lines).casefold().translate(_KEPT)
    return [[word for word in line.split() if word not in _UNSAID] for line in folded.split("\n")]


@dataclass(frozen=True)
class Features:
    """What texts consist of: every feature at most once a row, rows ascending."""

    row: np.ndarray
    """int64 [n]: which text."""
    bucket: np.ndarray
    """int64 [n]."""
    weight: np.ndarray
    """float64 [n]."""

    @classmethod
    def largest(cls, row: np.ndarray, bucket: np.ndarray, weight: np.ndarray) -> "Features":
        """Where a feature comes more than once in a row, its largest weight counts."""
        order = np.lexsort((-weight, bucket, row))
        row, bucket, weight = row[order], bucket[order], weight[order]
        first = np.ones(len(row), bool)
        first[1:] = (np.diff(row) != 0) | (np.diff(bucket) != 0)
        return cls(row[first], bucket[first], weight[first])

    def followed_by(self, other: "Features", rows: int) -> "Features":
        """These, then the other's, whose row 0 becomes row ``rows``."""
        return Features(
            np.concatenate([self.row, other.row + rows]), np.concatenate([self.bucket, other.bucket]),
            np.concatenate([self.weight, other.weight]),
        )


def features(texts: Sequence[str]) -> Features:
    """Words and triples of letters, a word's ends counted as letters, of many texts. A word said twice is two."""
    rows: list[int] = []
    words: list[str] = []
    amounts: list[float] = []
    for number, said in enumerate(all_words_of(texts)):
        for word in said:
            found = [word, *singulars(word)]
            rows += [number] * len(found)
            words += found
            amounts += [WORD_WEIGHT] + [SINGULAR_WEIGHT] * (len(found) - 1)
    if not words:
        return Features(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    row = np.array(rows, np.int64)
    letters = np.frombuffer("".join(f"^{word}$" for word in words).encode("utf-32-le"), np.uint32)
    length = np.array([len(word) + 2 for word in words])
    start = np.cumsum(length) - length
    place = np.arange(len(letters)) - np.repeat(start, length)
    # A word is the polynomial of its letters, modulo 2³².
    powers = np.cumprod(np.concatenate([[np.uint32(1)], np.full(length.max(), _STEP)]), dtype=np.uint32)
    whole = np.add.reduceat(letters * powers[place], start, dtype=np.uint32)
    whole = whole + _AGAIN * _times_before(row, whole)
    full = np.array(amounts) == WORD_WEIGHT
    centre = np.flatnonzero((place > 0) & (place < np.repeat(length, length) - 1) & np.repeat(full, length))
    triple = letters[centre - 1] + _STEP * (letters[centre] + _STEP * letters[centre + 1]) + np.uint32(1)
    codes = np.concatenate([whole, triple])
    return Features.largest(
        np.concatenate([row, np.repeat(row, length)[centre]]),
        # The upper bits of a product depend on all lower ones (Knuth's multiplicative hashing).
        (codes * _MIX >> np.uint32(32 - BITS)).astype(np.int64),
        np.concatenate([np.array(amounts), np.full(len(centre), TRIPLE_WEIGHT)]),
    )


def _times_before(row: np.ndarray, code: np.ndarray) -> np.ndarray:
    """uint32 [n]: how often the same code comes earlier in the same row."""
    order = np.lexsort((code, row))
    place = np.arange(len(row))
    first = np.ones(len(row), bool)
    first[1:] = (np.diff(row[order]) != 0) | (code[order][1:] != code[order][:-1])
    before = np.empty(len(row), np.uint32)
    before[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return before


@dataclass(frozen=True)
class CaptionIndex:
    """N captions; make one with :meth:`build`."""

    said: Features
    """Of the labels alone."""
    known: Features
    """Of labels and tags."""
    count: int
    """N."""

    def __len__(self) -> int:
        return self.count

    @classmethod
    def build(cls, labels: Sequence[str], tags: Sequence[Iterable[str]]) -> "CaptionIndex":
        """Index captions by label and tags. Raises :class:`DataError` for none, or a different number of each."""
        count = len(labels)
        if not count or count != len(tags):
            raise DataError(f"caption index: {count} labels, {len(tags)} lists of tags; expected equally many, at least 1")
        said, owned = features(labels), [(number, tag) for number, others in enumerate(tags) for tag in others]
        tagged = features([tag for _, tag in owned])
        owner = np.array([number for number, _ in owned], np.int64)[tagged.row]
        known = Features.largest(
            np.concatenate([said.row, owner]), np.concatenate([said.bucket, tagged.bucket]),
            np.concatenate([said.weight, TAG_WEIGHT * tagged.weight]),
        )
        return cls(said, known, count)

    def followed_by(self, other: "CaptionIndex") -> "CaptionIndex":
        """These captions, then the other's; rarity counts them all."""
        said, known = self.said.followed_by(other.said, self.count), self.known.followed_by(other.known, self.count)
        return CaptionIndex(said, known, self.count + other.count)

    @cached_property
    def rarity(self) -> np.ndarray:
        """float64 [F]: log((1 + N) / captions that have the feature)."""
        return np.log((1 + self.count) / np.maximum(np.bincount(self.known.bucket, minlength=BUCKETS), 1))

    @cached_property
    def _postings(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of every feature where its captions begin, int64 [F + 1]; the captions that have it, its weight there and that of the
        label alone."""
        known, said, rarity = self.known, self.said, self.rarity
        # Unit length of the label alone: whoever says a label finds it, however many tags it has. Without words, of the tags.
        length = np.bincount(said.row, (said.weight * rarity[said.bucket]) ** 2, minlength=self.count)
        all_of_it = np.bincount(known.row, (known.weight * rarity[known.bucket]) ** 2, minlength=self.count)
        length = np.sqrt(np.maximum(np.where(length > 0, length, all_of_it), 1e-18))
        order = np.argsort(known.bucket, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(known.bucket, minlength=BUCKETS))])
        of_label = np.zeros(len(known.row))
        of_label[np.searchsorted(known.row * BUCKETS + known.bucket, said.row * BUCKETS + said.bucket)] = said.weight
        scale = rarity[known.bucket] / length[known.row]
        return starts, known.row[order], (known.weight * scale)[order], (of_label * scale)[order]

    def scores(self, prompt: str, without: str = "") -> np.ndarray:
        """Of the prompt with every caption, float64 [N]; all zero for a prompt without a known feature.

        Features that ``without`` has as well are left out, but not forgotten: the scores tell how much of the *whole* prompt the
        captions explain.
        """
        starts, rows, values, of_label = self._postings
        found = self._asked(prompt)
        query = found.weight * self.rarity[found.bucket]
        length = np.linalg.norm(query[starts[found.bucket] < starts[found.bucket + 1]])
        scores, labels = np.zeros(len(self)), np.zeros(len(self))
        gone = set(features([without]).bucket.tolist())
        for bucket, amount in zip(found.bucket.tolist(), query.tolist(), strict=True):
            if bucket not in gone:
                part = slice(starts[bucket], starts[bucket + 1])
                scores[rows[part]] += amount * values[part]
                labels[rows[part]] += amount * of_label[part]
        return np.maximum(labels / length, np.minimum(scores / length, TAGS_AT_MOST)) if length else scores

    def _asked(self, prompt: str) -> Features:
        """Features of a prompt; those of words that no caption has count more."""
        starts, found, strange = self._postings[0], features([prompt]), []
        for word in words_of(prompt):
            alone = features([word])
            (bucket,) = alone.bucket[alone.weight == WORD_WEIGHT]
            if starts[bucket] == starts[bucket + 1]:
                strange.append(word)
        if not strange:
            return found
        more = features([" ".join(strange)])
        return Features.largest(
            np.concatenate([found.row, more.row]), np.concatenate([found.bucket, more.bucket]),
            np.concatenate([found.weight, STRANGE * more.weight]),
        )

    def nearest(self, prompt: str, count: int, *, exclude: Collection[int] = ()) -> np.ndarray:
        """Indices of the ``count`` best captions, best first, ties by index; int64. ``exclude`` are never returned."""
        scores = self.scores(prompt)
        scores[list(exclude)] = -np.inf
        count = min(count, len(self) - len(set(exclude)))
        return np.lexsort((np.arange(len(scores)), -scores))[:count]

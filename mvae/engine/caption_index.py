"""Which known captions lie nearest to a prompt: hashed words and letter triples, weighted by rarity. No torch, a few hundred
kilobytes, the same result in any language that has 32-bit integers.

Legend: N captions, F = ``BUCKETS`` features; rows are sparse, and of unit length in what the label says: a score is the cosine
with the label, in [0, 1], and what the tags add to it.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mvae.errors import DataError

BUCKETS = 1 << 15
WORD_WEIGHT, TRIPLE_WEIGHT, TAG_WEIGHT = 1.0, 0.35, 0.4
"""A word of the label counts 1; each triple of its letters, which forgives endings and typing errors, less; tags less still."""


def fnv1a(text: str) -> int:
    """32-bit FNV-1a of the UTF-8 bytes (Fowler, Noll, Vo)."""
    value = 0x811C9DC5
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def words_of(text: str) -> list[str]:
    """Lower-case words after NFKC, and the signs # and *, by which alone two keycaps differ; "a", "an" and "the" say nothing of
    what to draw."""
    found = re.findall(r"\w+|[#*]", unicodedata.normalize("NFKC", text).casefold())
    return [word for word in found if word not in ("a", "an", "the")]


def features(text: str, weight: float = 1.0) -> dict[int, float]:
    """Bucket → weight of one text; the largest weight where two features meet in a bucket. A word said twice is two."""
    found: dict[int, float] = {}
    words = words_of(text)
    for number, word in enumerate(words):
        whole = f"w:{word}" + ":again" * words[:number].count(word)
        marked = f"^{word}$"
        triples = {marked[i : i + 3] for i in range(len(marked) - 2)}
        for name, amount in ((whole, WORD_WEIGHT), *((f"t:{t}", TRIPLE_WEIGHT) for t in sorted(triples))):
            bucket = fnv1a(name) % BUCKETS
            found[bucket] = max(found.get(bucket, 0.0), weight * amount)
    return found


@dataclass(frozen=True)
class CaptionIndex:
    """Sparse rows of N captions; make one with :meth:`build`."""

    starts: np.ndarray
    """int32 [N + 1]: where each row's features begin."""
    buckets: np.ndarray
    """uint16 [features]."""
    values: np.ndarray
    """float16 [features]; the label's part of a row has unit length."""
    rarity: np.ndarray
    """float16 [F]: the weight of a bucket, log(N / captions that have it)."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def build(cls, labels: Sequence[str], tags: Sequence[Iterable[str]]) -> "CaptionIndex":
        """Index captions by label and tags. Raises :class:`DataError` for none, or a different number of each."""
        if not labels or len(labels) != len(tags):
            raise DataError(f"caption index: {len(labels)} labels, {len(tags)} lists of tags; expected equally many, at least 1")
        rows, said = [], []
        for label, others in zip(labels, tags, strict=True):
            row = features(label)
            said.append(sorted(row))
            for tag in others:
                for bucket, amount in features(tag, TAG_WEIGHT).items():
                    row[bucket] = max(row.get(bucket, 0.0), amount)
            rows.append(row)
        counts = np.bincount([bucket for row in rows for bucket in row], minlength=BUCKETS)
        rarity = np.log((1 + len(rows)) / np.maximum(counts, 1)).astype(np.float16)
        starts = np.cumsum([0, *map(len, rows)]).astype(np.int32)
        buckets = np.array([bucket for row in rows for bucket in sorted(row)], np.uint16)
        values = np.array([row[bucket] for row in rows for bucket in sorted(row)]) * rarity[buckets]
        # Of the label alone: whoever says a label finds it, however many tags it has.
        lengths = [
            np.linalg.norm([row[bucket] * float(rarity[bucket]) for bucket in label or row])
            for row, label in zip(rows, said, strict=True)
        ]
        values = values / np.repeat(np.maximum(lengths, 1e-9), np.diff(starts))
        return cls(starts, buckets, values.astype(np.float16), rarity)

    def scores(self, prompt: str) -> np.ndarray:
        """Of the prompt with every caption, float64 [N]; all zero for a prompt without a known feature."""
        query = np.zeros(BUCKETS)
        for bucket, amount in features(prompt).items():
            query[bucket] = amount * float(self.rarity[bucket])
        length = np.linalg.norm(query)
        if not length:
            return np.zeros(len(self))
        sums = np.concatenate([[0.0], np.cumsum(self.values.astype(np.float64) * query[self.buckets])])
        return (sums[self.starts[1:]] - sums[self.starts[:-1]]) / length

    def nearest(self, prompt: str, count: int, *, bonus: np.ndarray | None = None, exclude: Collection[int] = ()) -> np.ndarray:
        """Indices of the ``count`` best captions, best first, ties by index; int64. ``bonus`` [N] is added to the scores
        (for example for the style asked for); ``exclude`` are never returned."""
        scores = self.scores(prompt) + (0.0 if bonus is None else bonus)
        scores[list(exclude)] = -np.inf
        count = min(count, len(self) - len(set(exclude)))
        return np.lexsort((np.arange(len(scores)), -scores))[:count]

    def arrays(self) -> dict[str, np.ndarray]:
        """What :meth:`from_arrays` reads, for an npz file."""
        return {"starts": self.starts, "buckets": self.buckets, "values": self.values, "rarity": self.rarity}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "CaptionIndex":
        """Raises :class:`DataError` for arrays that do not belong together."""
        wanted = {"starts": np.int32, "buckets": np.uint16, "values": np.float16, "rarity": np.float16}
        found = {name: getattr(arrays.get(name), "dtype", None) for name in wanted}
        if found != {name: np.dtype(kind) for name, kind in wanted.items()}:
            raise DataError(f"caption index: arrays {found}; expected {wanted}")
        index = cls(*(arrays[name] for name in wanted))
        sound = len(index.rarity) == BUCKETS and len(index.starts) > 1 and index.starts[0] == 0
        if not sound or np.any(np.diff(index.starts) < 0) or not index.starts[-1] == len(index.buckets) == len(index.values):
            raise DataError(f"caption index: {len(index.buckets)} features in {len(index.starts) - 1} rows do not fit together")
        if len(index.buckets) and index.buckets.max() >= BUCKETS:
            raise DataError(f"caption index: bucket {index.buckets.max()}; expected below {BUCKETS}")
        return index

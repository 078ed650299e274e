"""A memory of stickers: their tokens, found by caption, for a seq2seq that reads what it may redraw (retrieval-augmented
generation).

Legend: M stickers, N captions (the styles of one concept share theirs), P tokens a sticker.
"""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from mvae.engine.caption_index import CaptionIndex
from mvae.errors import DataError

MEMORY = "memory.npz"
"""Its file in a run and in an entry of the zoo."""
STYLE_BONUS = 0.15
"""Added to the cosine of stickers in the style asked for: it decides between two good captions, not between good and bad."""
MEMORY_MAX_BYTES = 1 << 26
"""A larger file is refused unread."""


def read_memory(path: Path) -> "Memory":
    """A memory file of somebody's own. Raises :class:`DataError` where it cannot be read or is none."""
    try:
        if path.stat().st_size > MEMORY_MAX_BYTES:
            raise DataError(f"{path}: longer than {MEMORY_MAX_BYTES} bytes; expected a memory file")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return Memory.from_bytes(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


@dataclass(frozen=True)
class Memory:
    """Immutable; :meth:`with_stickers` returns a larger one."""

    index: CaptionIndex
    labels: tuple[str, ...]
    """[N], with :attr:`tags` what the index was built from."""
    tags: tuple[tuple[str, ...], ...]
    caption: np.ndarray
    """int32 [M]: each sticker's caption."""
    styles: tuple[str, ...]
    """[M]; an empty string for a sticker without style."""
    tokens: np.ndarray
    """uint16 [M, P]."""
    latent_id: str

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _style_names(self) -> np.ndarray:
        """``styles`` as an array, for comparing all at once."""
        return np.array(self.styles)

    @classmethod
    def build(
        cls, labels: Sequence[str], tags: Sequence[Sequence[str]], styles: Sequence[str], tokens: np.ndarray, latent_id: str
    ) -> "Memory":
        """From M stickers. Raises :class:`DataError` where their numbers differ or a token is no uint16."""
        counts = {len(labels), len(tags), len(styles), len(tokens)}
        if len(counts) != 1 or not len(tokens) or tokens.ndim != 2 or tokens.min() < 0 or tokens.max() > 0xFFFF:
            raise DataError(f"memory: {sorted(counts)} labels, tags, styles and tokens {tokens.shape}; expected equally many")
        known: dict[tuple, int] = {}
        caption = [known.setdefault((label, tuple(others)), len(known)) for label, others in zip(labels, tags, strict=True)]
        unique = list(known)
        index = CaptionIndex.build([label for label, _ in unique], [others for _, others in unique])
        return cls(
            index, tuple(label for label, _ in unique), tuple(others for _, others in unique), np.array(caption, np.int32),
            tuple(styles), tokens.astype(np.uint16), latent_id,
        )

    def label(self, sticker: int) -> str:
        """The words that a sticker is found by."""
        return self.labels[self.caption[sticker]]

    def recall(self, prompt: str, style: str | None, count: int, exclude: Collection[int] = ()) -> np.ndarray:
        """Stickers whose captions lie nearest to the prompt, best first, those in ``style`` before others; int64 [≤ count].

        ``exclude`` are never recalled: in training the sticker to be drawn is not in its own memory.
        """
        scores = self.index.scores(prompt)[self.caption]
        if style is not None:
            scores = scores + STYLE_BONUS * (self._style_names == style)
        allowed = np.ones(len(self), bool)
        allowed[list(exclude)] = False
        order = np.lexsort((np.arange(len(scores)), -scores))
        return order[allowed[order]][:count]

    def with_stickers(
        self, labels: Sequence[str], tags: Sequence[Sequence[str]], styles: Sequence[str], tokens: np.ndarray
    ) -> "Memory":
        """A memory with more stickers, behind those it has; nothing is trained. ``tokens``: whole numbers [≥ 1, P].

        Raises :class:`DataError` where their numbers differ or a sticker has another number of tokens than P.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.tokens.shape[1]:
            raise DataError(f"memory: tokens of shape {tokens.shape}; expected {self.tokens.shape[1]} a sticker")
        return Memory.build(
            [*(self.labels[c] for c in self.caption), *labels], [*(self.tags[c] for c in self.caption), *tags],
            [*self.styles, *styles], np.concatenate([self.tokens, tokens]), self.latent_id,
        )

    def joined(self, other: "Memory") -> "Memory":
        """This memory's stickers, which win where captions lie equally near, then the other's.

        Raises :class:`DataError` where the two are of different latents.
        """
        if other.latent_id != self.latent_id:
            raise DataError(f"memory of latent {other.latent_id!r}; expected latent {self.latent_id!r}")
        labels, tags = [other.labels[c] for c in other.caption], [other.tags[c] for c in other.caption]
        return self.with_stickers(labels, tags, other.styles, other.tokens)

    def to_bytes(self) -> bytes:
        """An npz file without pickled objects."""
        buffer = io.BytesIO()
        names = sorted(set(self.styles))
        np.savez_compressed(
            buffer, **self.index.arrays(), caption=self.caption, tokens=self.tokens, latent_id=np.array(self.latent_id),
            labels=np.array(self.labels), tags=np.array(["\n".join(others) for others in self.tags]),
            style_names=np.array(names), style=np.array([names.index(style) for style in self.styles], np.uint8),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Memory":
        """Raises :class:`DataError` for anything but a sound memory file."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            tags = tuple(tuple(line.split("\n")) if line else () for line in arrays["tags"].tolist())
            styles = tuple(arrays["style_names"].tolist()[number] for number in arrays["style"])
            memory = cls(
                CaptionIndex.from_arrays(arrays), tuple(arrays["labels"].tolist()), tags, arrays["caption"], styles,
                arrays["tokens"], str(arrays["latent_id"]),
            )
        except (ValueError, KeyError, IndexError, OSError, EOFError, BadZipFile) as error:
            raise DataError(f"memory: not a memory file ({error})") from None
        captions, stickers = {len(memory.index), len(memory.labels), len(tags)}, {len(memory), len(styles), len(memory.caption)}
        if len(captions) != 1 or len(stickers) != 1 or memory.tokens.ndim != 2 or memory.tokens.dtype != np.uint16:
            raise DataError(f"memory: {sorted(captions)} captions and {sorted(stickers)} stickers do not fit together")
        if memory.caption.min() < 0 or memory.caption.max() >= len(memory.labels):
            raise DataError(f"memory: caption {memory.caption.max()}; expected below {len(memory.labels)}")
        return memory

"""A memory of stickers: their tokens, found by caption, for a seq2seq that reads what it may redraw (retrieval-augmented
generation).

Legend: M stickers, N captions (the styles of one concept share theirs), P tokens a sticker.
"""

import io
import itertools
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from mvae.engine.caption_index import CaptionIndex, all_words_of, words_of
from mvae.engine.colour_words import ColourWords
from mvae.engine.everyday import EVERYDAY
from mvae.engine.palette import Palette, colours_asked, is_of_people, named_colours, place_of
from mvae.engine.phrases import Kind, Phrases, singulars
from mvae.engine.spelling import Spelling
from mvae.errors import DataError

MEMORY = "memory.npz"
"""Its file in a run and in an entry of the zoo."""
MODIFIERS = frozenset(
    "red orange yellow green blue purple pink white black grey gray brown tiny small big large mirrored background transparent "
    "one two three next to beside and on top of above under below in at bottom left right corner with as i me my you want would "
    "like need see can could please draw drawing show make give picture image sticker emoji icon something some is are it this "
    "that".split()
)
"""Words that say how, where, how many, or only ask. They find a sticker beside others ("red heart"), not instead ("red cat")."""
MODIFIER_SHARE = 0.3
"""How much a score counts that includes them; the rest is the score without. It is never less than the whole prompt's."""
OTHER_LANGUAGE = 0.35
"""What a label in another language counts: "king" is a shoe in Estonian."""
BOTH = 0.05
"""What likeness adds to a score of either kind: of all captions with a tag, the one that is likest in all is meant."""
ENOUGH = 0.3
"""Share of a prompt that a further sticker has to explain."""
STYLE_BONUS = 0.1
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
class Caption:
    """What stickers are found by; the styles of one concept share theirs."""

    label: str
    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Labels in other languages."""


@dataclass(frozen=True)
class Read:
    """What is read beside a prompt, in the order of the prompt, in the colours that it asks for."""

    stickers: np.ndarray
    """int64 [1 … count]."""
    tokens: np.ndarray
    """uint16 [1 … count, P]."""
    small: np.ndarray | None
    """uint16 [1 … count, Q], where there are small copies."""
    colours: tuple[str | None, ...]
    """What each has been recoloured in; None: it is as it is stored."""


@dataclass(frozen=True)
class Memory:
    """Immutable; :meth:`with_stickers` returns a larger one."""

    captions: tuple[Caption, ...]
    """[N]."""
    caption: np.ndarray
    """int32 [M]: each sticker's caption."""
    styles: tuple[str, ...]
    """[M]; an empty string for a sticker without style."""
    tokens: np.ndarray
    """uint16 [M, P]."""
    latent_id: str
    small: np.ndarray | None = None
    """uint16 [M, Q], tokens of each sticker at half size (:mod:`mvae.engine.pages`), for models that read such copies."""
    palette: Palette | None = None
    """How stickers are shown in a colour asked for; None: always as they are."""

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _style_names(self) -> np.ndarray:
        """``styles`` as an array, for comparing all at once."""
        return np.array(self.styles)

    @cached_property
    def _rows(self) -> "_Rows":
        return _Rows.of(self.captions)

    @cached_property
    def _labels(self) -> frozenset[str]:
        return frozenset(" ".join(words) for words in all_words_of(caption.label for caption in self.captions))

    @cached_property
    def _colour_words(self) -> ColourWords:
        colours = () if self.palette is None else self.palette.words
        labels = all_words_of(caption.label for caption in self.captions)
        names = ([words_of(name) for name in caption.names] for caption in self.captions)
        return ColourWords(colours, zip(labels, names, strict=True))

    @cached_property
    def _spelling(self) -> Spelling:
        tags = [tag for caption in self.captions for tag in caption.tags]
        return Spelling(word for words in all_words_of((*self._rows.words, *tags)) for word in words)

    @classmethod
    def build(
        cls, captions: Sequence[Caption], styles: Sequence[str], tokens: np.ndarray, latent_id: str,
        small: np.ndarray | None = None,
    ) -> "Memory":
        """From M stickers. Raises :class:`DataError` where their numbers differ or a token is no uint16."""
        counts = {len(captions), len(styles), len(tokens), len(tokens if small is None else small)}
        whole = [tokens] if small is None else [tokens, small]
        if len(counts) != 1 or not len(tokens) or any(t.ndim != 2 or t.min() < 0 or t.max() > 0xFFFF for t in whole):
            raise DataError(f"memory: {sorted(counts)} captions, styles and tokens {tokens.shape}; expected equally many")
        known: dict[Caption, int] = {}
        caption = [known.setdefault(words, len(known)) for words in captions]
        small = None if small is None else small.astype(np.uint16)
        return cls(tuple(known), np.array(caption, np.int32), tuple(styles), tokens.astype(np.uint16), latent_id, small)

    def label(self, sticker: int) -> str:
        """The words that a sticker is found by."""
        return self.captions[self.caption[sticker]].label

    def nearest(self, prompt: str, style: str | None, count: int, exclude: Collection[int] = ()) -> np.ndarray:
        """Stickers whose captions lie nearest to the prompt, best first, those in ``style`` before others; int64 [≤ count].

        ``exclude`` are never found: in training the sticker to be drawn is not in its own memory.
        """
        scores = self._of_stickers(self._rows.scores(prompt), style)
        allowed = np.ones(len(self), bool)
        allowed[list(exclude)] = False
        order = np.lexsort((np.arange(len(scores)), -scores))
        return order[allowed[order]][:count]

    def recall(self, prompt: str, style: str | None, count: int, exclude: Collection[int] = ()) -> np.ndarray:
        """What is read beside a prompt: int64 [1 … count] stickers that speak of its parts, in the order of the prompt.

        The first is the nearest; each further one is nearest to what the others leave unexplained, if it explains enough of it.
        Words that say how or how many (:data:`MODIFIERS`) find nothing by themselves; mistyped ones count as what they are likely
        to stand for. ``exclude`` as in :meth:`nearest`.
        """
        found, *_ = self._recall(prompt, style, count, exclude)
        return found

    def read(self, prompt: str, style: str | None, count: int, exclude: Collection[int] = ()) -> Read:
        """What :meth:`recall` finds, in the colours that the prompt asks for, where this memory has a :attr:`palette`."""
        found, places, foreign, asked = self._recall(prompt, style, count, exclude)
        colours: Sequence[str | None] = [None] * len(found)
        if self.palette is not None:
            labels = [words_of(self.label(sticker)) for sticker in found.tolist()]
            things = []
            for sticker, label, place in zip(found.tolist(), labels, places, strict=True):
                tags = {word for tag in self.captions[self.caption[sticker]].tags for word in words_of(tag)}
                # An "orange" is found by this very word: then it is a thing, and no colour.
                things.append({*label, *(word for word in asked[place : place + 1] if word in tags)})
            if any(foreign):  # a prompt in another language; "must" is black in Estonian alone
                named = [self._colour_words.meaning(word) for word in asked]
            else:
                named = named_colours(asked, self.palette.words)
            colours = [
                None if is_of_people(label, self._labels) else colour
                for label, colour in zip(labels, colours_asked(asked, named, things, places), strict=True)
            ]
        tokens, small = self.tokens[found], None if self.small is None else self.small[found]
        if any(colours):
            tokens = self.palette.recoloured(tokens, colours)
            small = None if small is None else self.palette.recoloured(small, colours)
        return Read(found, tokens, small, tuple(colours))

    def shown(self, sticker: int, colour: str | None) -> tuple[str, np.ndarray]:
        """What a sticker is read as: words and tokens, uint16 [P], in ``colour`` where one is given."""
        if colour is None:
            return self.label(sticker), self.tokens[sticker]
        (tokens,) = self.palette.recoloured(self.tokens[sticker][None], [colour])
        return f"{self.label(sticker)}, in {colour}", tokens

    def _recall(
        self, prompt: str, style: str | None, count: int, exclude: Collection[int]
    ) -> tuple[np.ndarray, list[int], list[bool], list[str]]:
        """Stickers in the order of the prompt, which of its words speaks of each, whether each was found in another language, and
        the words as they were meant."""
        rows, words_asked = self._rows, self._spelled(words_of(prompt))
        prompt = " ".join(words_asked)
        things = [word for word in words_asked if word not in MODIFIERS]
        scores = rows.scores(prompt)
        if things and len(things) < len(words_asked):
            scores = np.maximum(scores, MODIFIER_SHARE * scores + (1 - MODIFIER_SHARE) * rows.scores(" ".join(things)))
        scores = _either(scores, rows.said(words_asked))
        found, explained, spoken, foreign = [], [], [], []
        while True:
            stickers = self._of_stickers(scores, style)
            stickers[[*exclude, *found]] = -np.inf
            best = int(stickers.argmax())
            own = np.flatnonzero(rows.caption == self.caption[best])
            row = int(own[scores[own].argmax()])
            if found and scores[row] < ENOUGH:
                break
            found.append(best)
            tags = () if rows.foreign[row] else self.captions[self.caption[best]].tags
            explained.append(" ".join((rows.words[row], *tags)))
            spoken.append((words_of(rows.words[row]), words_of(" ".join(tags))))
            foreign.append(bool(rows.foreign[row]))
            if len(found) == count:
                break
            left = rows.scores(" ".join(things), without=" ".join(explained))
            scores = _either(left, rows.said(words_asked, without=explained))
        places = np.array([place_of(label, tags, words_asked) for label, tags in spoken])
        order = np.argsort(places, kind="stable")
        return np.array(found)[order], places[order].tolist(), [foreign[number] for number in order], words_asked

    def _spelled(self, asked: list[str]) -> list[str]:
        """The words of a prompt, those that no caption has replaced by a known one, where the prompt then finds more."""
        for place, word in enumerate(asked):
            meant = [] if word in MODIFIERS else self._spelling.meant(word)
            if not meant:
                continue  # as nearly every word: nothing needs to be scored
            variants = [[*asked[:place], other, *asked[place + 1 :]] for other in meant]
            asked = max([asked, *variants], key=self._found)
        return asked

    def _found(self, words: list[str]) -> float:
        """How well some caption fits these words."""
        return float(_either(self._rows.scores(" ".join(words)), self._rows.said(words)).max())

    def _of_stickers(self, scores: np.ndarray, style: str | None) -> np.ndarray:
        """Scores of the index's rows → of the stickers: the best of their captions' rows, and a little more for the style."""
        of_captions = np.full(len(self.captions), -np.inf)
        np.maximum.at(of_captions, self._rows.caption, scores)
        of_stickers = of_captions[self.caption]
        return of_stickers if style is None else of_stickers + STYLE_BONUS * (self._style_names == style)

    def with_stickers(
        self, captions: Sequence[Caption], styles: Sequence[str], tokens: np.ndarray, small: np.ndarray | None = None
    ) -> "Memory":
        """A memory with more stickers, behind those it has; nothing is trained. ``tokens``: whole numbers [≥ 1, P]; ``small``
        [≥ 1, Q] where this memory holds small copies.

        Raises :class:`DataError` where their numbers differ or a sticker has another number of tokens than P.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.tokens.shape[1]:
            raise DataError(f"memory: tokens of shape {tokens.shape}; expected {self.tokens.shape[1]} a sticker")
        return self.joined(Memory.build(captions, styles, tokens, self.latent_id, small))

    def joined(self, other: "Memory") -> "Memory":
        """This memory's stickers, which win where captions lie equally near, then the other's. Neither is indexed again. Small
        copies are kept where both hold them.

        Raises :class:`DataError` where the two are of different latents.
        """
        if other.latent_id != self.latent_id:
            raise DataError(f"memory of latent {other.latent_id!r}; expected latent {self.latent_id!r}")
        made = Memory(
            self.captions + other.captions, np.concatenate([self.caption, other.caption + np.int32(len(self.captions))]),
            self.styles + other.styles, np.concatenate([self.tokens, other.tokens]), self.latent_id,
            None if self.small is None or other.small is None else np.concatenate([self.small, other.small]),
            self.palette or other.palette,
        )
        made.__dict__["_rows"] = self._rows.followed_by(other._rows, len(self.captions))
        return made

    def to_bytes(self) -> bytes:
        """An npz file without pickled objects; captions are JSON in UTF-8: label, tags and names of each."""
        buffer = io.BytesIO()
        names = sorted(set(self.styles))
        words = json.dumps([[c.label, c.tags, c.names] for c in self.captions], ensure_ascii=False, separators=(",", ":"))
        copies = {} if self.small is None else {"small": self.small}
        if self.palette is not None:
            copies |= {"palette": self.palette.tokens, "palette_words": np.array(self.palette.words)}
        np.savez_compressed(
            buffer, **copies, captions=np.frombuffer(words.encode("utf-8"), np.uint8), caption=self.caption, tokens=self.tokens,
            latent_id=np.array(self.latent_id), style_names=np.array(names),
            style=np.array([names.index(style) for style in self.styles], np.uint8),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Memory":
        """Raises :class:`DataError` for anything but a sound memory file."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            words = json.loads(arrays["captions"].tobytes().decode("utf-8"))
            captions = tuple(Caption(str(label), tuple(map(str, tags)), tuple(map(str, names))) for label, tags, names in words)
            styles = tuple(arrays["style_names"].tolist()[number] for number in arrays["style"])
            palette = Palette(tuple(arrays["palette_words"].tolist()), arrays["palette"]) if "palette" in arrays else None
            memory = cls(
                captions, arrays["caption"], styles, arrays["tokens"], str(arrays["latent_id"]), arrays.get("small"), palette
            )
        except (ValueError, TypeError, KeyError, IndexError, OSError, EOFError, BadZipFile) as error:
            raise DataError(f"memory: not a memory file ({error})") from None
        stickers = {len(memory), len(styles), len(memory.caption)}
        if len(stickers) != 1 or not len(memory) or memory.tokens.ndim != 2 or memory.tokens.dtype != np.uint16:
            raise DataError(f"memory: {sorted(stickers)} stickers of {memory.tokens.dtype} do not fit together")
        small = memory.small
        if small is not None and (small.shape != (len(memory), memory.tokens.shape[1] // 4) or small.dtype != np.uint16):
            raise DataError(f"memory: small copies {small.shape} of {small.dtype}; expected a quarter of each sticker's tokens")
        if memory.caption.ndim != 1 or memory.caption.min() < 0 or memory.caption.max() >= len(captions):
            raise DataError(f"memory: captions up to {memory.caption.max()}; expected 0 to {len(captions) - 1}")
        return memory


def _either(alike: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Scores of captions by likeness or by what is said word for word; among those said, by likeness too."""
    return np.maximum(alike, said) + BOTH * alike


@dataclass(frozen=True)
class _Rows:
    """What a memory is searched by: a row for every label with its tags, and one for every label in another language."""

    index: CaptionIndex
    caption: np.ndarray
    """int64 [rows]: which caption."""
    foreign: np.ndarray
    """bool [rows]: in another language."""
    words: list[str]
    phrases: Phrases

    @classmethod
    def of(cls, captions: Sequence[Caption]) -> "_Rows":
        others = [(number, name) for number, caption in enumerate(captions) for name in caption.names]
        words = [caption.label for caption in captions] + [name for _, name in others]
        tags = [caption.tags for caption in captions] + [()] * len(others)
        owner = np.array([*range(len(captions)), *(number for number, _ in others)])
        foreign = np.arange(len(words)) >= len(captions)
        owned = [(row, tag) for row, others in enumerate(tags) for tag in others]
        kinds = [Kind.NAME if other else Kind.LABEL for other in foreign.tolist()] + [Kind.TAG] * len(owned)
        rows = [*range(len(words)), *(row for row, _ in owned)]
        phrases = zip(all_words_of([*words, *(tag for _, tag in owned)]), rows, kinds, strict=True)
        by_label = {said: row for row, said in reversed([*enumerate(words[: len(captions)])])}
        everyday = [(word.split(), by_label[label], Kind.EVERYDAY) for word, label in EVERYDAY.items() if label in by_label]
        return cls(CaptionIndex.build(words, tags), owner, foreign, words, Phrases.build(itertools.chain(phrases, everyday)))

    def followed_by(self, other: "_Rows", captions: int) -> "_Rows":
        """These rows, then the other's, whose caption 0 becomes caption ``captions``."""
        return _Rows(
            self.index.followed_by(other.index), np.concatenate([self.caption, other.caption + captions]),
            np.concatenate([self.foreign, other.foreign]), self.words + other.words,
            self.phrases.followed_by(other.phrases, len(self.words)),
        )

    def said(self, asked: Sequence[str], without: Sequence[str] = ()) -> np.ndarray:
        """See :meth:`Phrases.scores`; ``without``: captions that explain some of the words already."""
        gone = {word for text in without for word in words_of(text)}
        gone |= {word for word in asked if not gone.isdisjoint(singulars(word))}
        return self.phrases.scores(asked, MODIFIERS, gone, len(self.words))

    def scores(self, prompt: str, without: str = "") -> np.ndarray:
        """See :meth:`CaptionIndex.scores`; other languages count less."""
        return self.index.scores(prompt, without) * np.where(self.foreign, OTHER_LANGUAGE, 1.0)

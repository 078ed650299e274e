"""A model of the zoo, ready to run: prompt → sticker, picture → tokens → picture.

``load("small-int8")`` verifies every file against the entry's manifest before any of it is parsed, then opens the sessions.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from mvae.config import DEFAULT_MODEL, MAX_IMAGES_PER_CALL, STYLES, recalled_at_most
from mvae.engine.entry import Entry, read_entry
from mvae.engine.images import fit
from mvae.engine.memory import MEMORY, Caption, Memory
from mvae.engine.onnx_file import parse
from mvae.engine.options import IMAGE_INDEX_MAX, SEED_MAX, check_options, check_style, whole
from mvae.engine.pages import lay_out, small_page, small_places
from mvae.engine.philox import uniforms
from mvae.engine.prompt import TextEncoder, normalise_prompt
from mvae.engine.sessions import open_session
from mvae.engine.shape import Shape, read_shape
from mvae.engine.sticker import Decoded, Sticker
from mvae.engine.token_loop import Decoding, TokenModel
from mvae.errors import IntegrityError, OptionError, TokensError

THREADS_MAX = 256


def load(name: str = DEFAULT_MODEL, threads: int = 1, folder: str | Path | None = None) -> "Model":
    """Load the model ``size-level`` (``small-int8``) or a pruned entry (``small-pruned``).

    ``folder``: a zoo entry, or a folder of entries, to use instead of the committed zoo and the Hub. ``threads`` 1 … 256; one is
    usually fastest for models of this size. Raises UnknownModelError listing what exists, IntegrityError if a file is not what
    its manifest says, OptionError for ``threads``.
    """
    threads = whole("threads", threads, 1, THREADS_MAX)
    return Model(read_entry(name, None if folder is None else Path(folder)), threads)


class Model:
    """One size at one level. Safe to share between threads: they take turns, token row by token row."""

    def __init__(self, entry: Entry, threads: int):
        self.name, self.level, self.threads = entry.name, entry.level, threads
        self.folder = entry.folder
        """The zoo entry."""
        self.image_size = entry.vae.image_size
        """Side in pixels of the pictures that the encoder reads."""
        self.sticker_size = entry.vae.sticker_size
        """Side in pixels of the pictures that come out."""
        self.latent = entry.vae.latent
        """Grid, levels, coordinates and the ``latent_id`` of the tokens."""
        self.defaults = entry.defaults
        """Options used where a call gives none."""
        self.styles = STYLES
        self.bytes = sum(len(content) for content in (*entry.graphs.values(), entry.memory or b""))
        """Sum of the ONNX files that this model loads, and of its memory."""
        self._lock = threading.Lock()
        self._text = TextEncoder(entry.tokenizer, f"{entry.name} tokenizer.json")
        graphs = entry.graphs
        shape = read_shape(entry.seq2seq, self.latent, entry.name)
        self._seq2seq = TokenModel(graphs["encoder_model"], graphs["decoder_model_merged"], shape, threads, entry.name)
        self.memory = None if entry.memory is None else Memory.from_bytes(entry.memory)
        """What the seq2seq may redraw, found by caption; None where it reads the text alone."""
        self._joined: tuple[Memory, Memory] | None = None
        """The last pictures of somebody's own, and what they make with the model's memory: joining indexes every caption."""
        self._check_memory(shape)
        if self._text.vocabulary > shape.text_vocabulary - shape.text_offset:
            raise IntegrityError(
                f"{entry.name}: the tokenizer has {self._text.vocabulary} tokens; the encoder knows "
                f"{shape.text_vocabulary - shape.text_offset}"
            )
        self._vae = {}
        for part in ("vae_encoder", "vae_decoder"):
            parse(graphs[part], f"{entry.name} {part}")
            self._vae[part] = open_session(graphs[part], f"{entry.name} {part}", threads)
        self._check_shapes()

    def generate(
        self,
        prompt: str,
        style: str | None = None,
        seed: int = 0,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        index: int = 0,
        own: Memory | None = None,
        negative: str = "",
        start: Sequence[int] | None = None,
    ) -> Sticker:
        """Draw image ``index`` (0 … 2³²−1) of ``seed`` (0 … 2⁶³−1); the same arguments give the same tokens.

        ``prompt``: 1 … 200 characters; ``style``: one of :attr:`styles`, or None; ``guidance`` 0 … 20, 1 is none; ``temperature``
        0 … 5, 0 takes the likeliest token; ``top_k`` 0 (all) … codebook. None stands for the model's own :attr:`defaults`.
        ``own``: pictures of yours (:meth:`remember`) that may be read and redrawn as those of the model's own memory are.
        ``negative``: words to lead away from, where there is guidance. ``start``: tokens of a picture of which parts are drawn
        anew, those that are the mask token (``latent.mask_token``); the others stay. Raises PromptError, OptionError, or
        TokensError for a start that is no tokens.
        """
        *_, sticker = self._draw(
            self.latent.positions, prompt, style, seed, guidance, temperature, top_k, index, own, negative, start
        )
        return sticker

    def generate_many(self, prompt: str, n: int, **options) -> list[Sticker]:
        """Images 0 … n−1 (n ≤ 64) of one seed; the options are those of :meth:`generate`. Raises as it does."""
        count = whole("n", n, 1, MAX_IMAGES_PER_CALL)
        return [self.generate(prompt, index=index, **options) for index in range(count)]

    def stream(
        self,
        prompt: str,
        style: str | None = None,
        seed: int = 0,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        index: int = 0,
        own: Memory | None = None,
        negative: str = "",
        start: Sequence[int] | None = None,
    ) -> Iterator[Sticker]:
        """As :meth:`generate`, but yields the picture after every row of the grid; the last one has ``share`` 1.

        What is not drawn yet is decoded from mask tokens. Arguments are checked when the first picture is asked for.
        """
        return self._draw(
            self.latent.row_tokens, prompt, style, seed, guidance, temperature, top_k, index, own, negative, start
        )

    def remember(
        self, image: Image.Image, label: str, tags: Sequence[str] = (), style: str | None = None, own: Memory | None = None
    ) -> Memory:
        """``own``, or an empty memory, with one picture more under the words ``label`` and ``tags``; nothing is trained.

        Raises OptionError where the model reads no memory or ``own`` is of another latent, PromptError for words that are no
        prompt, ImageError as :meth:`encode`.
        """
        self._check_own(own)
        words = [normalise_prompt(word) for word in (label, *tags)]
        found, small = np.array([self.encode(image)]), None
        if self._seq2seq.shape.small_copies:
            page = self.encode(small_page(fit(image, self.image_size)))
            small = np.array([page])[:, small_places(self.latent)[0]]
        about = [Caption(words[0], tuple(words[1:]))], [check_style(style) or ""]
        if own is None:
            return Memory.build(*about, found, self.latent.latent_id, small)
        return own.with_stickers(*about, found, small)

    def memory_with(self, own: Memory | None) -> Memory | None:
        """What is read where ``own`` pictures are given: these, then the model's; :attr:`Sticker.recalled` counts in it.

        Raises OptionError as :meth:`remember`.
        """
        if own is None:
            return self.memory
        self._check_own(own)
        joined = self._joined
        if joined is None or joined[0] is not own:
            joined = self._joined = own, own.joined(self.memory)
        return joined[1]

    def _check_own(self, own: Memory | None) -> None:
        if self.memory is None:
            raise OptionError(f"{self.name} reads no memory; expected a model that does, to draw from pictures of your own")
        if own is not None and (problem := self._foreign(own)):
            raise OptionError(f"{self.name}: your pictures' memory {problem}")

    def _foreign(self, memory: Memory) -> str | None:
        """What makes a memory unfit for this model's latent."""
        latent = self.latent
        got, expected = (memory.tokens.shape[1], memory.latent_id), (latent.positions, latent.latent_id)
        if got != expected:
            return f"holds {got[0]} tokens a sticker of latent {got[1]!r}; expected {expected[0]} of {expected[1]!r}"
        if self._seq2seq.shape.small_copies and memory.small is None:
            return "holds no small copies; expected them beside every sticker"
        if memory.palette is not None and memory.palette.tokens.shape[1] != latent.codebook:
            return f"has a palette of {memory.palette.tokens.shape[1]} tokens; expected {latent.codebook}"
        largest = max(part.max() for part in (memory.tokens, memory.small) if part is not None)
        if largest >= latent.codebook:
            return f"has token {largest}; expected below {latent.codebook}"
        return None

    def decode(self, tokens: Sequence[int], latent_id: str | None = None) -> Image.Image:
        """Tokens → RGBA. ``tokens``: ``latent.positions`` ids, row-major, 0 … codebook; the last, the mask, means "not known".

        ``latent_id``: where the tokens come from (:attr:`Sticker.latent_id`), if that is known. Raises TokensError for another
        length or range, or another latent than the model's.
        """
        return self.decode_timed(tokens, latent_id).image

    def decode_timed(self, tokens: Sequence[int], latent_id: str | None = None) -> Decoded:
        """As :meth:`decode`, with the milliseconds it took."""
        if latent_id is not None and latent_id != self.latent.latent_id:
            raise TokensError(
                f"the tokens belong to latent {latent_id!r:.60}; {self.name} decodes latent {self.latent.latent_id!r}"
            )
        ids = self._check_tokens(tokens)
        with self._lock:
            begun = perf_counter()
            image = self._picture(ids)
            return Decoded(image, {"decode": _milliseconds(begun)})

    def encode(self, image: Image.Image) -> tuple[int, ...]:
        """Picture → ``latent.positions`` tokens, row-major. Any size; :func:`mvae.engine.images.fit` says how it is fitted.

        Raises ImageError for anything that is not a still picture of a supported mode and size.
        """
        (tokens,) = self._encode(image, "tokens")
        return tuple(tokens[0].tolist())

    def mean(self, image: Image.Image) -> np.ndarray:
        """Picture → posterior mean of its latent, float32 [channels, rows, columns]: the features. Raises as :meth:`encode`."""
        (mean,) = self._encode(image, "mean")
        return mean[0]

    def posterior(self, image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
        """Picture → mean and log-variance of q(z | x), float32 [channels, rows, columns] each. Raises as :meth:`encode`."""
        mean, log_variance = self._encode(image, "mean", "log_variance")
        return mean[0], log_variance[0]

    def _draw(
        self, at_once: int, prompt, style, seed, guidance, temperature, top_k, index, own, negative, start
    ) -> Iterator[Sticker]:
        """Yields after every ``at_once`` tokens; the lock is never held while the caller has the turn."""
        options = check_options(self.defaults, guidance, temperature, top_k, self.latent.codebook)
        seed, index = whole("seed", seed, 0, SEED_MAX), whole("image index", index, 0, IMAGE_INDEX_MAX)
        style, memory = check_style(style), self.memory_with(own)
        positions, mask = self.latent.positions, self.latent.mask_token
        begin = None if start is None else self._check_tokens(start)[0]
        with self._lock:
            begun = perf_counter()
            text = self._text(prompt, style)
            texts = [text.ids]
            if options.guidance != 1:
                nothing = isinstance(negative, str) and not negative.strip()
                texts.append((self._text.end,) if nothing else self._text(negative, None).ids)
            recalled, colours, known = (), (), None
            if memory is not None:
                shape = self._seq2seq.shape
                read = memory.read(text.prompt, style, recalled_at_most(shape.memory, shape.small_copies))
                found, seen = read.stickers, read.tokens.astype(np.int64)
                if begin is not None:  # what is to be completed takes the first place; a damaged sticker is read as one
                    seen = np.concatenate([begin[None], seen])
                known = lay_out(seen, read.small if shape.small_copies else None, shape.memory, self.latent)
                room = len(found) if shape.small_copies else shape.memory - (begin is not None)
                recalled, colours = tuple(found[:room].tolist()), read.colours[:room]
            reading = self._seq2seq.read(texts, known)
            timings = {"text": _milliseconds(begun), "tokens": 0.0}
        decoding: Decoding | None = None
        while decoding is None or len(decoding.tokens) < positions:
            with self._lock:
                begun = perf_counter()
                if decoding is None:
                    decoding = self._seq2seq.begin(reading, None if begin is None else np.where(begin == mask, -1, begin))
                    randoms = uniforms(seed, index, positions)
                decoding.draw(at_once, randoms, options)
                timings["tokens"] += _milliseconds(begun)
                tokens = (*decoding.tokens, *[mask] * (positions - len(decoding.tokens)))
                begun = perf_counter()
                image = self._picture(np.array([tokens], np.int64))
                decode = _milliseconds(begun)
            share = len(decoding.tokens) / positions
            times = {**timings, "decode": decode} if share == 1 else dict(timings)
            made = image, tokens, self.latent.latent_id, times, share, seed, index, options
            yield Sticker(*made, text.was_cut, recalled, colours)

    def _check_memory(self, shape: Shape) -> None:
        if bool(shape.memory) != (self.memory is not None):
            raise IntegrityError(f"{self.name}: reads {shape.memory} stickers; expected {MEMORY} with it, and only then")
        if self.memory is not None and (problem := self._foreign(self.memory)):
            raise IntegrityError(f"{self.name}: {MEMORY} {problem}")

    def _picture(self, ids: np.ndarray) -> Image.Image:
        (pixels,) = self._vae["vae_decoder"].run(["image"], {"tokens": ids})
        return Image.fromarray(pixels[0])

    def _encode(self, image: Image.Image, *outputs: str) -> list[np.ndarray]:
        pixels = np.asarray(fit(image, self.image_size))[None]
        with self._lock:
            return self._vae["vae_encoder"].run(list(outputs), {"image": pixels})

    def _check_tokens(self, tokens: Sequence[int]) -> np.ndarray:
        expected = f"expected {self.latent.positions} whole numbers from 0 to {self.latent.mask_token}"
        try:
            ids = np.asarray(tokens)
        except ValueError:
            raise TokensError(f"tokens of unequal shapes; {expected}") from None
        if ids.shape != (self.latent.positions,) or ids.dtype.kind not in "iu":
            raise TokensError(f"got tokens of shape {ids.shape} and type {ids.dtype}; {expected}")
        if ids.min() < 0 or ids.max() > self.latent.mask_token:
            raise TokensError(f"got tokens from {ids.min()} to {ids.max()}; {expected}")
        return ids.astype(np.int64)[None]

    def _check_shapes(self) -> None:
        """The graphs must belong to the configuration beside them: a wrong pair would fail late and obscurely."""
        size, positions = self.image_size, self.latent.positions
        empty = np.zeros((1, size, size, 4), np.uint8)
        masked = np.full((1, positions), self.latent.mask_token, np.int64)
        try:
            (image,) = self._vae["vae_decoder"].run(["image"], {"tokens": masked})
            tokens, mean = self._vae["vae_encoder"].run(["tokens", "mean"], {"image": empty})
            logits = self._seq2seq.begin(self._seq2seq.read([(self._text.end,)])).logits()
        except IntegrityError:
            raise
        except Exception as error:  # the runtime's exceptions share no public base class
            raise IntegrityError(f"{self.name}: the graphs do not fit the configuration ({str(error).splitlines()[0]})") from None
        latent = (1, self.latent.channels, *self.latent.shape)
        got = (image.shape, image.dtype, tokens.shape, mean.shape, logits.shape)
        side = self.sticker_size
        expected = ((1, side, side, 4), np.dtype(np.uint8), (1, positions), latent, (1, self.latent.codebook))
        if got != expected:
            raise IntegrityError(f"{self.name}: the graphs give {got}; the configuration says {expected}")


def _milliseconds(begun: float) -> float:
    return (perf_counter() - begun) * 1000

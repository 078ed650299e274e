"""Text ids → image tokens: the loop over the ONNX Runtime sessions, with nothing allocated or copied per token.

Legend: B rows (1, or 2 with guidance: the prompt, then the empty text), S text positions, T image positions, H heads,
D width of a head, V rows of the vocabulary that can be written.
"""

import numpy as np
import onnxruntime as ort

from mvae.engine.decoder_graph import LENGTHS, PAST, POSITION, PRESENT, TOTAL, split_decoder
from mvae.engine.onnx_file import parse
from mvae.engine.options import Options
from mvae.engine.sampler import guided, sample
from mvae.engine.sessions import open_session
from mvae.engine.shape import Shape


class TokenModel:
    """The seq2seq of one entry: three sessions made from its two files. Holds no state of any prompt, so threads may share it."""

    def __init__(self, encoder: bytes, decoder: bytes, shape: Shape, threads: int, name: str):
        """Contents of ``encoder_model`` and ``decoder_model_merged``. Raises IntegrityError if one is not what it should be."""
        self.shape = shape
        parse(encoder, f"{name} encoder_model")
        prompt_graph, step_graph = split_decoder(
            decoder,
            f"{name} decoder_model_merged",
            positions=shape.positions,
            heads=shape.heads,
            head_width=shape.head_width,
        )
        self._encoder = open_session(encoder, f"{name} encoder_model", threads)
        self._prompt = open_session(prompt_graph, f"{name} decoder_model_merged (prompt graph)", threads)
        self._step = open_session(step_graph, f"{name} decoder_model_merged (step graph)", threads)
        self._text_caches = [value.name for value in self._prompt.get_outputs()]

    def read(self, texts: list[tuple[int, ...]], pages: tuple[np.ndarray, np.ndarray] | None = None) -> "Reading":
        """Encode B texts (ids with end mark, any lengths ≥ 1).

        ``pages``: what the first row reads before its text, as :func:`mvae.engine.pages.lay_out` returns it; the other rows, and
        all of them where it is None, read text alone. The text keeps its place behind the memory.
        """
        place = self.shape.memory * self.shape.positions
        longest = max(len(text) for text in texts)
        ids = np.zeros((len(texts), place + longest), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, place : place + len(text)] = np.add(text, self.shape.text_offset)
            mask[row, place : place + len(text)] = 1
        if pages is not None:
            ids[0, :place], mask[0, :place] = (page.ravel() for page in pages)
        return self.read_ids(ids, mask)

    def read_ids(self, ids: np.ndarray, mask: np.ndarray) -> "Reading":
        """Encode what is laid out already: int64 [B, S] each, mask 1 where there is something to read."""
        (states,) = self._encoder.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})
        read = mask.any(0)  # a place that no row reads, such as that of a sticker not recalled, would cost time with every token
        caches = self._prompt.run(self._text_caches, {"encoder_hidden_states": states[:, read]})
        return Reading(mask[:, read], dict(zip(self._text_caches, caches, strict=True)))

    def begin(self, reading: "Reading", given: np.ndarray | None = None) -> "Decoding":
        """A decoder that has read the texts and drawn nothing. ``given``: int64 [T], tokens that are taken as they are, −1 where
        one is to be drawn."""
        return Decoding(self.shape, self._step, reading, given)


class Reading:
    """What the decoder needs of the encoded texts: ``mask`` int64 [B, S] and each layer's keys and values [B, H, S, D]."""

    def __init__(self, mask: np.ndarray, caches: dict[str, np.ndarray]):
        self.mask = mask
        self.caches = caches


class Decoding:
    """One image on its way: owns the cache buffers, which the step graph reads and writes in place."""

    def __init__(self, shape: Shape, session: ort.InferenceSession, reading: Reading, given: np.ndarray | None = None):
        self._codebook, self._session, self._given = shape.codebook, session, given
        rows = reading.mask.shape[0]
        self._binding = session.io_binding()
        self._arrays: list[np.ndarray] = []  # the binding holds bare addresses: these keep the memory alive
        self._ids = self._input("input_ids", np.zeros((rows, 1), np.int64))
        self._position = self._input(POSITION, np.zeros(1, np.int64))
        self._lengths = self._input(LENGTHS, np.zeros(rows, np.int32))
        self._total = self._input(TOTAL, np.zeros(1, np.int32))
        self._input("encoder_attention_mask", reading.mask)
        for name, values in reading.caches.items():
            self._input(PAST + name.removeprefix(PRESENT), values)
        for layer in range(shape.layers):
            for kind in ("key", "value"):
                cache = np.zeros((rows, shape.heads, shape.positions, shape.head_width), np.float32)
                self._input(f"{PAST}{layer}.decoder.{kind}", cache)
                self._output(f"{PRESENT}{layer}.decoder.{kind}", cache)
        self._logits = np.empty((rows, 1, shape.written), np.float32)
        self._output("logits", self._logits)
        self._ids[:] = shape.start_token
        self.tokens: list[int] = []
        """Drawn so far, for the first row."""

    def logits(self) -> np.ndarray:
        """Run the decoder at the next position: float32 [B, codebook], valid until the next call."""
        position = len(self.tokens)
        self._position[:] = position
        self._lengths[:] = position
        self._total[:] = position + 1
        self._session.run_with_iobinding(self._binding)
        return self._logits[:, 0, : self._codebook]

    def feed(self, tokens: int | np.ndarray) -> None:
        """Fix the next position: one token for all rows, or one a row, int64 [B]."""
        self._ids[:, 0] = tokens
        self.tokens.append(int(self._ids[0, 0]))

    def draw(self, count: int, randoms: np.ndarray, options: Options) -> None:
        """Append ``count`` sampled or given tokens to :attr:`tokens`; ``randoms``: float64 [T], one for each position."""
        for position in range(len(self.tokens), len(self.tokens) + count):
            logits = self.logits()
            if self._given is not None and self._given[position] >= 0:
                self.feed(self._given[position])
                continue
            row = logits[0] if len(logits) == 1 else guided(logits[0], logits[1], options.guidance)
            self.feed(sample(row, randoms[position], options.temperature, options.top_k))

    def _input(self, name: str, values: np.ndarray) -> np.ndarray:
        values = np.ascontiguousarray(values)
        self._arrays.append(values)
        self._binding.bind_input(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)
        return values

    def _output(self, name: str, values: np.ndarray) -> None:
        self._arrays.append(values)
        self._binding.bind_output(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)

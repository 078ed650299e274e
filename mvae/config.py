"""Sizes, levels, styles, limits and the configurations of both networks. Imports neither torch nor numpy."""

from dataclasses import asdict, dataclass, fields

from mvae.errors import DataError

LEVELS = ("fp32", "fp16", "int8")
"""Compression levels of one exported graph, from the reference to the smallest."""

STYLES = ("noto", "twemoji", "fluent", "fluent-flat", "fluent-3d")
"""Drawing styles a prompt can ask for. Their names are also the style words of the captions."""

DEFAULT_MODEL = "small-int8"
BEST_MODEL = "base-int8"
"""The best stickers that are drawn at once."""

PROMPT_MAX_CHARACTERS = 200
"""Longest accepted prompt, in Unicode characters after normalisation."""
TEXT_MAX_TOKENS = 48
"""Text tokens that the encoder reads, end mark included; longer prompts are cut and the result says so."""
SMALL_COPIES = 2
"""Stickers at half size on a page of the memory."""
MAX_IMAGES_PER_CALL = 64
IMAGE_MAX_PIXELS = 40_000_000
"""Decoded pixels above which an input image is refused as a decompression bomb."""


class _Record:
    """Plain-dictionary round trip that refuses unknown keys, so that a typo in a file is never ignored."""

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict):
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise DataError(f"{cls.__name__}: unknown keys {unknown}; expected a subset of {sorted(known)}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


@dataclass(frozen=True)
class LatentConfig(_Record):
    """The grid of prior-quantile tokens. Two models exchange tokens only if their ``latent_id`` is equal."""

    latent_id: str = "0"
    """"1" is the latent that every size shares, frozen in ``zoo/latents``; "0" stands for one that is not frozen."""
    grid: int = 8
    """Rows of the token grid, and columns unless ``columns`` says otherwise."""
    levels: int = 8
    """L: cells of equal prior mass per latent coordinate."""
    coordinates: int = 4
    """C: latent coordinates of one token."""
    depth: int = 1
    """Tokens per grid position."""
    columns: int = 0
    """Columns of the token grid where it is not square; 0: as many as rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.grid, self.columns or self.grid

    @property
    def positions(self) -> int:
        """Tokens per image: row by row, the ``depth`` tokens of a position together."""
        return self.shape[0] * self.shape[1] * self.depth

    @property
    def row_tokens(self) -> int:
        """Tokens of one row of the grid."""
        return self.shape[1] * self.depth

    @property
    def channels(self) -> int:
        """Latent coordinates per grid position."""
        return self.depth * self.coordinates

    @property
    def codebook(self) -> int:
        """Distinct tokens, L**C. The id one past the last, ``mask_token``, decodes to the prior mean."""
        return self.levels**self.coordinates

    @property
    def mask_token(self) -> int:
        """Stands for "not known yet" in partial grids; decodes to the prior mean, 0."""
        return self.codebook


@dataclass(frozen=True)
class VaeConfig(_Record):
    """The convolutional VAE: a fully int8-friendly stack of Conv + BatchNorm + ReLU."""

    image_size: int = 128
    """Side in pixels of the pictures that the encoder reads, and of those that the decoder draws unless ``decoded_size`` is
    given."""
    grid: int = 8
    levels: int = 8
    coordinates: int = 4
    latent_id: str = "0"
    depth: int = 1
    columns: int = 0
    patch: int = 4
    """Side of the pixel patch folded into channels before the first and after the last convolution: no convolution runs
    at full resolution, which is where the time would go."""
    encoder_widths: tuple[int, ...] = (64, 96, 160)
    """Channels at each resolution from image_size / patch down to the grid."""
    encoder_blocks: tuple[int, ...] = (1, 1, 2)
    decoder_widths: tuple[int, ...] = (192, 112, 64)
    """Channels at each resolution from the grid up to image_size / patch."""
    decoder_blocks: tuple[int, ...] = (2, 2, 1)
    shortcuts: bool = False
    """A way round the convolutions that change the resolution."""
    encoder_hidden: tuple[int, ...] = ()
    """Channels inside every residual block of the encoder, in their order, where pruning has made them fewer than around it."""
    decoder_hidden: tuple[int, ...] = ()
    """The same of the decoder."""
    decoder_tail: int = 0
    """Channels at half resolution before the last convolution, where they are not half of the last stage's."""
    decoded_size: int = 0
    """Side of what the decoder draws, where it is not ``image_size``: a small decoder for tokens that all sizes share."""

    @property
    def sticker_size(self) -> int:
        """Side in pixels of the pictures that the decoder draws."""
        return self.decoded_size or self.image_size

    @property
    def latent(self) -> LatentConfig:
        return LatentConfig(self.latent_id, self.grid, self.levels, self.coordinates, self.depth, self.columns)


@dataclass(frozen=True)
class Seq2SeqConfig(_Record):
    """What varies in the stock Marian configuration; everything else is fixed in :mod:`mvae.models.seq2seq`."""

    vocabulary: int = 4100
    """Text pieces, and rows of *both* embedding tables where they are separate: the exporter's version of transformers copies one
    size to the other."""
    codebook: int = 4096
    """Image tokens are ids 0 … codebook-1 of the decoder; the ids behind them are the marks below."""
    positions: int = 64
    d_model: int = 192
    encoder_layers: int = 2
    decoder_layers: int = 4
    heads: int = 4
    feed_forward: int = 768
    dropout: float = 0.0
    learned_positions: bool = False
    """Position embeddings begin as sinusoids and are trained; Marian's own stand still."""
    memory: int = 0
    """Pages of tokens, a sticker each, that the encoder reads before the text; 0: it reads text alone. With a memory both sides
    share one table, so that a token read is known as a token to write: image tokens, marks, then text pieces."""
    small_copies: bool = False
    """The last page holds up to two stickers at half size (:mod:`mvae.engine.pages`) instead of one as it is."""

    @property
    def text_offset(self) -> int:
        """What is added to a text piece's id for the encoder."""
        return self.codebook + 2 if self.memory else 0

    @property
    def rows(self) -> int:
        """Rows of the embedding tables."""
        return self.text_offset + self.vocabulary

    @property
    def read_length(self) -> int:
        """Longest input of the encoder: the memory's tokens, then the text's."""
        return self.memory * self.positions + TEXT_MAX_TOKENS

    @property
    def start_token(self) -> int:
        """Decoder start mark; also what pads."""
        return self.codebook

    @property
    def end_token(self) -> int:
        """Never produced in practice: generation stops after ``positions`` tokens."""
        return self.codebook + 1


def recalled_at_most(pages: int, small_copies: bool) -> int:
    """How many stickers are recalled for a model that reads so many pages."""
    return max(pages, SMALL_COPIES) if small_copies else pages


def caption(label: str, style: str | None) -> str:
    """The text that the seq2seq reads: the style word, then the words. ``style=None`` lets the model choose."""
    return f"{style} {label}" if style else label

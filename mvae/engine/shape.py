"""The sizes of a seq2seq, read from transformers' ``config.json``."""

from dataclasses import dataclass

from mvae.config import TEXT_MAX_TOKENS, LatentConfig
from mvae.errors import IntegrityError

_FIELDS = {
    "text_vocabulary": "vocab_size",
    "vocabulary": "decoder_vocab_size",
    "start_token": "decoder_start_token_id",
    "layers": "decoder_layers",
    "heads": "decoder_attention_heads",
    "width": "d_model",
    "reach": "max_position_embeddings",
}


@dataclass(frozen=True)
class Shape:
    """Of the decoder, unless it says text. Every number is positive, but for the start token, which may be 0."""

    codebook: int
    """Image tokens: the first rows of the vocabulary."""
    positions: int
    text_vocabulary: int
    vocabulary: int
    start_token: int
    layers: int
    heads: int
    width: int
    reach: int
    """Positions that either side has embeddings for."""
    memory: int = 0
    """Pages of tokens that the encoder reads before the text."""
    small_copies: bool = False
    """The last page holds stickers at half size."""
    text_offset: int = 0
    """Added to the tokenizer's ids."""

    @property
    def read_length(self) -> int:
        """Longest input of the encoder."""
        return self.memory * self.positions + TEXT_MAX_TOKENS

    @property
    def written(self) -> int:
        """Width of the logits. Of a vocabulary that both sides share, the decoder knows what stands before the text pieces."""
        return self.text_offset or self.vocabulary

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def read_shape(config: dict, latent: LatentConfig, name: str) -> Shape:
    """``config``: the content of ``config.json``. Raises IntegrityError if it is not a Marian model that can draw ``latent``."""
    if config.get("model_type") != "marian":
        raise IntegrityError(f"{name}: config.json has model_type {config.get('model_type')!r}; expected 'marian'")
    for key in _FIELDS.values():
        if type(config.get(key)) is not int or config[key] < (key != "decoder_start_token_id"):
            raise IntegrityError(f"{name}: config.json has {key} {config.get(key)!r:.60}; expected a positive whole number")
    reading = {key: config.get(key, 0) for key in ("memory", "text_offset")}
    if any(type(value) is not int or value < 0 for value in reading.values()):
        raise IntegrityError(f"{name}: config.json has {reading}; expected whole numbers from 0")
    reading["small_copies"] = config.get("small_copies", False)
    if type(reading["small_copies"]) is not bool or (reading["small_copies"] and not reading["memory"]):
        raise IntegrityError(f"{name}: config.json has {reading}; expected small copies, true or false, with a memory alone")
    shape = Shape(latent.codebook, latent.positions, **{field: config[key] for field, key in _FIELDS.items()}, **reading)
    if not max(shape.codebook, shape.start_token + 1) <= shape.vocabulary:
        raise IntegrityError(
            f"{name}: a vocabulary of {shape.vocabulary}; expected the {shape.codebook} image tokens and the start token "
            f"{shape.start_token} to be in it"
        )
    if shape.width % shape.heads:
        raise IntegrityError(f"{name}: a width of {shape.width} for {shape.heads} heads; expected a multiple")
    if shape.memory and shape.text_offset < shape.codebook:
        raise IntegrityError(f"{name}: text begins at id {shape.text_offset}; expected behind the {shape.codebook} image tokens")
    needed = max(shape.positions, shape.read_length)
    if shape.reach < needed:
        raise IntegrityError(f"{name}: {shape.reach} position embeddings; expected at least {needed}")
    return shape

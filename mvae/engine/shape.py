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
    shape = Shape(latent.codebook, latent.positions, **{field: config[key] for field, key in _FIELDS.items()})
    if not max(shape.codebook, shape.start_token + 1) <= shape.vocabulary:
        raise IntegrityError(
            f"{name}: a vocabulary of {shape.vocabulary}; expected the {shape.codebook} image tokens and the start token "
            f"{shape.start_token} to be in it"
        )
    if shape.width % shape.heads:
        raise IntegrityError(f"{name}: a width of {shape.width} for {shape.heads} heads; expected a multiple")
    if shape.reach < max(shape.positions, TEXT_MAX_TOKENS):
        raise IntegrityError(
            f"{name}: {shape.reach} position embeddings; expected at least {max(shape.positions, TEXT_MAX_TOKENS)}"
        )
    return shape

"""Text → image tokens: a stock Marian encoder-decoder of ``transformers``, trained from scratch; separate vocabularies, or one
for both where the encoder reads a memory of image tokens too."""

import torch
from torch import Tensor, nn
from transformers import MarianConfig, MarianMTModel
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

from mvae.config import Seq2SeqConfig

TEXT_PAD, TEXT_END, TEXT_UNKNOWN = 0, 1, 2


def marian_config(config: Seq2SeqConfig) -> MarianConfig:
    """The stock configuration. ``pad_token_id`` is the decoder's start mark; the text side masks its padding explicitly.

    ``memory``, ``small_copies`` and ``text_offset``, which transformers only stores, say what is read before the text.
    """
    reading = {"memory": config.memory, "text_offset": config.text_offset} if config.memory else {}
    if config.small_copies:
        reading["small_copies"] = True
    if config.learned_positions:
        reading["learned_positions"] = True
    return MarianConfig(
        **reading,
        vocab_size=config.rows,
        decoder_vocab_size=config.rows,
        share_encoder_decoder_embeddings=bool(config.memory),
        tie_word_embeddings=True,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_attention_heads=config.heads,
        decoder_attention_heads=config.heads,
        encoder_ffn_dim=config.feed_forward,
        decoder_ffn_dim=config.feed_forward,
        activation_function="relu",
        dropout=config.dropout,
        attention_dropout=0.0,
        activation_dropout=0.0,
        scale_embedding=True,
        max_position_embeddings=max(config.positions + 1, config.read_length),
        pad_token_id=config.start_token,
        decoder_start_token_id=config.start_token,
        bos_token_id=config.start_token,
        eos_token_id=config.end_token,
        forced_eos_token_id=None,
        num_beams=1,
    )


def build_seq2seq(config: Seq2SeqConfig) -> MarianMTModel:
    """A freshly initialised model; the embedding tables have ``config.rows`` rows, the head shares the decoder's."""
    model = from_marian(marian_config(config))
    model.generation_config.max_length = config.positions + 1
    model.generation_config.suppress_tokens = list(range(config.codebook, config.rows))
    return model


def from_marian(config: MarianConfig) -> MarianMTModel:
    """A freshly initialised model of a stock configuration, its own or one that was stored."""
    model = MarianMTModel(config)
    if getattr(config, "learned_positions", False):
        for half in (model.get_encoder(), model.get_decoder()):
            half.embed_positions = LearnedPositions(half.embed_positions.weight)
    return model


class LearnedPositions(MarianSinusoidalPositionalEmbedding):
    """Position embeddings that are trained. Stored under Marian's own name, so that a stock model computes with them."""

    def __init__(self, sinusoids: Tensor):
        super().__init__(*sinusoids.shape)
        self.weight = nn.Parameter(sinusoids.detach().clone())

    def forward(
        self, input_ids_shape: torch.Size, past_key_values_length: int = 0, position_ids: Tensor | None = None
    ) -> Tensor:
        """As Marian's, with gradients."""
        if position_ids is None:
            position_ids = past_key_values_length + torch.arange(input_ids_shape[1], device=self.weight.device)
        return nn.Embedding.forward(self, position_ids)

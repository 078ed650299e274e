"""Where the training of a seq2seq begins: a table that knows the latent's coordinates, and attention that finds its place in what
it reads. Both are initial values of stock weights and cost nothing in use.

Legend: L levels, C coordinates, d model width, h width of one attention head.
"""

import math

import torch
from transformers import MarianMTModel

from mvae.config import LatentConfig, Seq2SeqConfig
from mvae.models.quantile import token_cells

TABLE_SCALE, OWN_SCALE = 0.05, 0.01
"""Standard deviation of a token's row: what it shares with its neighbours in the latent, and what is its own."""
SHARPNESS = 6.0
"""Of the attention to the same place. At 20 training stalls: too little gets through from other places."""


@torch.no_grad()
def begin(model: MarianMTModel, config: Seq2SeqConfig, latent: LatentConfig) -> None:
    """Overwrite some of a fresh model's weights; draws from torch's global generator."""
    table = model.get_decoder().embed_tokens.weight
    rows = coordinate_rows(latent, config.d_model)
    table[: len(rows)] = rows + OWN_SCALE * torch.randn_like(rows)
    if config.memory:
        align(model, config)


def coordinate_rows(latent: LatentConfig, width: int) -> torch.Tensor:
    """One row a token, [L**C, d]: a sum over its coordinates of random smooth functions of the level.

    Tokens that decode to nearly the same begin with nearly the same row, and what is learned of one is learned of its neighbours.
    """
    levels = torch.arange(latent.levels)
    waves = torch.stack(
        [torch.cos(math.pi * k * (levels + 0.5) / latent.levels) / k for k in range(1, latent.levels)], 1
    )
    rows = torch.zeros(latent.codebook, width)
    for cells in token_cells(latent.levels, latent.coordinates).flip(1).T:
        rows += (waves @ torch.randn(latent.levels - 1, width))[cells]
    return rows * TABLE_SCALE / rows.std()


def align(model: MarianMTModel, config: Seq2SeqConfig) -> None:
    """The first head of every layer that reads the memory begins by reading the place that is being written, and by passing on
    what is there.

    Queries and keys project on the fastest sinusoids of the position embedding, values and output on a random subspace, as in
    Trockman and Kolter 2023, "Mimetic initialization of self-attention layers". Without it no copying was seen after 175 steps.
    """
    d, h = config.d_model, config.d_model // config.heads
    fastest = torch.zeros(h, d)
    place = torch.arange(h // 2)
    fastest[place, place] = fastest[h // 2 + place, d // 2 + place] = SHARPNESS**0.5  # sines, then cosines
    directions, _ = torch.linalg.qr(torch.randn(d, d))
    for number, layer in enumerate(model.get_decoder().layers):
        attention, first = layer.encoder_attn, number % config.heads * h
        passed = directions[:, first : first + h]
        attention.q_proj.weight[:h] = attention.k_proj.weight[:h] = fastest
        attention.v_proj.weight[:h], attention.out_proj.weight[:, :h] = passed.T, passed

"""small: 128 px stickers from the tokens of the latent that every size shares; the default model.

    python -m mvae train small --out runs/small --resume

Its image encoder is the latent's own (:mod:`mvae.training.frozen_latent`); the decoder is trained on exact tokens alone.
"""

from dataclasses import replace

from mvae.training.recipe import Recipe, Schedule
from mvae.training.recipes.base import RECIPE as BASE

RECIPE = Recipe(
    name="small",
    data="data/emoji",
    vae=replace(
        BASE.vae,
        config=replace(BASE.vae.config, decoder_widths=(128, 80, 48), decoder_blocks=(2, 2, 1)),
        schedule=Schedule(
            steps=2400, batch=16, learning_rate=2e-3, warmup=150, optimiser="muon", hidden_learning_rate=5e-3, sheet_minutes=15
        ),
        frozen_latent="zoo/latents/1",
        perceptual_from=0.6,
    ),
    seq2seq=replace(
        BASE.seq2seq,
        config=replace(BASE.seq2seq.config, d_model=160, decoder_layers=3, feed_forward=640),
    ),
)

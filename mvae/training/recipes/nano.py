"""nano: 64 px stickers from the shared tokens, in 3 MB.

    python -m mvae train nano --out runs/nano --resume

Its image encoder learns the posterior of the latent's reference encoder, its decoder the reference's tokens. Its seq2seq learns
from the pictures at first, which takes a third of the time of a step with a teacher; ``nano_distilled`` goes on with one.
"""

from dataclasses import replace

from mvae.training.recipe import Recipe, Schedule
from mvae.training.recipes.base_palette import RECIPE as TEACHER

RECIPE = Recipe(
    name="nano",
    data="data/emoji",
    vae=replace(
        TEACHER.vae,
        config=replace(
            TEACHER.vae.config, decoded_size=64, encoder_widths=(32, 64, 80), encoder_blocks=(0, 1, 1), decoder_widths=(80, 48),
            decoder_blocks=(2, 1),
        ),
        schedule=Schedule(
            steps=5000, batch=16, learning_rate=2e-3, warmup=100, optimiser="muon", hidden_learning_rate=5e-3, ema=0.998,
            sheet_minutes=15,
        ),
        distilled_latent="zoo/latents/1",
        composed_share=0.3,
        perceptual_from=0.6,
        freeze_statistics_from=0.9,
    ),
    seq2seq=replace(
        TEACHER.seq2seq,
        config=replace(TEACHER.seq2seq.config, d_model=96, encoder_layers=2, decoder_layers=3, feed_forward=384),
        schedule=replace(
            TEACHER.seq2seq.schedule, steps=4000, learning_rate=4e-3, hidden_learning_rate=8e-3, warmup=200, ema=0.998
        ),
    ),
)

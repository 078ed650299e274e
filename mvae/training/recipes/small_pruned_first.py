"""small_pruned_first: small with fewer channels, half of the way; what pruning broke is mended.

    python -m mvae.miniaturize.prune --start zoo/models/small --encoder 0.15 --decoder 0.15 --out runs/small-pruned-start
    python -m mvae train small_pruned_first --stage vae --warm-start runs/small-pruned-start \\
        --out runs/small-pruned-first --resume

The encoder learns the posterior of the latent's reference encoder again, the decoder the reference's tokens.
"""

from dataclasses import replace

from mvae.training.recipe import Recipe, Schedule
from mvae.training.recipes.small_palette import RECIPE as WHOLE

RECIPE = Recipe(
    name="small_pruned_first",
    data=WHOLE.data,
    vae=replace(
        WHOLE.vae,
        config=replace(
            WHOLE.vae.config, encoder_widths=(40, 80, 136), encoder_hidden=(40, 80, 136, 136), decoder_widths=(104, 64, 40),
            decoder_hidden=(104, 104, 64, 64, 40), decoder_tail=24,
        ),
        schedule=Schedule(
            steps=700, batch=16, learning_rate=1e-3, warmup=30, optimiser="muon", hidden_learning_rate=2.5e-3, ema=0.99,
            sheet_minutes=15,
        ),
        frozen_latent=None,
        distilled_latent="zoo/latents/1",
        composed_share=0.3,
        perceptual=0.0,
    ),
    seq2seq=WHOLE.seq2seq,
)

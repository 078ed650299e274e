"""base_decoder: the decoder of base alone, tuned on the exact tokens of the frozen latent, with the perceptual distance.

    python -m mvae train base_decoder --stage vae --warm-start runs/base-2 --out runs/base-decoder --resume

Its ``vae.safetensors`` takes the place of the one in the run that is exported: the tokens stay what they were.
"""

from dataclasses import replace

from mvae.training.recipe import Schedule
from mvae.training.recipes.base import RECIPE as BASE

RECIPE = replace(
    BASE,
    name="base_decoder",
    vae=replace(
        BASE.vae,
        schedule=Schedule(
            steps=3000, batch=16, learning_rate=1e-3, hidden_learning_rate=2e-3, warmup=20, optimiser="muon", ema=0.998,
            sheet_minutes=15,
        ),
        frozen_latent="zoo/latents/1",
        freeze_statistics_from=0.0,
        perceptual_from=0.0,
    ),
)

"""base_decoder_composed: a second round for the decoder of base, on compositions too, half of which show small things.

    python -m mvae train base_decoder_composed --stage vae --warm-start zoo/models/base --out runs/base-decoder-2 --resume
"""

from dataclasses import replace

from mvae.training.recipes.base_decoder import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="base_decoder_composed",
    vae=replace(FIRST.vae, composed_share=0.6, schedule=replace(FIRST.vae.schedule, steps=1600)),
)

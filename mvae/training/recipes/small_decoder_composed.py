"""small_decoder_composed: a second round for the decoder of small, on compositions too, half of which show small things.

    python -m mvae train small_decoder_composed --stage vae --warm-start zoo/models/small --out runs/small-decoder-2 --resume
"""

from dataclasses import replace

from mvae.training.recipes.small_decoder import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="small_decoder_composed",
    vae=replace(FIRST.vae, composed_share=0.6, schedule=replace(FIRST.vae.schedule, steps=1600)),
)

"""small_decoder: the decoder of small alone, tuned on the exact tokens of the frozen latent, with the perceptual distance.

    python -m mvae train small_decoder --stage vae --warm-start runs/small --out runs/small-decoder --resume

Its ``vae.safetensors`` takes the place of the one in the run that is exported: the tokens stay what they were.
"""

from dataclasses import replace

from mvae.training.recipes.base_decoder import RECIPE as BASE
from mvae.training.recipes.small import RECIPE as SMALL

RECIPE = replace(BASE, name="small_decoder", vae=replace(BASE.vae, config=SMALL.vae.config))

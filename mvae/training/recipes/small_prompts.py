"""small_prompts: the seq2seq of small learns what that of base learns in ``base_prompts``.

    python -m mvae train small_prompts --warm-start runs/small --out runs/small-prompts --resume

Tokens and scenes are those of the shared latent: ``views.safetensors`` and ``scenes.safetensors`` of ``base_prompts``
can be copied into ``runs/small-prompts/seq2seq`` instead of being made again.
"""

from dataclasses import replace

from mvae.training.recipes.base_prompts import RECIPE as BASE
from mvae.training.recipes.small import RECIPE as SMALL

RECIPE = replace(
    BASE,
    name="small_prompts",
    vae=SMALL.vae,
    seq2seq=replace(
        BASE.seq2seq,
        config=replace(SMALL.seq2seq.config, memory=2, small_copies=True),
        schedule=replace(BASE.seq2seq.schedule, steps=1700),
    ),
)

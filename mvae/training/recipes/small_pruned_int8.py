"""small_pruned_int8: the last steps of the pruned decoder, which computes as in int8 already.

    python -m mvae train small_pruned_int8 --stage vae --warm-start runs/small-pruned --out runs/small-pruned-int8 \\
        --workers 3 --minutes 2

Its ``vae.safetensors`` then takes the place of that in ``runs/small-pruned``: tokens, and so the seq2seq, stay what they are.
"""

from dataclasses import replace

from mvae.training.recipes.small_pruned_second import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="small_pruned_int8",
    vae=replace(
        FIRST.vae,
        schedule=replace(FIRST.vae.schedule, learning_rate=4e-4, hidden_learning_rate=1.2e-3, warmup=30),
        fake_quantise=True,
        freeze_statistics_from=0.0,
    ),
)

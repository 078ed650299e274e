"""nano_distilled: the seq2seq of nano learns what that of base makes of the same pages and words.

    python -m mvae train nano_distilled --warm-start runs/nano --out runs/nano-2 --resume
"""

from dataclasses import replace

from mvae.training.recipes.nano import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="nano_distilled",
    seq2seq=replace(
        FIRST.seq2seq,
        teacher="zoo/models/base",
        schedule=replace(
            FIRST.seq2seq.schedule, steps=400, learning_rate=1.5e-3, hidden_learning_rate=3e-3, warmup=30, ema=0.993
        ),
    ),
)

"""base_continued: a second round for the seq2seq of base, from the weights of its first.

    python -m mvae train base_continued --warm-start runs/base --out runs/base-2 --resume

It starts from averaged weights, so its peak learning rates are lower: enough to move on, too little to unlearn.
"""

from dataclasses import replace

from mvae.training.recipes.base import RECIPE as BASE

RECIPE = replace(
    BASE,
    seq2seq=replace(
        BASE.seq2seq,
        schedule=replace(
            BASE.seq2seq.schedule, steps=2600, learning_rate=3e-3, hidden_learning_rate=5e-3, ema=0.998,
        ),
    ),
)

"""nano_words: a long second round for the seq2seq of nano, of large batches, as an accelerator likes them.

    python -m mvae train nano_words --warm-start zoo/models/nano --out runs/nano-words --workers 5 --minutes 4
"""

from dataclasses import replace

from mvae.training.recipes.nano import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="nano_words",
    seq2seq=replace(
        FIRST.seq2seq,
        schedule=replace(
            FIRST.seq2seq.schedule, steps=20000, batch=128, learning_rate=3e-3, hidden_learning_rate=6e-3, warmup=100, ema=0.998,
            sheet_minutes=60, checkpoint_minutes=30,
        ),
    ),
)

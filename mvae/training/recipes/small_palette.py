"""small_palette: a round more for the seq2seq of small, which now reads what it recalls in the colour that is asked for.

    python -m mvae train small_palette --warm-start zoo/models/small --out runs/small-palette --resume
"""

from dataclasses import replace

from mvae.training.recipes.small_prompts import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="small_palette",
    seq2seq=replace(
        FIRST.seq2seq,
        schedule=replace(FIRST.seq2seq.schedule, steps=1600, learning_rate=2e-3, hidden_learning_rate=3.5e-3, warmup=50),
        new_tokenizer=False,
    ),
)

"""base_palette: a round more for the seq2seq of base, which now reads what it recalls in the colour that is asked for.

    python -m mvae train base_palette --warm-start zoo/models/base --out runs/base-palette --resume
"""

from dataclasses import replace

from mvae.training.recipes.base_prompts_continued import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="base_palette",
    seq2seq=replace(
        FIRST.seq2seq,
        schedule=replace(FIRST.seq2seq.schedule, steps=1800, learning_rate=2e-3, hidden_learning_rate=3.5e-3, warmup=50),
        new_tokenizer=False,
    ),
)

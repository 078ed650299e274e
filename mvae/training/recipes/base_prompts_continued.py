"""base_prompts_continued: a second round for the seq2seq of ``base_prompts``, from its averaged weights, at lower learning rates.

    python -m mvae train base_prompts_continued --warm-start runs/base-prompts --out runs/base-prompts-2 --resume
"""

from dataclasses import replace

from mvae.training.recipes.base_prompts import RECIPE as BASE

RECIPE = replace(
    BASE,
    name="base_prompts_continued",
    seq2seq=replace(
        BASE.seq2seq,
        schedule=replace(BASE.seq2seq.schedule, steps=1600, learning_rate=2e-3, hidden_learning_rate=3.5e-3, warmup=50),
        new_tokenizer=False,
    ),
)

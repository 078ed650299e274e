"""small_palette_continued: a short round more for the seq2seq of ``small_palette``, at lower learning rates.

    python -m mvae train small_palette_continued --warm-start runs/small-palette --out runs/small-palette-2 --resume
"""

from dataclasses import replace

from mvae.training.recipes.small_palette import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="small_palette_continued",
    seq2seq=replace(
        FIRST.seq2seq,
        schedule=replace(
            FIRST.seq2seq.schedule, steps=600, learning_rate=1e-3, hidden_learning_rate=2e-3, warmup=30, ema=0.995
        ),
    ),
)

"""base_prompts: the seq2seq of base learns people's words, 28 languages, and combinations that are in no data set.

    python -m mvae train base_prompts --warm-start runs/base-2 --out runs/base-prompts --resume

It begins with the averaged weights of ``base_continued``, reads a second page with small copies of two stickers, and has text
pieces of its own.
"""

from dataclasses import replace

from mvae.training.recipes.base import RECIPE as BASE

RECIPE = replace(
    BASE,
    name="base_prompts",
    seq2seq=replace(
        BASE.seq2seq,
        config=replace(BASE.seq2seq.config, memory=2, small_copies=True),
        schedule=replace(BASE.seq2seq.schedule, steps=3600, learning_rate=3e-3, hidden_learning_rate=5e-3, ema=0.998),
        new_tokenizer=True,
        views=2,
        original_share=0.8,
        scenes=36_000,
        scene_share=0.5,
        languages=0.25,
        sentences=0.2,
        word_augmentation=0.15,
    ),
)

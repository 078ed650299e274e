"""small_pruned_second: small-pruned without the first of its encoder's two layers, and a long second round, of large batches.

    python -m mvae.miniaturize.prune --start zoo/models/small-pruned --encoder-layers 0 --out runs/small-pruned-start-3
    python -m mvae train small_pruned_second --stage vae --warm-start runs/small-pruned-start-3 --out runs/small-pruned \\
        --workers 3 --minutes 3
    python -m mvae train small_pruned_second --warm-start runs/small-pruned-start-3 --out runs/small-pruned \\
        --workers 3 --minutes 4
"""

from dataclasses import replace

from mvae.training.recipes.small_pruned import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="small_pruned_second",
    vae=replace(
        FIRST.vae,
        schedule=replace(
            FIRST.vae.schedule, steps=20000, batch=48, learning_rate=1.5e-3, hidden_learning_rate=4e-3, warmup=100, ema=0.998,
            sheet_minutes=60, checkpoint_minutes=30,
        ),
        perceptual_from=0.0,
    ),
    seq2seq=replace(
        FIRST.seq2seq,
        config=replace(FIRST.seq2seq.config, encoder_layers=1),
        schedule=replace(
            FIRST.seq2seq.schedule, steps=20000, batch=128, learning_rate=2.5e-3, hidden_learning_rate=5e-3, warmup=100,
            ema=0.998, sheet_minutes=60, checkpoint_minutes=30,
        ),
    ),
)

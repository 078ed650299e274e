"""small_pruned: the second half of the way, and a seq2seq with two decoder layers of three and 256 inner units of 640.

    python -m mvae.miniaturize.prune --start runs/small-pruned-first --encoder 0.18 --decoder 0.15 \\
        --seq2seq zoo/models/small --feed-forward 0.6 --decoder-layers 2 --out runs/small-pruned-start-2
    python -m mvae train small_pruned --stage vae --warm-start runs/small-pruned-start-2 --out runs/small-pruned --resume
    python -m mvae train small_pruned --warm-start runs/small-pruned-start-2 --out runs/small-pruned --resume
"""

from dataclasses import replace

from mvae.training.recipes.small_pruned_first import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="small_pruned",
    vae=replace(
        FIRST.vae,
        config=replace(
            FIRST.vae.config, encoder_widths=(32, 64, 104), encoder_hidden=(32, 64, 104, 104), decoder_widths=(88, 48, 32),
            decoder_hidden=(88, 88, 48, 48, 32), decoder_tail=24,
        ),
        schedule=replace(FIRST.vae.schedule, steps=1800, learning_rate=1.5e-3, hidden_learning_rate=4e-3, ema=0.997),
        perceptual=0.6,
        perceptual_from=0.6,
    ),
    seq2seq=replace(
        FIRST.seq2seq,
        teacher="zoo/models/small",
        config=replace(FIRST.seq2seq.config, decoder_layers=2, feed_forward=256),
        schedule=replace(
            FIRST.seq2seq.schedule, steps=1400, learning_rate=2e-3, hidden_learning_rate=4e-3, warmup=50, ema=0.997
        ),
    ),
)

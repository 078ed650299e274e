"""tiny: a few steps of a minute model on the committed sample, for tests and for trying a set-up out.

    python -m mvae train tiny --out runs/tiny
"""

from pathlib import Path

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.training.recipe import Recipe, Schedule, Seq2SeqStage, VaeStage

RECIPE = Recipe(
    name="tiny",
    data=str(Path(__file__).parents[3] / "tests" / "data" / "emoji-sample.tar"),
    vae=VaeStage(
        config=VaeConfig(
            image_size=64,
            patch=2,
            encoder_widths=(16, 16, 16),
            encoder_blocks=(0, 0, 0),
            decoder_widths=(16, 16, 16),
            decoder_blocks=(0, 0, 0),
        ),
        schedule=Schedule(
            steps=12, batch=8, learning_rate=1e-3, warmup=2, optimiser="muon", precision="fp32", checkpoint_minutes=0,
            sheet_minutes=60,
        ),
        perceptual=0.3,
        perceptual_from=0.5,
    ),
    seq2seq=Seq2SeqStage(
        config=Seq2SeqConfig(d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64),
        schedule=Schedule(
            steps=8, batch=8, learning_rate=1e-3, warmup=2, optimiser="muon", precision="fp32", checkpoint_minutes=0,
            sheet_minutes=60,
        ),
        views=1,
    ),
)

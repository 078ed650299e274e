"""small: 128 px stickers from 64 tokens, the default model.

    python -m mvae train small --out runs/small --resume

Sized for two hours on two idle CPU cores with bf16 instructions, one process a core: about 50 minutes for the VAE, the rest for
the seq2seq. A run's own settings are kept in its run.json and in the manifest of the entry made from it.
"""

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.training.recipe import Recipe, Schedule, Seq2SeqStage, VaeStage

RECIPE = Recipe(
    name="small",
    data="data/emoji",
    vae=VaeStage(
        config=VaeConfig(
            image_size=128,
            encoder_widths=(48, 80, 128),
            encoder_blocks=(1, 1, 1),
            decoder_widths=(144, 96, 64),
            decoder_blocks=(2, 2, 1),
        ),
        schedule=Schedule(
            steps=6000, batch=32, learning_rate=2e-3, warmup=150, optimiser="muon", hidden_learning_rate=5e-3, sheet_minutes=10
        ),
        rate_nats=400.0,
        beta=3e-5,
        noisy_share=0.25,
        freeze_encoder_from=0.8,
        freeze_statistics_from=0.88,
        squared=8.0,
        gradient=0.75,
        perceptual=0.6,
        perceptual_from=0.75,
    ),
    seq2seq=Seq2SeqStage(
        config=Seq2SeqConfig(d_model=192, encoder_layers=2, decoder_layers=4, heads=4, feed_forward=768),
        schedule=Schedule(
            steps=4500, batch=96, learning_rate=4e-3, warmup=200, optimiser="muon", sheet_minutes=15
        ),
        input_noise=0.08,
        posterior_share=0.2,
        original_share=0.8,
        word_augmentation=0.2,
    ),
)

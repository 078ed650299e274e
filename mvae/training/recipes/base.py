"""base: the teacher, 128 px stickers from 144 tokens of the latent that every size shares.

    python -m mvae train base --out runs/base --resume

The VAE alone (``--stage vae``) takes about 110 minutes on two idle CPU cores without bf16 instructions, one process a core; its
encoder becomes the latent's reference encoder (``python -m mvae.training.frozen_latent``). The seq2seq took 40 minutes there as
the arm "memory-1" of ``python -m mvae reproduce memory --run runs/base --minutes 40``; ``base_continued`` goes on from it.
"""

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.training.recipe import Recipe, Schedule, Seq2SeqStage, VaeStage

RECIPE = Recipe(
    name="base",
    data="data/emoji",
    vae=VaeStage(
        config=VaeConfig(
            image_size=128,
            grid=12,
            latent_id="1",
            encoder_widths=(56, 96, 160),
            encoder_blocks=(1, 1, 2),
            decoder_widths=(192, 112, 64),
            decoder_blocks=(3, 2, 1),
            shortcuts=True,
        ),
        schedule=Schedule(
            steps=4500, batch=16, learning_rate=2e-3, warmup=150, optimiser="muon", hidden_learning_rate=5e-3, sheet_minutes=15
        ),
        rate_nats=750.0,
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
        config=Seq2SeqConfig(
            positions=144, d_model=192, encoder_layers=2, decoder_layers=4, heads=4, feed_forward=768, memory=1
        ),
        schedule=Schedule(
            steps=1575, batch=32, learning_rate=4e-3, warmup=100, ema=0.995, optimiser="muon", hidden_learning_rate=8e-3,
            sheet_minutes=20,
        ),
        views=6,
        input_noise=0.08,
        posterior_share=0.2,
        original_share=0.6,
        word_augmentation=0.2,
    ),
)

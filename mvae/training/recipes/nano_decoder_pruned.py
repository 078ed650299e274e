"""nano_decoder_pruned: the decoder of ``nano_decoder`` without its faintest channels, and what that broke is mended.

    python -m mvae.miniaturize.prune --start runs/nano-decoder --seq2seq zoo/models/nano --decoder 0.06 \\
        --out runs/nano-pruned-start
    python -m mvae train nano_decoder_pruned --stage vae --warm-start runs/nano-pruned-start --out runs/nano-pruned --resume

Its ``vae.safetensors`` and ``vae_config.json`` then take the place of those in the run with nano's seq2seq (``nano_words``): the
tokens are the latent's own, and so the seq2seq stays what it is.
"""

from dataclasses import replace

from mvae.training.recipes.nano_decoder import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="nano_decoder_pruned",
    vae=replace(
        FIRST.vae,
        config=replace(
            FIRST.vae.config, decoder_widths=(80, 48), decoder_hidden=(80, 80, 48), encoder_hidden=(64, 80), decoder_tail=28,
        ),
        schedule=replace(
            FIRST.vae.schedule, steps=4500, batch=16, learning_rate=1.2e-3, hidden_learning_rate=3e-3, warmup=60, ema=0.997,
            checkpoint_minutes=3,
        ),
        perceptual_from=0.0,
    ),
)

"""nano_decoder: nano's image encoder and a decoder a fifth larger, as far as 3 MB go, from the beginning, with large batches.

    python -m mvae train nano_decoder --stage vae --out runs/nano-decoder --workers 4 --minutes 5

Its ``vae.safetensors`` and ``vae_config.json`` then take the place of those in the run with nano's seq2seq (``nano_words``): the
tokens are the latent's own, and so the seq2seq stays what it is.
"""

from dataclasses import replace

from mvae.training.recipes.nano import RECIPE as FIRST

RECIPE = replace(
    FIRST,
    name="nano_decoder",
    vae=replace(
        FIRST.vae,
        config=replace(FIRST.vae.config, decoder_widths=(88, 56)),
        schedule=replace(
            FIRST.vae.schedule, steps=20000, batch=64, learning_rate=3e-3, hidden_learning_rate=7e-3, warmup=150, ema=0.998,
            sheet_minutes=60, checkpoint_minutes=30,
        ),
        perceptual_from=0.3,
    ),
)

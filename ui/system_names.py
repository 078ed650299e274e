"""What a visitor reads of the nine systems and their data sets in place of identifiers."""

SYSTEM_HINTS = {
    "vae": "Gaussian posterior and prior",
    "vade": "prior with ten clusters",
    "gmvae": "clusters with a latent of their own",
    "info_vae": "matches the whole posterior to the prior",
    "beta_vae": "the rate counts more",
    "vq_vae": "a codebook of latent vectors",
    "s_vae": "latents on a sphere",
    "vae_gan": "a discriminator says what is alike",
    "mvae": "tokens that words can ask for",
    "mvae_small": "the same at half the width, distilled",
}
"""What sets a system apart, in a few words."""
COLOUR = ("cifar10",)
"""Data sets of colour images; the others are grey."""


def milliseconds(value: float) -> str:
    """With digits enough for what is fast."""
    return f"{value:.3f} ms" if value < 0.1 else f"{value:.2f} ms"


def kilobytes(count: float) -> str:
    """Bytes as decimal kilobytes."""
    return f"{count / 1e3:,.0f} kB"

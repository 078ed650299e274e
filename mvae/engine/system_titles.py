"""What the systems of the comparison and their data sets are called. Needs nothing."""

SYSTEM_TITLES = {
    "vae": "VAE", "vade": "VaDE", "gmvae": "GMVAE", "info_vae": "InfoVAE", "beta_vae": "β-VAE", "vq_vae": "VQ-VAE",
    "s_vae": "S-VAE", "vae_gan": "VAE-GAN", "mvae": "mVAE", "mvae_small": "mVAE, miniaturised",
}
"""The nine systems, in the order of the paper's Table 9, and the miniaturised mVAE."""
DATA_TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}

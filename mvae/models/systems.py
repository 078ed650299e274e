"""The nine systems of the comparison by name, on one backbone, as Table 9 trains them."""

from collections.abc import Callable
from dataclasses import replace

from mvae.errors import OptionError
from mvae.models.beta_vae import BetaVae
from mvae.models.gmvae import Gmvae
from mvae.models.info_vae import InfoVae
from mvae.models.mvae_system import MvaeSystem
from mvae.models.s_vae import SVae
from mvae.models.system import System, SystemConfig
from mvae.models.vade import Vade
from mvae.models.vae import Vae
from mvae.models.vae_gan import VaeGan
from mvae.models.vq_vae import VqVae

VQ_CHANNELS, VQ_CODES, VQ_COMMITMENT = 4, 256, 15.0
"""Of the VQ-VAE's grid on the shared backbone, 4 × 4 of them: a byte a place. The commitment is the published .25 of a squared
error that is divided by the images' variance, in nats of a Gaussian with a standard deviation of .1."""
SPREAD = {1: 3.0, 3: 0.3}
"""Of the S-VAE's directions, by the images' channels. In colour the noise of the first epochs, spread as far, is what the
generator would learn to ignore."""
GAN = {"matching": 1000.0, "fooling": 5.0, "noise": 0.2, "patches": True}
"""The VAE-GAN's weights against the KL, which with less has its way, so that nothing is encoded; instance noise, and a
discriminator of convolutions: one on the backbone knows real images by their exact zeros and its features forget the rest."""


def build_system(name: str, config: SystemConfig, steps: int | None = None) -> System | VqVae:
    """A fresh system. ``steps``: how many training steps it will get, for those whose objective has phases.

    Raises :class:`OptionError` for an unknown name.
    """
    made: dict[str, Callable[[], System | VqVae]] = {
        "vae": lambda: Vae(config),
        "vade": lambda: Vade(config),
        "gmvae": lambda: Gmvae(config),
        "info_vae": lambda: InfoVae(config, alpha=0.5, lambda_=100.0),
        "beta_vae": lambda: BetaVae(config, beta=4.0),
        "vq_vae": lambda: VqVae(replace(config, latent=VQ_CHANNELS), codes=VQ_CODES, commitment=VQ_COMMITMENT, shared=True),
        "s_vae": lambda: SVae(config, spread=SPREAD[config.channels]),
        "vae_gan": lambda: VaeGan(config, **GAN),
        "mvae": lambda: MvaeSystem(config, steps=steps),
    }
    if name not in made:
        raise OptionError(f"system {name!r:.40}; expected one of {list(made)}")
    return made[name]()

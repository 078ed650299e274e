"""VAE (Kingma & Welling 2014, arXiv 1312.6114): −E log p(x|z) + KL(q(z|x) ‖ p(z))."""

from mvae.models.system import System


class Vae(System):
    """The plain system."""

    name = "vae"

"""Sparse coding of the latent (paper, 21 and 22): ‖α‖₁ as a penalty of the posterior's mean, or a Laplace prior, and codes with
exact zeros by soft thresholding.

Legend: B batch, D latent dimension. Everything in nats per image.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from mvae.errors import OptionError
from mvae.models.system import System, SystemConfig
from mvae.objective import gaussian_kl, gaussian_laplace_kl, soft_threshold, sparse_code

UNIT_SCALE = 1 / math.sqrt(2)
"""Of a Laplace distribution with variance 1."""


class SparseVAE(System):
    """A VAE whose code is sparse: by a penalty ``strength`` · ‖mean‖₁ beside the KL, or by a Laplace prior in its place."""

    name = "sparse_vae"

    def __init__(self, config: SystemConfig, strength: float = 0.0, laplace: bool = False):
        """Raises OptionError for a strength below 0."""
        super().__init__(config)
        if not strength >= 0:
            raise OptionError(f"strength of the penalty is {strength}; expected 0 or more")
        self.strength, self.laplace = strength, laplace

    def rate(self, posterior: Distribution, z: Tensor) -> Tensor:
        normal = posterior.base_dist
        if self.laplace:
            return gaussian_laplace_kl(normal.loc, 2 * normal.scale.log(), UNIT_SCALE)
        return gaussian_kl(normal.loc, 2 * normal.scale.log())

    def prior_log_prob(self, z: Tensor) -> Tensor:
        if self.laplace:
            return -(z.abs() / UNIT_SCALE + math.log(2 * UNIT_SCALE)).sum(-1)
        return super().prior_log_prob(z)

    def sample_prior(self, count: int) -> Tensor:
        if self.laplace:
            where = torch.zeros(count, self.config.latent, device=self.head.weight.device)
            return torch.distributions.Laplace(where, UNIT_SCALE).sample()
        return super().sample_prior(count)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        posterior = self.posterior(x)
        z = posterior.rsample()
        found = {"distortion": -self.likelihood.log_prob(x, self.generator(z)), "rate": self.rate(posterior, z)}
        return found | {"sparse": sparse_code(posterior.mean)}

    def weights(self) -> dict[str, float]:
        return {"distortion": 1.0, "rate": 1.0, "sparse": self.strength}

    def code(self, x: Tensor, threshold: float) -> Tensor:
        """[B, D] with exact zeros: the posterior's mean, soft-thresholded."""
        return soft_threshold(self.features(x), threshold)

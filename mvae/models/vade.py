"""VaDE (Jiang et al. 2017, arXiv 1611.05148): a VAE whose prior is a mixture of Gaussians, q(c | x) = p(c | z).

Trained in three steps: the autoencoder alone, a Gaussian mixture fitted to its latents and chosen by likelihood (never by
labels), then everything together.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from mvae.errors import OptionError
from mvae.models.system import System, SystemConfig

LEAST_VARIANCE = -6.0
"""Floor of a component's log-variance: one that collapses onto a point would have infinite density."""


class Vade(System):
    """K components, by default one a class."""

    name = "vade"

    def __init__(self, config: SystemConfig, components: int | None = None):
        """Raises OptionError for no component."""
        super().__init__(config)
        count = config.classes if components is None else components
        if count < 1:
            raise OptionError(f"{count} components; expected at least 1")
        self.share = nn.Parameter(torch.zeros(count))
        self.mean = nn.Parameter(torch.zeros(count, config.latent))
        self.log_variance = nn.Parameter(torch.zeros(count, config.latent))
        self.pretraining = False
        """Whether only the distortion counts, and the latent is the posterior's mean: the autoencoder of the first step."""

    def component_log_prob(self, z: Tensor) -> Tensor:
        """log p(z, c), z […, D] → […, K], nats."""
        variance = self.log_variance.clamp(min=LEAST_VARIANCE)
        gap = (z[..., None, :] - self.mean).square() / variance.exp()
        return self.share.log_softmax(0) - 0.5 * (gap + variance + math.log(2 * math.pi)).sum(-1)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        return torch.logsumexp(self.component_log_prob(z), -1)

    def rate(self, posterior: Distribution, z: Tensor) -> Tensor:
        """KL(q(z, c | x) ‖ p(z, c)) with q(c | x) = p(c | z): exact over z for that q(c | x)."""
        normal = posterior.base_dist
        variance = self.log_variance.clamp(min=LEAST_VARIANCE)
        log_component = self.component_log_prob(z).log_softmax(-1)
        component = log_component.exp()
        spread = normal.scale.square()[:, None] + (normal.loc[:, None] - self.mean).square()
        cross = 0.5 * (variance + math.log(2 * math.pi) + spread / variance.exp()).sum(-1)
        entropy = posterior.entropy()
        return (component * (cross + log_component - self.share.log_softmax(0))).sum(-1) - entropy

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        if not self.pretraining:
            return super().terms(x)
        return {"distortion": -self.likelihood.log_prob(x, self.generator(self.features(x)))}

    def weights(self) -> dict[str, float]:
        return {"distortion": 1.0} if self.pretraining else super().weights()

    def clusters(self, x: Tensor) -> Tensor:
        """[B, K]: p(c | z) at the posterior's mean; unsupervised classification."""
        return self.component_log_prob(self.features(x)).softmax(-1)

    @torch.no_grad()
    def begin_with(self, shares: Tensor, means: Tensor, variances: Tensor) -> None:
        """Take the components of a fitted mixture: [K], [K, D], [K, D]."""
        self.share.copy_(shares.clamp(min=1e-6).log())
        self.mean.copy_(means)
        self.log_variance.copy_(variances.clamp(min=1e-6).log())

    def sample_prior(self, count: int) -> Tensor:
        chosen = torch.distributions.Categorical(logits=self.share).sample((count,))
        variance = self.log_variance.clamp(min=LEAST_VARIANCE)[chosen]
        return self.mean[chosen] + torch.exp(0.5 * variance) * torch.randn_like(variance)

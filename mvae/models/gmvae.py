"""GMVAE (Dilokthanakul et al. 2016, arXiv 1611.02648): w and a component y choose where x's latent is drawn from.

p(w) = N(0, 1), p(y) uniform, p(x_latent | w, y) = N(μ_y(w), σ²_y(w)) by a network, p(image | x_latent). The recognition model is
q(x_latent | image) q(w | image), and p(y | x_latent, w) follows from Bayes' rule.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from mvae.errors import OptionError
from mvae.models.system import System, SystemConfig
from mvae.objective import gaussian_kl


class Gmvae(System):
    """The published variant with the z-posterior computed exactly (the paper calls y z, and w w)."""

    name = "gmvae"

    def __init__(self, config: SystemConfig, components: int | None = None, noise: int = 8, hidden: int = 64):
        """``noise``: dimensions of w. Raises OptionError for fewer than 1 component or dimension."""
        super().__init__(config)
        self.components, self.noise = config.classes if components is None else components, noise
        if min(self.components, noise) < 1:
            raise OptionError(f"{self.components} components, {noise} dimensions of w; expected at least 1 of both")
        self.head_w = nn.Linear(config.width, 2 * noise)
        self.prior_body = nn.Sequential(nn.Linear(noise, hidden), nn.Tanh())
        self.prior_heads = nn.Linear(hidden, 2 * self.components * config.latent)

    def component_log_prob(self, z: Tensor, w: Tensor) -> Tensor:
        """log p(z, y | w), z […, D], w […, W] → […, K], nats."""
        mean, log_variance = self._components(w)
        gap = (z[..., None, :] - mean).square() / log_variance.exp()
        return -0.5 * (gap + log_variance + math.log(2 * math.pi)).sum(-1) - math.log(self.components)

    def _components(self, w: Tensor) -> tuple[Tensor, Tensor]:
        said = self.prior_heads(self.prior_body(w)).unflatten(-1, (self.components, 2, self.config.latent))
        return said[..., 0, :], said[..., 1, :].clamp(-6, 6)

    def posterior_w(self, features: Tensor) -> Distribution:
        """q(w | image)."""
        mean, log_variance = self.head_w(features).chunk(2, 1)
        return Independent(Normal(mean, torch.exp(0.5 * log_variance.clamp(-12, 8))), 1)

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """``conditional``: E KL(q(z|x) ‖ p(z | w, y)) under p(y | z, w); ``rate_w``: KL of w; ``rate_y``: that of p(y | z, w)."""
        features = self.body(x)
        mean, log_variance = self.head(features).chunk(2, 1)
        log_variance = log_variance.clamp(-12, 8)
        posterior, posterior_w = Normal(mean, torch.exp(0.5 * log_variance)), self.posterior_w(features)
        z, w = posterior.rsample(), posterior_w.rsample()
        log_y = self.component_log_prob(z, w).log_softmax(-1)
        prior_mean, prior_log_variance = self._components(w)
        ratio = log_variance[:, None] - prior_log_variance
        gap = (mean[:, None] - prior_mean).square() / prior_log_variance.exp()
        apart = 0.5 * (gap + ratio.exp() - ratio - 1).sum(-1)
        normal = posterior_w.base_dist
        return {
            "distortion": -self.likelihood.log_prob(x, self.generator(z)),
            "conditional": (log_y.exp() * apart).sum(-1),
            "rate_w": gaussian_kl(normal.loc, 2 * normal.scale.log()),
            "rate_y": (log_y.exp() * (log_y + math.log(self.components))).sum(-1),
        }

    def weights(self) -> dict[str, float]:
        return dict.fromkeys(("distortion", "conditional", "rate_w", "rate_y"), 1.0)

    def clusters(self, x: Tensor) -> Tensor:
        """[B, K]: p(y | z, w) at the means of both posteriors."""
        features = self.body(x)
        z, w = self.head(features).chunk(2, 1)[0], self.posterior_w(features).mean
        return self.component_log_prob(z, w).softmax(-1)

    def sample_prior(self, count: int) -> Tensor:
        w = torch.randn(count, self.noise, device=self.head.weight.device)
        mean, log_variance = self._components(w)
        chosen = torch.randint(self.components, (count,), device=w.device)
        rows = torch.arange(count, device=w.device)
        return mean[rows, chosen] + torch.exp(0.5 * log_variance[rows, chosen]) * torch.randn_like(mean[:, 0])

    @torch.no_grad()
    def importance_log_likelihood(self, x: Tensor, samples: int, chunk: int = 100) -> Tensor:
        """As :meth:`System.importance_log_likelihood`, over z and w together, y summed out."""
        features, parts = self.body(x), []
        posterior, posterior_w = self.posterior(x), self.posterior_w(features)
        for start in range(0, samples, chunk):
            count = min(chunk, samples - start)
            z, w = posterior.rsample((count,)), posterior_w.rsample((count,))
            drawn = self.generator(z.flatten(0, 1))
            fit = self.likelihood.log_prob(x.repeat(count, 1, 1, 1), drawn).view(count, -1)
            prior = torch.logsumexp(self.component_log_prob(z, w), -1) + super().prior_log_prob(w)
            parts.append(fit + prior - posterior.log_prob(z) - posterior_w.log_prob(w))
        return torch.logsumexp(torch.cat(parts), 0) - math.log(samples)

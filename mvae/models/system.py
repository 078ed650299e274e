"""What the nine systems of the comparison have in common: an image goes to a posterior, a latent to a likelihood, an image to an
objective whose terms have names.

Legend: B batch, D latent dimension, K importance samples. Every term is in nats per image: [B], summed over dimensions.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from mvae.errors import DataError
from mvae.models.backbones import body, generator
from mvae.objective import (
    bernoulli_log_likelihood,
    discretised_logistic_log_likelihood,
    gaussian_kl,
    gaussian_log_likelihood,
    weighted_sum,
)

LIKELIHOODS = ("bernoulli", "gaussian", "logistic")


@dataclass(frozen=True)
class SystemConfig:
    """Sizes that all systems of one comparison share."""

    side: int = 28
    channels: int = 1
    classes: int = 10
    latent: int = 16
    """D."""
    backbone: str = "mlp"
    width: int = 400
    layers: int = 2
    """Hidden layers of the ``mlp`` backbone."""
    hidden: tuple[int, ...] = ()
    """Widths of these layers where they differ, from the image on, the last equal to ``width``; ``layers`` counts for nothing
    then."""
    likelihood: str = "bernoulli"
    """``bernoulli`` (binary images), ``gaussian`` with ``variance``, or ``logistic`` (discretised, learned scale)."""
    variance: float = 0.01

    def __post_init__(self) -> None:
        if self.hidden and (self.hidden[-1] != self.width or self.backbone != "mlp"):
            raise DataError(f"hidden {self.hidden}, width {self.width}, {self.backbone}; expected an mlp ending with its width")


class Likelihood(nn.Module):
    """p(x | z), given what the generator says of it."""

    def __init__(self, config: SystemConfig):
        super().__init__()
        if config.likelihood not in LIKELIHOODS:
            raise DataError(f"likelihood {config.likelihood!r:.40}; expected one of {LIKELIHOODS}")
        self.kind, self.variance = config.likelihood, config.variance
        if self.kind == "logistic":
            self.log_scale = nn.Parameter(torch.full((1, config.channels, 1, 1), math.log(0.05)))

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """[B], nats."""
        if self.kind == "bernoulli":
            return bernoulli_log_likelihood(x, parameters)
        if self.kind == "gaussian":
            return gaussian_log_likelihood(x, self.mean(parameters), self.variance)
        return discretised_logistic_log_likelihood(x, self.mean(parameters), self.log_scale)

    @staticmethod
    def mean(parameters: Tensor) -> Tensor:
        """Expected image, in [0, 1]."""
        return torch.sigmoid(parameters)


class System(nn.Module):
    """A latent-variable model with Gaussian posterior N(mean, exp(log_variance)) and prior N(0, 1): what most systems change is
    one method. The plain VAE changes none."""

    name = "vae"

    def __init__(self, config: SystemConfig):
        super().__init__()
        self.config = config
        self.body = body(config.backbone, config.channels, config.side, config.width, config.layers, config.hidden)
        self.head = nn.Linear(config.width, self.head_size())
        self.generator = generator(
            config.backbone, config.latent, config.channels, config.side, config.width, config.layers, config.hidden
        )
        self.likelihood = Likelihood(config)
        self.rate_weight = 1.0
        """What the rate counts: below 1 while training warms up."""

    def head_size(self) -> int:
        """Numbers that describe one posterior."""
        return 2 * self.config.latent

    def posterior(self, x: Tensor) -> Distribution:
        """q(z | x), batch shape [B], event shape [D]."""
        mean, log_variance = self.head(self.body(x)).chunk(2, 1)
        # Not validated: a GPU would be waited for in every step; training looks at its loss.
        scale = torch.exp(0.5 * log_variance.clamp(-12, 8))
        return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z), z […, D] → […], nats."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def rate(self, posterior: Distribution, z: Tensor) -> Tensor:
        """KL(q(z | x) ‖ p(z)), [B], exact or from the sample ``z``."""
        normal = posterior.base_dist
        return gaussian_kl(normal.loc, 2 * normal.scale.log())

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """Every term of the objective by name, [B], nats, unweighted."""
        posterior = self.posterior(x)
        z = posterior.rsample()
        return {"distortion": -self.likelihood.log_prob(x, self.generator(z)), "rate": self.rate(posterior, z)}

    def weights(self) -> dict[str, float]:
        """What every term counts, now."""
        return {"distortion": 1.0, "rate": self.rate_weight}

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimised, and its terms."""
        terms = self.terms(x)
        return weighted_sum(terms, self.weights()), terms

    def features(self, x: Tensor) -> Tensor:
        """[B, D]: the latent that stands for an image; classifiers and probes read it."""
        return self.posterior(x).mean

    def decode(self, z: Tensor) -> Tensor:
        """Latents [B, D] → expected images [B, C, S, S] in [0, 1]."""
        return self.likelihood.mean(self.generator(z))

    def sample_prior(self, count: int) -> Tensor:
        """Latents [count, D] from p(z)."""
        return torch.randn(count, self.config.latent, device=self.head.weight.device)

    @torch.no_grad()
    def importance_log_likelihood(self, x: Tensor, samples: int, chunk: int = 100) -> Tensor:
        """log 1/K Σ p(x | z) p(z) / q(z | x), z ~ q (Burda et al. 2016): [B], nats, a bound of log p(x) that rises with K."""
        posterior, parts = self.posterior(x), []
        for start in range(0, samples, chunk):
            count = min(chunk, samples - start)
            z = posterior.rsample((count,))
            drawn = self.generator(z.flatten(0, 1))
            fit = self.likelihood.log_prob(x.repeat(count, 1, 1, 1), drawn).view(count, -1)
            parts.append(fit + self.prior_log_prob(z) - posterior.log_prob(z))
        return torch.logsumexp(torch.cat(parts), 0) - math.log(samples)

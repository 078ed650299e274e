"""InfoVAE (Zhao et al. 2019, arXiv 1706.02262): −E log p(x|z) + (1 − α) KL(q(z|x) ‖ p(z)) + (α + λ − 1) MMD(q(z) ‖ p(z))."""

import torch
from torch import Tensor

from mvae.errors import OptionError
from mvae.models.system import System, SystemConfig

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Of the kernel's bandwidths, times 2 D: the expected squared distance of two draws from the prior, which grows with D."""


def inverse_multiquadratic(a: Tensor, b: Tensor) -> Tensor:
    """Σ over scales of c / (c + |a − b|²), c = scale · 2 D (Tolstikhin et al. 2018): [A, B], at most 1 each."""
    distance, base = torch.cdist(a, b).square(), 2.0 * a.shape[1]
    return torch.stack([scale * base / (scale * base + distance) for scale in SCALES]).mean(0)


def unbiased_mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two samples [N, D], without the diagonals, whose terms are always 1 (Gretton et al.
    2012): a scalar, zero on average for equal distributions, and then below zero half of the time."""
    count = len(a)
    inner = sum((k.sum() - k.diagonal().sum()) / (count * (count - 1)) for k in (inverse_multiquadratic(a, a),
                                                                               inverse_multiquadratic(b, b)))
    return inner - 2 * inverse_multiquadratic(a, b).mean()


class InfoVae(System):
    """The MMD is of the batch's aggregate posterior; its weight α + λ − 1 has to be positive."""

    name = "info_vae"

    def __init__(self, config: SystemConfig, alpha: float = 0.0, lambda_: float = 100.0):
        """Raises OptionError for α outside [0, 1] or a negative weight of the MMD (0, with α = 0 and λ = 1, is the VAE)."""
        super().__init__(config)
        if not 0 <= alpha <= 1 or alpha + lambda_ - 1 < 0:
            raise OptionError(f"alpha {alpha}, lambda {lambda_}; expected alpha in [0, 1] and alpha + lambda − 1 at least 0")
        self.alpha, self.lambda_ = alpha, lambda_

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        posterior = self.posterior(x)
        z = posterior.rsample()
        found = {"distortion": -self.likelihood.log_prob(x, self.generator(z)), "rate": self.rate(posterior, z)}
        if self.alpha + self.lambda_ > 1:
            found["mmd"] = unbiased_mmd(z, torch.randn_like(z)).expand(len(x))
        return found

    def weights(self) -> dict[str, float]:
        found = {"distortion": 1.0, "rate": 1 - self.alpha}
        return found | ({"mmd": self.alpha + self.lambda_ - 1} if self.alpha + self.lambda_ > 1 else {})

"""The Bayesian likelihood of the paper (equations 6-8, 10, 12) in the one form that is defined: a mean-field Gaussian over the
weights of the last decoder layer, and one over the logarithm of the observation noise.

Legend: B batch, C channels in, K channels out. KLs are in nats for the whole data set; the objective divides them by its size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.objective import HALF_LOG_TWO_PI, parameter_kl


class BayesianConv2d(nn.Module):
    """A convolution whose weights are N(mean, exp(log_variance)), sampled by local reparameterisation (Kingma et al. 2015): the
    noise is drawn for every output, not for every weight, which lowers the gradient's variance. In evaluation the mean is used.
    """

    def __init__(self, channels: int, outputs: int, kernel: int, padding: int = 0, prior_deviation: float = 1.0):
        super().__init__()
        plain = nn.Conv2d(channels, outputs, kernel)
        self.weight, self.bias = nn.Parameter(plain.weight.detach().clone()), nn.Parameter(plain.bias.detach().clone())
        start = 2 * math.log(0.05 / math.sqrt(channels * kernel**2))
        self.weight_log_variance = nn.Parameter(torch.full_like(self.weight, start))
        self.bias_log_variance = nn.Parameter(torch.full_like(self.bias, start))
        self.padding, self.prior_deviation = padding, prior_deviation

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] → [B, K, h', w']."""
        mean = F.conv2d(x, self.weight, self.bias, padding=self.padding)
        if not self.training:
            return mean
        variance = F.conv2d(x.square(), self.weight_log_variance.exp(), self.bias_log_variance.exp(), padding=self.padding)
        return mean + variance.clamp(min=1e-12).sqrt() * torch.randn_like(mean)

    def kl(self, images: int) -> Tensor:
        """KL(q(θ') ‖ p(θ')) / ``images``, nats per image."""
        return parameter_kl(self.weight, self.weight_log_variance, self.prior_deviation, images) + parameter_kl(
            self.bias, self.bias_log_variance, self.prior_deviation, images
        )


class ObservationNoise(nn.Module):
    """τ = log σ² of the Gaussian likelihood, with q(τ) = N(mean, exp(log_variance)) and prior N(0, prior_deviation²)."""

    def __init__(self, variance: float = 0.01, prior_deviation: float = 5.0):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(math.log(variance)))
        self.log_variance = nn.Parameter(torch.tensor(-4.0))
        self.prior_deviation = prior_deviation

    def expected_log_likelihood(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """E over q(τ) of log N(x; reconstruction, e^τ), in closed form (paper, 8 and 10): E e^−τ = e^(−mean + variance / 2): [B],
        nats, summed over all but the batch."""
        precision = torch.exp(-self.mean + 0.5 * self.log_variance.exp())
        error = 0.5 * (x - reconstruction).square() * precision + HALF_LOG_TWO_PI + 0.5 * self.mean
        return -error.flatten(1).sum(1)

    def kl(self, images: int) -> Tensor:
        """KL(q(τ) ‖ p(τ)) / ``images``, nats per image."""
        return parameter_kl(self.mean[None], self.log_variance[None], self.prior_deviation, images)

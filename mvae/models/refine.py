"""Semi-amortised inference (the paper's ASVI, 13): the encoder's posterior of one picture, improved by k steps of gradient
descent on the picture's own −ELBO.

The encoder alone ("amortised") leaves a gap to the best Gaussian of each picture; refining closes part of it (Cremer et al. 2018,
Kim et al. 2018). Used for tighter bounds, better coding, and scores of likelihood regret (Xiao et al. 2020).

Legend: B batch, M noise samples, the same in every step; P latent coordinates. Everything in nats per picture.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvae.errors import OptionError
from mvae.models.mvae import MVAE
from mvae.models.reverse import forward_and_backward
from mvae.objective import HALF_LOG_TWO_PI, gaussian_kl

BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8
"""Of Adam, whose steps these are."""


@dataclass(frozen=True)
class Refined:
    """Posteriors of B pictures."""

    mean: Tensor
    log_variance: Tensor
    before: Tensor
    """−ELBO of the encoder's posterior, [B], nats."""
    after: Tensor
    """−ELBO after the steps, under the same noise, [B], nats. ``before - after`` is what amortisation cost, or part of it."""


class Refinement(nn.Module):
    """Gradient steps on (mean, log-variance), their gradients written out (:mod:`mvae.models.reverse`)."""

    def __init__(
        self, vae: MVAE, steps: int = 10, rate: float = 0.05, variance: float = 0.01, samples: int = 2, seed: int = 0
    ):
        """``variance``: of the Gaussian likelihood of a channel in [0, 1]; ``rate``: of Adam, per coordinate and step;
        ``samples``: pairs of noise and its negative.

        Raises OptionError for numbers out of range.
        """
        super().__init__()
        if steps < 1 or rate <= 0 or variance <= 0 or samples < 1:
            raise OptionError(
                f"refinement with {steps} steps, rate {rate}, variance {variance}, {samples} samples; expected at least 1 "
                "step and sample, and a rate and variance above 0"
            )
        self.vae, self.steps, self.rate, self.variance = vae.eval(), steps, rate, variance
        latent = vae.config.latent
        noise = torch.randn(samples, 1, latent.channels, *latent.shape, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("noise", torch.cat([noise, -noise]), persistent=False)

    def forward(self, image: Tensor, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``image`` [B, 4, S, S], premultiplied, at the decoder's size, and a posterior → that refined, −ELBO before, after."""
        first = [torch.zeros_like(mean), torch.zeros_like(mean)]
        second = [torch.zeros_like(mean), torch.zeros_like(mean)]
        before = None
        for step in range(1, self.steps + 1):
            loss, gradients = self.gradient(image, mean, log_variance)
            before = loss if before is None else before
            moved = []
            for number, (value, gradient) in enumerate(zip((mean, log_variance), gradients, strict=True)):
                first[number] = BETA1 * first[number] + (1 - BETA1) * gradient
                second[number] = BETA2 * second[number] + (1 - BETA2) * gradient * gradient
                slope = first[number] / (1 - BETA1**step)
                size = (second[number] / (1 - BETA2**step)).sqrt() + EPSILON
                moved.append(value - self.rate * slope / size)
            mean, log_variance = moved[0], moved[1].clamp(-10, 2)
        return mean, log_variance, before, self.gradient(image, mean, log_variance)[0]

    def gradient(self, image: Tensor, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """−ELBO [B], and its gradient with respect to mean and log-variance, in closed form but for the decoder's."""
        deviation = torch.exp(0.5 * log_variance)
        z = (mean + deviation * self.noise).flatten(0, 1)  # [2M·B, …], noise after noise
        decoder = self.vae.decoder
        inner, back_trunk = forward_and_backward(decoder.trunk, z)
        drawn, back_tail = forward_and_backward(decoder.tail, inner)
        count = len(self.noise)
        error = drawn + 0.5 - image.repeat(count, 1, 1, 1)
        pulled = back_trunk(back_tail(error / self.variance)).unflatten(0, (count, -1))
        fit = 0.5 * (error * error).flatten(1).sum(1).view(count, -1).mean(0) / self.variance
        pixels = error[0].numel()
        loss = fit + pixels * (HALF_LOG_TWO_PI + 0.5 * math.log(self.variance)) + gaussian_kl(mean, log_variance)
        along_mean = pulled.mean(0) + mean
        along_variance = (pulled * self.noise * deviation).mean(0) * 0.5 + 0.5 * (log_variance.exp() - 1)
        return loss, (along_mean, along_variance)


@torch.no_grad()
def refine(refinement: Refinement, image: Tensor) -> Refined:
    """From pictures [B, 4, S, S], premultiplied, at the size that encoder and decoder share."""
    mean, log_variance = refinement.vae.encoder(image)
    return Refined(*refinement(image, mean, log_variance))

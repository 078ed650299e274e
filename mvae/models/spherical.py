"""Distributions on the unit sphere S^(d-1) in R^d: von Mises-Fisher and Power Spherical, and their divergence from the uniform.

The posteriors of S-VAE (Davidson et al. 2018; De Cao & Aziz 2020). Legend: B batch, d dimension of the space around the sphere.
Densities are with respect to the sphere's surface measure; everything in nats.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Beta, Distribution, constraints, kl_divergence, register_kl
from torch.distributions.utils import broadcast_all
from torch.nn import functional as F

from mvae.errors import DataError

_ONE = torch.Size()
PROPOSALS = 4
"""Of the rejection sampler, drawn at once for every sample; the first that is accepted counts."""
LEAST, MOST = 1e-4, 1e3
"""Floor and ceiling of κ. Below the floor the density is uniform to four digits and its gradient loses all of its own."""


def log_bessel(order: float, x: Tensor) -> Tensor:
    """log I_order(x) for x > 0, by its power series in logarithms (Abramowitz & Stegun 9.6.10), in float64."""
    largest = float(x.max()) if x.numel() else 0.0
    # The largest term is near x / 2, and what is √x terms away from it is e times smaller.
    k = torch.arange(int(largest / 2 + 10 * largest**0.5 + 40), dtype=torch.float64, device=x.device)
    log_half = torch.log(x.double() / 2)[..., None]
    terms = (2 * k + order) * log_half - torch.lgamma(k + 1) - torch.lgamma(k + order + 1)
    return torch.logsumexp(terms, -1)


def mean_resultant_length(dimension: int, concentration: Tensor) -> Tensor:
    """A_d(κ) = I_(d/2)(κ) / I_(d/2−1)(κ): length of the mean of vMF(·, κ) in R^d, in (0, 1), float64. Its own derivative with
    respect to κ is 1 − A² − (d − 1) A / κ, for every d."""
    return _NormaliserAndLength.apply(concentration.double(), dimension)[1]


class _NormaliserAndLength(torch.autograd.Function):
    """log C_d(κ) of the vMF density C_d(κ) exp(κ μᵀx), and A_d(κ); the first's derivative is −A. Together, since a loss needs
    both and their derivatives: two series."""

    @staticmethod
    def forward(ctx, concentration: Tensor, dimension: int) -> tuple[Tensor, Tensor]:
        order = dimension / 2 - 1
        lower, upper = log_bessel(order, concentration), log_bessel(order + 1, concentration)
        length = torch.exp(upper - lower)
        ctx.save_for_backward(concentration, length)
        ctx.dimension = dimension
        return order * torch.log(concentration) - dimension / 2 * math.log(2 * math.pi) - lower, length

    @staticmethod
    def backward(ctx, of_normaliser: Tensor, of_length: Tensor) -> tuple[Tensor, None]:
        concentration, length = ctx.saved_tensors
        slope = 1 - length.square() - (ctx.dimension - 1) * length / concentration
        return of_length * slope - of_normaliser * length, None


def log_surface(dimension: int) -> float:
    """log of the area of the unit sphere in R^d: minus the uniform density's logarithm."""
    return math.log(2) + dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2)


class UniformSphere(Distribution):
    """The prior: every direction alike."""

    arg_constraints: ClassVar[dict] = {}
    support = constraints.real_vector

    def __init__(self, dimension: int, validate_args: bool | None = None):
        self.dimension = dimension
        super().__init__(event_shape=torch.Size((dimension,)), validate_args=validate_args)

    def rsample(self, sample_shape: torch.Size = _ONE) -> Tensor:
        return F.normalize(torch.randn(*sample_shape, self.dimension), dim=-1)

    sample = rsample

    def log_prob(self, value: Tensor) -> Tensor:
        return value.new_full(value.shape[:-1], -log_surface(self.dimension))


class _OnTheSphere(Distribution):
    """A distribution of x that depends on t = μᵀx alone."""

    arg_constraints: ClassVar[dict] = {"loc": constraints.real_vector, "concentration": constraints.positive}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, concentration: Tensor, validate_args: bool | None = None):
        """``loc``: unit vectors [B, d]; ``concentration``: κ [B], kept between :data:`LEAST` and :data:`MOST`.

        Raises :class:`DataError` where the two differ in B.
        """
        if concentration.shape != loc.shape[:-1]:
            raise DataError(f"concentrations {tuple(concentration.shape)}, directions {tuple(loc.shape)}; expected one for each")
        self.loc, self.concentration = loc, concentration.clamp(LEAST, MOST)
        super().__init__(self.concentration.shape, loc.shape[-1:], validate_args=validate_args)

    @property
    def dimension(self) -> int:
        """d."""
        return self.loc.shape[-1]

    @property
    def mean(self) -> Tensor:
        return self.loc * self.mean_length()[..., None].to(self.loc.dtype)

    def rsample(self, sample_shape: torch.Size = _ONE) -> Tensor:
        """t, and a uniform direction across μ; then the reflection that carries the first axis to μ (Ulrich 1984)."""
        shape = torch.Size(sample_shape) + self.batch_shape
        t = self.sample_t(shape)[..., None].to(self.loc.dtype)
        across = F.normalize(torch.randn(*shape, self.dimension - 1, dtype=self.loc.dtype, device=self.loc.device), dim=-1)
        x = torch.cat([t, across * torch.sqrt((1 - t.square()).clamp(min=1e-10))], -1)
        first = torch.zeros_like(self.loc)
        first[..., 0] = 1
        mirror = F.normalize(first - self.loc + 1e-10 * first, dim=-1)
        return x - 2 * (x * mirror).sum(-1, keepdim=True) * mirror


class VonMisesFisher(_OnTheSphere):
    """Density C_d(κ) exp(κ μᵀx). Sampled by Wood's rejection (1994); gradients flow through the accepted proposal, and what they
    leave out is the correction term of Davidson et al. (their equation 20), added by :meth:`correction`."""

    def _normaliser_and_length(self) -> tuple[Tensor, Tensor]:
        return _NormaliserAndLength.apply(self.concentration.double(), self.dimension)

    def log_normaliser(self) -> Tensor:
        """log C_d(κ), [B], float64."""
        return self._normaliser_and_length()[0]

    def log_prob(self, value: Tensor) -> Tensor:
        found = self.log_normaliser() + self.concentration.double() * (value * self.loc).sum(-1).double()
        return found.to(value.dtype)

    def mean_length(self) -> Tensor:
        """A_d(κ), [B]."""
        return self._normaliser_and_length()[1]

    def entropy(self) -> Tensor:
        normaliser, length = self._normaliser_and_length()
        found = -normaliser - self.concentration.double() * length
        return found.to(self.loc.dtype)

    def sample_t(self, shape: torch.Size) -> Tensor:
        """μᵀx by rejection from a transformed Beta, float64. Differentiable with respect to κ for a fixed proposal."""
        d, kappa = self.dimension, self.concentration.double().expand(shape)
        root = torch.sqrt(4 * kappa.square() + (d - 1) ** 2)
        b = (d - 1) / (2 * kappa + root)  # the same as (−2κ + root) / (d − 1), without the difference of equal numbers
        a = (d - 1 + 2 * kappa + root) / 4
        limit = 4 * a * b / (1 + b) - (d - 1) * math.log(d - 1)
        with torch.no_grad():
            epsilon = torch.zeros_like(kappa)
            waiting = torch.ones_like(kappa, dtype=torch.bool)
            half = kappa.new_tensor((d - 1) / 2)
            beta = Beta(half, half, validate_args=False)
            while waiting.any():
                proposal = beta.sample((PROPOSALS, *kappa.shape))
                t = 2 * a * b / (1 - (1 - b) * proposal)
                kept = (d - 1) * t.log() - t + limit >= torch.rand_like(t).log()
                first = proposal.gather(0, kept.int().argmax(0, keepdim=True))[0]
                epsilon = torch.where(waiting & kept.any(0), first, epsilon)
                waiting = waiting & ~kept.any(0)
        return (1 - (1 + b) * epsilon) / (1 - (1 - b) * epsilon)

    def correction(self, value: Tensor) -> Tensor:
        """log of density over proposal at samples ``value`` [B, d], as a function of κ for the accepted proposals: [B].

        E ∇f = E ∇f(sample) + E f ∇correction (Naesseth et al. 2017, 8; Davidson et al. 2018, 20): the second part is what the
        path through an accepted proposal leaves out.
        """
        d, kappa = self.dimension, self.concentration.double()
        root = torch.sqrt(4 * kappa.square() + (d - 1) ** 2)
        b = (d - 1) / (2 * kappa + root)
        seen = (value.detach() * self.loc.detach()).sum(-1).double().clamp(-1 + 1e-12, 1 - 1e-12)
        epsilon = ((1 - seen) / (1 + b - (1 - b) * seen)).detach()
        below = 1 - (1 - b) * epsilon
        t = (1 - (1 + b) * epsilon) / below
        density = self.log_normaliser() + kappa * t + 0.5 * (d - 3) * torch.log((1 - t.square()).clamp(min=1e-12))
        return (density + torch.log(2 * b) - 2 * torch.log(below)).to(value.dtype)


class PowerSpherical(_OnTheSphere):
    """Density N_d(κ) (1 + μᵀx)^κ (De Cao & Aziz 2020): no Bessel functions, no rejection, exact gradients."""

    def _shape(self) -> tuple[Tensor, float]:
        beta = (self.dimension - 1) / 2
        return self.concentration.double() + beta, beta

    def log_normaliser(self) -> Tensor:
        """log N_d(κ), [B], float64."""
        alpha, beta = self._shape()
        return -((alpha + beta) * math.log(2) + beta * math.log(math.pi) + torch.lgamma(alpha) - torch.lgamma(alpha + beta))

    def log_prob(self, value: Tensor) -> Tensor:
        t = (value * self.loc).sum(-1).double().clamp(min=-1 + 1e-12)
        return (self.log_normaliser() + self.concentration.double() * torch.log1p(t)).to(value.dtype)

    def mean_length(self) -> Tensor:
        alpha, beta = self._shape()
        return (alpha - beta) / (alpha + beta)

    def entropy(self) -> Tensor:
        alpha, beta = self._shape()
        expected = math.log(2) + torch.digamma(alpha) - torch.digamma(alpha + beta)
        return (-self.log_normaliser() - self.concentration.double() * expected).to(self.loc.dtype)

    def sample_t(self, shape: torch.Size) -> Tensor:
        """μᵀx = 2 Beta(α, β) − 1, reparameterised."""
        alpha, beta = self._shape()
        alpha, beta = broadcast_all(alpha.expand(shape), torch.tensor(beta, dtype=torch.float64))
        return 2 * Beta(alpha, beta).rsample() - 1


@register_kl(VonMisesFisher, UniformSphere)
@register_kl(PowerSpherical, UniformSphere)
def _kl_to_uniform(posterior: VonMisesFisher | PowerSpherical, prior: UniformSphere) -> Tensor:
    return -posterior.entropy() + log_surface(prior.dimension)


__all__ = ["PowerSpherical", "UniformSphere", "VonMisesFisher", "kl_divergence", "mean_resultant_length"]

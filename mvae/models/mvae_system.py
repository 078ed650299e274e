"""The mVAE as one of the nine systems, on the backbone that all of them share: a Gaussian VAE whose tokens are quantiles of its
own prior (:mod:`mvae.models.quantile`), held at a rate in nats, and, for a smaller one, distilled from a larger one.

Legend: B batch, D latent dimension, L levels, C coordinates of a token, P = D / C tokens.
"""

import math

import torch
from torch import Tensor

from mvae.errors import OptionError
from mvae.models.quantile import cell_index, cells_to_tokens, latent_table, quantise_straight_through
from mvae.models.system import System, SystemConfig
from mvae.objective import gaussian_kl, latent_distillation

GAIN = 0.02
"""How fast log β follows a KL that is off by its whole target, per step."""


class MvaeSystem(System):
    """−E log p(x | z) + β KL, β moved toward a KL of ``rate_nats`` (paper, 2.6 and 30); a share of the images is decoded from
    z ~ q, the others from the tokens, and all of them, the encoder standing still, in the last calls."""

    name = "mvae"

    def __init__(self, config: SystemConfig, levels: int = 32, coordinates: int = 2, rate_nats: float | None = None,
                 noisy_share: float = 0.25, steps: int | None = None, exact_from: float = 0.8,
                 teacher: "MvaeSystem | None" = None, distillation: float = 1.0, matching: float = 1.0):
        """``rate_nats``: nats per image, by default nine tenths of what the tokens carry, D ln L. ``steps``: calls of
        :meth:`loss` in training of which the part from ``exact_from`` on is on exact tokens alone; None: none is.
        ``teacher``: a larger system of the same latent, whose posterior and pictures are learned with the weights
        ``distillation`` (paper, 19) and ``matching`` (20).

        Raises OptionError for numbers out of range or a teacher with another latent.
        """
        super().__init__(config)
        tokens = levels >= 2 and coordinates >= 1 and config.latent % coordinates == 0
        if not tokens or not 0 <= noisy_share <= 1 or (steps is not None and steps < 1):
            raise OptionError(
                f"{levels} levels, {coordinates} coordinates of {config.latent}, noisy share {noisy_share}, {steps} steps; "
                "expected at least 2 levels, coordinates that divide the latent, a share of 0 to 1 and at least 1 step"
            )
        if teacher is not None and (teacher.config.latent, teacher.levels) != (config.latent, levels):
            raise OptionError(
                f"a teacher with latent {teacher.config.latent} in {teacher.levels} levels; expected {config.latent}, {levels}"
            )
        self.levels, self.coordinates, self.noisy_share = levels, coordinates, noisy_share
        self.rate_nats = 0.9 * config.latent * math.log(levels) if rate_nats is None else rate_nats
        self.steps, self.exact_from, self.calls, self.log_beta = steps, exact_from, 0, 0.0
        self.distillation, self.matching = distillation, matching
        self.taught = [] if teacher is None else [teacher.eval().requires_grad_(False)]
        self.register_buffer("table", latent_table(levels, coordinates), persistent=False)

    @property
    def positions(self) -> int:
        """P, tokens per image."""
        return self.config.latent // self.coordinates

    @property
    def codebook(self) -> int:
        """Distinct tokens, L**C."""
        return self.levels**self.coordinates

    def _exact(self) -> bool:
        return self.training and self.steps is not None and self.calls >= self.exact_from * self.steps

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """``distortion`` and ``rate``; with a teacher ``distillation``, KL(q_teacher ‖ q), and ``matching``, half the squared
        distance of the pictures in units of the likelihood's variance."""
        teacher = self.taught[0] if self.taught else None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not (self._exact() and teacher is None)):
            posterior = self.posterior(x)
        normal = posterior.base_dist
        mean, log_variance = normal.loc, 2 * normal.scale.log()
        if teacher is not None:
            with torch.no_grad():
                wanted = teacher.posterior(x).base_dist
                tokens = teacher.tokens(wanted.loc)
                z = self.latents(tokens)
                drawn = teacher.likelihood.mean(teacher.generator(z))
        elif self.training:
            noisy = torch.rand(len(x), 1, device=x.device) < (0.0 if self._exact() else self.noisy_share)
            z = torch.where(noisy, normal.rsample(), quantise_straight_through(mean, self.levels))
        else:
            z = normal.rsample()
        said = self.generator(z)
        found = {"distortion": -self.likelihood.log_prob(x, said), "rate": gaussian_kl(mean, log_variance)}
        if teacher is not None:
            found["distillation"] = latent_distillation(wanted.loc, 2 * wanted.scale.log(), mean, log_variance)
            gap = (self.likelihood.mean(said) - drawn).square().flatten(1).sum(1)
            found["matching"] = 0.5 * gap / self.likelihood.variance
        return found

    def weights(self) -> dict[str, float]:
        if self.taught:
            return {"distortion": 1.0, "rate": 0.0, "distillation": self.distillation, "matching": self.matching}
        return {"distortion": 1.0, "rate": 0.0 if self._exact() else math.exp(self.log_beta)}

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        found = super().loss(x)
        if self.training:
            self.calls += 1
            if not self._exact() and not self.taught:
                off = found[1]["rate"].detach().mean().item() / self.rate_nats - 1
                self.log_beta = min(3.0, max(-7.0, self.log_beta + GAIN * max(-1.0, min(1.0, off))))
        return found

    def tokens(self, mean: Tensor) -> Tensor:
        """[B, D] → int64 [B, P] in 0 … L**C − 1: token p holds the cells of coordinates p C … p C + C − 1."""
        cells = cell_index(mean, self.levels).reshape(-1, self.positions, self.coordinates)
        return cells_to_tokens(cells.transpose(1, 2)[..., None], self.levels)

    def latents(self, tokens: Tensor) -> Tensor:
        """int64 [B, P] → the cells' medians [B, D]."""
        return self.table[tokens].flatten(1)

    def encode(self, x: Tensor) -> Tensor:
        """Images → tokens."""
        return self.tokens(self.features(x))

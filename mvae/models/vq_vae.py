"""VQ-VAE (van den Oord et al. 2017, arXiv 1711.00937): a grid of vectors, each replaced by the nearest of a codebook;
reconstruction, codebook and commitment loss. Codes that nobody uses begin again at a vector of the batch.

Legend: B batch, D channels of the grid, h × h its places, V codes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.errors import OptionError
from mvae.models.backbones import body, generator
from mvae.models.fast_layers import FastDoubling
from mvae.models.system import Likelihood, SystemConfig
from mvae.objective import weighted_sum

SHARED_GRID = 4
"""Places a side of the grid on the other systems' backbone."""


class Quantised(nn.Module):
    """The codebook."""

    def __init__(self, codes: int, dimension: int, restart_after: int = 200):
        """``restart_after``: calls in training after which a code that has not been used is replaced."""
        super().__init__()
        self.codes = nn.Parameter(torch.empty(codes, dimension).uniform_(-1 / codes, 1 / codes))
        self.register_buffer("idle", torch.zeros(codes, dtype=torch.long))
        self.restart_after = restart_after

    def nearest(self, grid: Tensor) -> Tensor:
        """[B, D, h, h] → indices int64 [B, h, h]."""
        # |code|² − 2 code·place, less what is the same for all codes; as a convolution its graph leaves the batch open.
        return F.conv2d(grid, -2 * self.codes[:, :, None, None], self.codes.square().sum(1)).argmin(1)

    def vectors(self, indices: Tensor) -> Tensor:
        """int64 [B, h, h] → [B, D, h, h]."""
        return F.embedding(indices, self.codes).permute(0, 3, 1, 2)

    def forward(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest vectors, and their indices."""
        indices = self.nearest(grid.detach())
        if self.training:
            self._restart(grid.detach(), indices)
        return self.vectors(indices), indices

    @torch.no_grad()
    def _restart(self, grid: Tensor, indices: Tensor) -> None:
        used = torch.bincount(indices.flatten(), minlength=len(self.codes)) > 0
        self.idle = torch.where(used, 0, self.idle + 1)
        dead = (self.idle >= self.restart_after).nonzero()[:, 0]
        if len(dead):
            flat = grid.permute(0, 2, 3, 1).flatten(0, 2)
            self.codes[dead] = flat[torch.randint(len(flat), (len(dead),), device=flat.device)]
            self.idle[dead] = 0


class VqVae(nn.Module):
    """Convolutions to a grid of a quarter of the side, as published, or ``shared``: the backbone of the other systems, and a grid
    of 4 × 4. The prior over codes is learned afterwards."""

    name = "vq_vae"

    def __init__(self, config: SystemConfig, codes: int = 512, commitment: float = 0.25, hidden: int = 128, shared: bool = False,
                 bf16: bool = False):
        """``config.latent``: channels of the grid. ``bf16``: in training the layers calculate in bfloat16, with float32 weights;
        codes and losses are float32 either way. Raises OptionError for numbers out of range."""
        super().__init__()
        if codes < 2 or commitment < 0:
            raise OptionError(f"{codes} codes, commitment {commitment}; expected at least 2 and none below 0")
        self.config, self.commitment, self.bf16 = config, commitment, bf16
        self.codebook, self.likelihood = Quantised(codes, config.latent), Likelihood(config)
        self.grid_side = SHARED_GRID if shared else config.side // 4
        """h."""
        if shared:
            size, sides = config.latent * SHARED_GRID**2, (config.channels, config.side, config.width, config.layers)
            self.body = nn.Sequential(
                body(config.backbone, *sides, config.hidden), nn.Linear(config.width, size),
                nn.Unflatten(1, (config.latent, SHARED_GRID, SHARED_GRID)),
            )
            self.generator = nn.Sequential(nn.Flatten(), generator(config.backbone, size, *sides, config.hidden))
            return
        self.body = nn.Sequential(
            nn.Conv2d(config.channels, hidden // 2, 4, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(hidden // 2, hidden, 4, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 3, padding=1), Residual(hidden), Residual(hidden), nn.ReLU(inplace=True),
            nn.Conv2d(hidden, config.latent, 1),
        )
        self.generator = nn.Sequential(
            nn.Conv2d(config.latent, hidden, 3, padding=1), Residual(hidden), Residual(hidden), nn.ReLU(inplace=True),
            FastDoubling(hidden, hidden // 2), nn.ReLU(inplace=True), FastDoubling(hidden // 2, config.channels),
        )

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """``codebook``: codes move to the grid; ``commitment``: the grid moves to its codes; both squared distances, [B]."""
        # Channels last in memory: so are the vectors of the codebook, and CPUs convolve such images faster.
        grid = self._mixed(self.body, x.to(memory_format=torch.channels_last))
        quantised, _ = self.codebook(grid)
        passed = grid + (quantised - grid).detach()
        return {
            "distortion": -self.likelihood.log_prob(x, self._mixed(self.generator, passed)),
            "codebook": (quantised - grid.detach()).square().flatten(1).sum(1),
            "commitment": (grid - quantised.detach()).square().flatten(1).sum(1),
        }

    def _mixed(self, layers: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and self.training):
            return layers(x).float()

    def weights(self) -> dict[str, float]:
        return {"distortion": 1.0, "codebook": 1.0, "commitment": self.commitment}

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimised, and its terms."""
        terms = self.terms(x)
        return weighted_sum(terms, self.weights()), terms

    def encode(self, x: Tensor) -> Tensor:
        """Images → codes, int64 [B, h, h]."""
        return self.codebook.nearest(self.body(x))

    def decode(self, indices: Tensor) -> Tensor:
        """Codes → expected images, in [0, 1]."""
        return self.likelihood.mean(self.generator(self.codebook.vectors(indices)))

    def decode_near(self, z: Tensor) -> Tensor:
        """Any vectors of the grid, flat [B, D · h · h], by the codes nearest to them."""
        return self.decode(self.codebook.nearest(z.reshape(-1, self.config.latent, self.grid_side, self.grid_side)))

    def features(self, x: Tensor) -> Tensor:
        """[B, D · h · h]: the quantised grid, flat."""
        return self.codebook.vectors(self.encode(x)).flatten(1)


class Residual(nn.Module):
    """x + 1×1(relu(3×3(relu(x))))."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width // 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(width // 4, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)

"""VQ-VAE with several codes a place, as published for CIFAR-10 (8 × 8 × 10): the channels of a place are cut into groups, each
replaced by the nearest code of one common codebook.

Legend: B batch, D channels of a group, G groups, h × h places.
"""

import torch
from torch import Tensor, nn

from mvae.errors import OptionError
from mvae.models.system import SystemConfig
from mvae.models.vq_vae import Quantised, VqVae


class Grouped(nn.Module):
    """A codebook for [B, G · D, h, h]; indices are [B, G, h, h]."""

    def __init__(self, codebook: Quantised, groups: int):
        super().__init__()
        self.codebook, self.groups = codebook, groups

    @property
    def codes(self) -> Tensor:
        """The common codebook, [V, D]."""
        return self.codebook.codes

    def nearest(self, grid: Tensor) -> Tensor:
        """→ indices int64 [B, G, h, h]."""
        return self.codebook.nearest(self._apart(grid)).unflatten(0, (-1, self.groups))

    def vectors(self, indices: Tensor) -> Tensor:
        """→ [B, G · D, h, h]."""
        return self._together(self.codebook.vectors(indices.flatten(0, 1)))

    def forward(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest vectors, and their indices."""
        found, indices = self.codebook(self._apart(grid))
        return self._together(found), indices.unflatten(0, (-1, self.groups))

    def _apart(self, grid: Tensor) -> Tensor:
        return grid.unflatten(1, (self.groups, -1)).flatten(0, 1)

    def _together(self, grid: Tensor) -> Tensor:
        return grid.unflatten(0, (-1, self.groups)).flatten(1, 2)


def vq_vae(config: SystemConfig, codes: int = 512, hidden: int = 256, groups: int = 1) -> VqVae:
    """``config.latent``: channels of all groups together. Every code that the first batch leaves unused begins at one of its
    vectors. Raises :class:`OptionError` where the channels cannot be cut into ``groups``."""
    if groups < 1 or config.latent % groups:
        raise OptionError(f"{config.latent} channels in {groups} groups; expected a multiple of at least 1 group")
    system = VqVae(config, codes=codes, hidden=hidden)
    codebook = Quantised(codes, config.latent // groups)
    codebook.idle += torch.tensor(codebook.restart_after)
    system.codebook = Grouped(codebook, groups) if groups > 1 else codebook
    return system

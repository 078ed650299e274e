"""The two halves of a system as they are exported: image → latent, latent → image.

Legend: B batch, C channels, S side, D latent dimension.
"""

import torch
from torch import Tensor, nn

from mvae.models.system import System
from mvae.models.vq_vae import VqVae


class SystemEncoder(nn.Module):
    """Images [B, C, S, S] in [0, 1] → the latents that stand for them [B, D]."""

    def __init__(self, system: System | VqVae):
        super().__init__()
        self.system = system

    def forward(self, image: Tensor) -> Tensor:
        return self.system.features(image)


class SystemDecoder(nn.Module):
    """Latents [B, D] → expected images [B, C, S, S] in [0, 1]; systems with codes snap to the nearest ones."""

    def __init__(self, system: System | VqVae):
        super().__init__()
        self.system = system

    def forward(self, latent: Tensor) -> Tensor:
        if isinstance(self.system, VqVae):
            return self.system.decode_near(latent)
        return self.system.decode(latent)


@torch.no_grad()
def latents_of(system: System | VqVae, images: Tensor, chunk: int = 1000) -> Tensor:
    """[N, D]: the latents of float images [N, C, S, S]."""
    return torch.cat([system.features(part) for part in images.split(chunk)])

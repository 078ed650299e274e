"""The two halves of a system as they are exported: image → latent, latent → image.

Legend: B batch, C channels, S side, D latent dimension, T text pieces, t tokens so far, V codebook.
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


class WordsLogits(nn.Module):
    """Ids and mask int64 [B, T], tokens int64 [B, t] → logits [B, t, V], without a cache: there are few tokens."""

    def __init__(self, words: nn.Module):
        super().__init__()
        self.words = words

    def forward(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        return self.words(ids, mask, tokens)


@torch.no_grad()
def latents_of(system: System | VqVae, images: Tensor, chunk: int = 1000) -> Tensor:
    """[N, D]: the latents of float images [N, C, S, S]."""
    return torch.cat([system.features(part) for part in images.split(chunk)])

"""The two VAE graphs exactly as they are exported: uint8 pixels and int64 tokens outside, everything else folded inside."""

import torch
from torch import Tensor, nn

from mvae.models.mvae import MVAE


class EncoderGraph(nn.Module):
    """``image`` uint8 [B, S, S, 4], straight alpha → ``tokens`` int64 [B, P]; ``mean``, ``log_variance`` float [B, C, h, w]."""

    def __init__(self, vae: MVAE):
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pixels = image.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)
        premultiplied = torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)
        mean, log_variance = self.vae.encoder(premultiplied)
        return self.vae.tokens_from_mean(mean), mean, log_variance


class DecoderGraph(nn.Module):
    """``tokens`` int64 [B, P], mask token allowed → ``image`` uint8 [B, S, S, 4], straight alpha."""

    def __init__(self, vae: MVAE):
        super().__init__()
        self.vae = vae

    def forward(self, tokens: Tensor) -> Tensor:
        return straight_pixels(self.vae.decoder(self.vae.latents_from_tokens(tokens)).clamp(0, 1))


def straight_pixels(image: Tensor) -> Tensor:
    """Premultiplied float [B, 4, S, S] in [0, 1] → straight alpha, uint8 [B, S, S, 4]."""
    alpha = image[:, 3:]
    # Where almost nothing is seen the colour is undefined: dividing by at least one level keeps it finite.
    straight = (image[:, :3] / alpha.clamp(min=1 / 255)).clamp(0, 1)
    return (torch.cat([straight, alpha], 1) * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1)

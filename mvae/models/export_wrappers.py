"""The two VAE graphs exactly as they are exported: uint8 pixels and int64 tokens outside, everything else folded inside."""

import torch
from torch import Tensor, nn

from mvae.errors import DataError
from mvae.models.mvae import MVAE
from mvae.models.refine import Refinement


class EncoderGraph(nn.Module):
    """``image`` uint8 [B, S, S, 4], straight alpha → ``tokens`` int64 [B, P]; ``mean``, ``log_variance`` float [B, C, h, w]."""

    def __init__(self, vae: MVAE):
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.vae.encoder(premultiplied_pixels(image))
        return self.vae.tokens_from_mean(mean), mean, log_variance


class RefinedEncoderGraph(nn.Module):
    """``image`` uint8 [1, S, S, 4], straight alpha → ``tokens`` of the refined posterior (:mod:`mvae.models.refine`), its
    ``mean`` and
    ``log_variance``, and −ELBO ``before`` and ``after``, [1], nats. For VAEs that draw pictures as large as they read."""

    def __init__(self, refinement: Refinement):
        """Raises :class:`DataError` where the decoder draws another size than the encoder reads."""
        super().__init__()
        config = refinement.vae.config
        if config.sticker_size != config.image_size:
            raise DataError(f"refinement reads {config.image_size} px and draws {config.sticker_size}; expected one size")
        self.refinement = refinement

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        pixels, vae = premultiplied_pixels(image), self.refinement.vae
        mean, log_variance, before, after = self.refinement(pixels, *vae.encoder(pixels))
        return vae.tokens_from_mean(mean), mean, log_variance, before, after


class DecoderGraph(nn.Module):
    """``tokens`` int64 [B, P], mask token allowed → ``image`` uint8 [B, S, S, 4], straight alpha."""

    def __init__(self, vae: MVAE):
        super().__init__()
        self.vae = vae

    def forward(self, tokens: Tensor) -> Tensor:
        return straight_pixels(self.vae.decoder(self.vae.latents_from_tokens(tokens)).clamp(0, 1))


def premultiplied_pixels(image: Tensor) -> Tensor:
    """Straight alpha, uint8 [B, S, S, 4] → premultiplied float [B, 4, S, S] in [0, 1]."""
    pixels = image.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)
    return torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)


def straight_pixels(image: Tensor) -> Tensor:
    """Premultiplied float [B, 4, S, S] in [0, 1] → straight alpha, uint8 [B, S, S, 4]."""
    alpha = image[:, 3:]
    # Where almost nothing is seen the colour is undefined: dividing by at least one level keeps it finite.
    straight = (image[:, :3] / alpha.clamp(min=1 / 255)).clamp(0, 1)
    return (torch.cat([straight, alpha], 1) * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1)

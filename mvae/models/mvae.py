"""The mVAE: a Gaussian VAE on a small grid of latents whose prior quantiles are the seq2seq's tokens.

Legend: B batch, S image side, C latent coordinates of a grid position, h and w rows and columns of the grid. Images are
premultiplied RGBA in [0, 1], [B, 4, S, S]; what is decoded may have another side.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mvae.config import VaeConfig
from mvae.errors import DataError
from mvae.models.blocks import Size, conv_norm, stage
from mvae.models.quantile import cell_index, cells_to_tokens, latent_table, quantise_straight_through


def resolutions(config: VaeConfig, count: int, side: int) -> list[Size]:
    """Feature-map sizes of ``count`` stages from the grid up to ``side`` / patch: doubled until they meet it.

    Raises :class:`DataError` where they don't meet it.
    """
    full = side // config.patch
    sizes = [tuple(min(side * 2**number, full) for side in config.latent.shape) for number in range(count)]
    if config.patch not in (2, 4, 8) or not sizes or sizes[-1] != (full, full):
        raise DataError(
            f"{count} stages from a grid of {config.latent.shape} reach {sizes[-1] if sizes else None}, expected {full}×{full}: "
            f"{side} px with patch {config.patch}, which is 2, 4 or 8"
        )
    return sizes


def hidden_widths(widths: Sequence[int], blocks: Sequence[int], hidden: Sequence[int]) -> list[list[int]]:
    """Channels inside the residual blocks of every stage: the stage's own, or those in ``hidden``, block after block.

    Raises :class:`DataError` where ``hidden`` is given for another number of blocks.
    """
    given = list(hidden) or [width for width, count in zip(widths, blocks, strict=True) for _ in range(count)]
    if len(given) != sum(blocks):
        raise DataError(f"hidden widths {tuple(hidden)} for {sum(blocks)} residual blocks; expected one for each")
    ends = list(itertools.accumulate(blocks))
    return [given[end - count : end] for end, count in zip(ends, blocks, strict=True)]


class Encoder(nn.Module):
    """Images [B, 4, S, S] → posterior (mean, log_variance), each [B, C, h, w]; log_variance is kept within [-10, 2]."""

    def __init__(self, config: VaeConfig):
        super().__init__()
        widths, blocks = config.encoder_widths, config.encoder_blocks
        sizes = resolutions(config, len(widths), config.image_size)[::-1]
        layers: list[nn.Module] = [nn.PixelUnshuffle(config.patch)]
        channels, source = 4 * config.patch**2, sizes[0]
        inner = hidden_widths(widths, blocks, config.encoder_hidden)
        for width, hidden, size in zip(widths, inner, sizes, strict=True):
            layers.append(stage(channels, width, hidden, source=source, size=size, shortcuts=config.shortcuts))
            channels, source = width, size
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Conv2d(channels, 2 * config.latent.channels, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.head(self.trunk(2 * image - 1)).float().chunk(2, 1)
        return mean, torch.clamp(log_variance - 2, -10, 2)


class Decoder(nn.Module):
    """Latents [B, C, h, w] → images [B, 4, S, S], **not** clamped: losses want gradients outside [0, 1] too."""

    def __init__(self, config: VaeConfig):
        super().__init__()
        widths, blocks = config.decoder_widths, config.decoder_blocks
        sizes = resolutions(config, len(widths), config.sticker_size)
        layers: list[nn.Module] = []
        channels, source = config.latent.channels, sizes[0]
        inner = hidden_widths(widths, blocks, config.decoder_hidden)
        for width, hidden, size in zip(widths, inner, sizes, strict=True):
            layers.append(stage(channels, width, hidden, source=source, size=size, shortcuts=config.shortcuts))
            channels, source = width, size
        self.trunk = nn.Sequential(*layers)
        # Two thin pixel shuffles reach full resolution: the last convolutions run at half of it or less. BatchNorm comes
        # before the shuffle because it folds into a convolution but not across a shuffle.
        half = config.decoder_tail or max(channels // 2, 8)
        self.tail = nn.Sequential(
            conv_norm(channels, 4 * half), nn.ReLU(inplace=True), nn.PixelShuffle(2),
            nn.Conv2d(half, 4 * (config.patch // 2) ** 2, 3, padding=1), nn.PixelShuffle(config.patch // 2),
        )

    def forward(self, latents: Tensor) -> Tensor:
        return self.tail(self.trunk(latents)).float() + 0.5


class MVAE(nn.Module):
    """Encoder, quantiser and decoder over one :class:`VaeConfig`.

    Raises :class:`DataError` where the resolutions of the configuration do not meet.
    """

    def __init__(self, config: VaeConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("table", latent_table(config.levels, config.coordinates), persistent=False)

    def quantise(self, mean: Tensor) -> Tensor:
        """Posterior means → cell medians ẑ of the same shape, straight-through in u (see :mod:`mvae.models.quantile`)."""
        return quantise_straight_through(mean, self.config.levels)

    def tokens_from_mean(self, mean: Tensor) -> Tensor:
        """[B, C, h, w] → int64 [B, positions] in 0 … L**C-1."""
        return cells_to_tokens(cell_index(mean, self.config.levels), self.config.levels, self.config.depth)

    def latents_from_tokens(self, tokens: Tensor) -> Tensor:
        """int64 [B, positions] (mask token allowed) → ẑ [B, C, h, w]."""
        latent = self.config.latent
        places = self.table[tokens].reshape(-1, latent.shape[0] * latent.shape[1], latent.channels)
        return places.transpose(1, 2).reshape(-1, latent.channels, *latent.shape)

    @torch.no_grad()
    def encode_tokens(self, image: Tensor) -> Tensor:
        """Premultiplied images → tokens."""
        return self.tokens_from_mean(self.encoder(image)[0])

    @torch.no_grad()
    def decode_tokens(self, tokens: Tensor) -> Tensor:
        """Tokens → premultiplied images, clamped to [0, 1] with colour never above alpha."""
        image = self.decoder(self.latents_from_tokens(tokens)).clamp(0, 1)
        return torch.cat([torch.minimum(image[:, :3], image[:, 3:]), image[:, 3:]], 1)

    def forward(self, image: Tensor, noisy: Tensor) -> dict[str, Tensor]:
        """Everything a loss needs, by name. ``noisy`` [B] (bool) chooses per image between z ~ q(z|x) and the token's ẑ."""
        mean, log_variance = self.encoder(image)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        latents = torch.where(noisy[:, None, None, None], z, self.quantise(mean))
        return {"reconstruction": self.decoder(latents), "mean": mean, "log_variance": log_variance}


def capacity_nats(config: VaeConfig) -> float:
    """What the tokens of one image can carry at most: positions · coordinates · ln L nats."""
    return config.latent.positions * config.coordinates * math.log(config.levels)

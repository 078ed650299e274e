"""Building blocks that stay int8 end to end: Conv + BatchNorm + ReLU, nearest upsampling, pixel shuffles; no attention, no
transposed convolution, no group normalisation. BatchNorm folds into the convolution before it when a graph is exported."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, *, stride: int | tuple[int, int] = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution without bias, then BatchNorm (which brings the bias)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class ResidualBlock(nn.Module):
    """relu(x + f(x)) with two 3×3 convolutions, ``hidden`` channels between them. The second BatchNorm starts at zero, so that a
    fresh block is the identity."""

    def __init__(self, width: int, hidden: int | None = None):
        super().__init__()
        self.first = conv_norm(width, hidden or width)
        self.second = conv_norm(hidden or width, width)
        self.activation = nn.ReLU(inplace=True)
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.second(self.activation(self.first(x))))


def channel_groups(block: ResidualBlock) -> Tensor:
    """Every weight that goes when one of a block's inner channels goes, [hidden, …]: what leads to it, scaled as BatchNorm scales
    it, and what leads from it. A group lasso over these drives whole channels to zero."""
    before = block.first[0].weight.flatten(1) * block.first[1].weight[:, None]
    after = block.second[0].weight.transpose(0, 1).flatten(1)
    return torch.cat([before, after, block.first[1].bias[:, None]], 1)


FAINT = 0.02


def faint_rows(group: Tensor) -> Tensor:
    """bool [hidden]: channels whose weights are less than :data:`FAINT` of the strongest channel's (by their norms)."""
    norms = group.norm(dim=1)
    return norms < FAINT * norms.max()


class Shortcut(nn.Module):
    """relu(f(x) + s(x)): a change of resolution by 2 with a way round its convolutions, as in Chen et al. 2024 ("Deep compression
    autoencoder"), space to channels going down, channels to space going up.

    Where they average groups of channels or repeat channels, s has a 1×1 convolution that begins as just that.
    """

    def __init__(self, body: nn.Module, inputs: int, width: int, *, up: bool):
        super().__init__()
        self.body, self.activation = body, nn.ReLU(inplace=True)
        rows, columns = (4 * width, inputs) if up else (width, 4 * inputs)
        mix = nn.Conv2d(columns, rows, 1, bias=False)
        # Row r of the larger side belongs to entry r · smaller / larger of the smaller one.
        place = torch.arange(max(rows, columns)) * min(rows, columns) // max(rows, columns)
        near = nn.functional.one_hot(place, min(rows, columns)).float()
        weight = near if rows >= columns else (near / near.sum(0)).T
        mix.weight.data.copy_(weight[:, :, None, None])
        self.shortcut = nn.Sequential(mix, nn.PixelShuffle(2)) if up else nn.Sequential(nn.PixelUnshuffle(2), mix)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


Size = tuple[int, int]
"""Rows and columns of a feature map."""


def stage(
    inputs: int, width: int, hidden: Sequence[int], *, source: Size, size: Size, shortcuts: bool = False
) -> nn.Sequential:
    """From ``source`` to ``size``, then a 3×3 convolution into ``width`` channels, then residual blocks, one for each number of
    ``hidden`` channels.

    Whole factors down are strides, whole factors up nearest neighbours; other sizes (a grid that does not divide the image)
    are interpolated bilinearly. ``shortcuts``: changes by 2 get a :class:`Shortcut`.
    """
    layers: list[nn.Module] = []
    stride = (1, 1)
    if all(a % b == 0 for a, b in zip(source, size, strict=True)):
        stride = (source[0] // size[0], source[1] // size[1])
    elif all(b % a == 0 for a, b in zip(source, size, strict=True)):
        layers.append(nn.Upsample(scale_factor=(size[0] / source[0], size[1] / source[1]), mode="nearest"))
    else:
        layers.append(nn.Upsample(size=size, mode="bilinear"))
    layers.append(conv_norm(inputs, width, stride=stride))
    up = all(b == 2 * a for a, b in zip(source, size, strict=True))
    if shortcuts and (up or stride == (2, 2)):
        layers = [Shortcut(nn.Sequential(*layers), inputs, width, up=up)]
    else:
        layers.append(nn.ReLU(inplace=True))
    layers += [ResidualBlock(width, inner) for inner in hidden]
    return nn.Sequential(*layers)

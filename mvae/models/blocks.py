"""Building blocks that stay int8 end to end: Conv + BatchNorm + ReLU, nearest upsampling, pixel shuffles; no attention, no
transposed convolution, no group normalisation. BatchNorm folds into the convolution before it when a graph is exported."""

from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, *, stride: int | tuple[int, int] = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution without bias, then BatchNorm (which brings the bias)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class ResidualBlock(nn.Module):
    """relu(x + f(x)) with two 3×3 convolutions. The second BatchNorm starts at zero, so that a fresh block is the identity."""

    def __init__(self, width: int):
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = conv_norm(width, width)
        self.activation = nn.ReLU(inplace=True)
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.second(self.activation(self.first(x))))


Size = tuple[int, int]
"""Rows and columns of a feature map."""


def stage(inputs: int, width: int, blocks: int, *, source: Size, size: Size) -> nn.Sequential:
    """From ``source`` to ``size``, then a 3×3 convolution into ``width`` channels, then residual blocks.

    Whole factors down are strides, whole factors up nearest neighbours; other sizes (a grid that does not divide the image)
    are interpolated bilinearly.
    """
    layers: list[nn.Module] = []
    stride = (1, 1)
    if all(a % b == 0 for a, b in zip(source, size, strict=True)):
        stride = (source[0] // size[0], source[1] // size[1])
    elif all(b % a == 0 for a, b in zip(source, size, strict=True)):
        layers.append(nn.Upsample(scale_factor=(size[0] / source[0], size[1] / source[1]), mode="nearest"))
    else:
        layers.append(nn.Upsample(size=size, mode="bilinear"))
    layers += [conv_norm(inputs, width, stride=stride), nn.ReLU(inplace=True)]
    layers += [ResidualBlock(width) for _ in range(blocks)]
    return nn.Sequential(*layers)

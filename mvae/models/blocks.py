"""Building blocks that stay int8 end to end: Conv + BatchNorm + ReLU, nearest upsampling, pixel shuffles; no attention, no
transposed convolution, no group normalisation. BatchNorm folds into the convolution before it when a graph is exported."""

from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
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


def stage(inputs: int, width: int, blocks: int, *, resample: str | None = None) -> nn.Sequential:
    """One resolution: a 3×3 convolution into ``width`` channels, then residual blocks.

    ``resample`` halves (``"down"``, strided convolution) or doubles (``"up"``, nearest neighbour) the resolution first.
    """
    layers: list[nn.Module] = [nn.Upsample(scale_factor=2, mode="nearest")] if resample == "up" else []
    layers += [conv_norm(inputs, width, stride=2 if resample == "down" else 1), nn.ReLU(inplace=True)]
    layers += [ResidualBlock(width) for _ in range(blocks)]
    return nn.Sequential(*layers)

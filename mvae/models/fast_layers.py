"""Layers that train faster on CPUs. Outside training they are the plain ones, so that graphs are exported as ever; parameters
and their names are the plain ones' too. The arithmetic is float32 throughout, rounded in another order.

Legend: B batch, C channels, S side.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LARGE = 100_000
"""Weights of a linear layer for which handing tensors over is worth its 50 µs."""
FEW = 4
"""Channels of a picture."""


class FastLinear(nn.Linear):
    """For float32 PyTorch calls MKL, which keeps to 256-bit instructions on processors that are not Intel's; oneDNN, which
    PyTorch brings along for convolutions, takes what the processor has: twice the speed with AVX512."""

    def forward(self, x: Tensor) -> Tensor:
        if _trains_on_cpu(self, x) and x.dim() == 2 and self.weight.numel() >= LARGE and torch.backends.mkldnn.is_available():
            return F.linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return super().forward(x)


class FastDoubling(nn.ConvTranspose2d):
    """[B, C, S, S] → [B, C', 2 S, 2 S], 4×4 with stride 2. Its bias is added afterwards, and for few channels C' it is one
    product and a sum of overlapping squares: oneDNN has no fast path for either."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if not _trains_on_cpu(self, x):
            return super().forward(x)
        if self.out_channels > FEW:
            made = F.conv_transpose2d(x, self.weight, None, self.stride, self.padding)
        else:
            rows, columns = x.shape[2:]
            squares = (x.permute(0, 2, 3, 1).flatten(1, 2) @ self.weight.flatten(1)).transpose(1, 2)
            made = F.fold(squares, (2 * rows, 2 * columns), self.kernel_size, padding=self.padding, stride=self.stride)
        return made + self.bias[:, None, None]


def _trains_on_cpu(layer: nn.Module, x: Tensor) -> bool:
    return layer.training and x.device.type == "cpu" and x.dtype == torch.float32

"""Convolutions that compute in training as they will in int8 (quantisation-aware training; paper, 17 and 18): weights on a signed
8-bit grid per output channel, BatchNorm folded in, inputs on an unsigned 8-bit grid, gradients straight through.

A convolution keeps its name and its weights, so that a model leaves this mode as it entered it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.objective import grid_scale, quantised_straight_through

STEPS = 255
MOMENTUM = 0.02
"""Share of a new batch in the range of the inputs."""


class FakeQuantisedConv2d(nn.Conv2d):
    """Made of a plain convolution by :func:`fake_quantise`. ``norms`` is the BatchNorm behind it, if there is one, which has to
    stand still (evaluation mode): its scale belongs to the weights that are rounded."""

    low: Tensor
    high: Tensor
    norms: list[nn.BatchNorm2d]
    """Kept in a list: it is no part of this module."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._look_at(x.detach())
        folded = torch.ones_like(self.weight[:, :1, :1, :1])
        for norm in self.norms:
            folded = (norm.weight * torch.rsqrt(norm.running_var + norm.eps)).view(-1, 1, 1, 1)
        weight = self.weight * folded
        weight = quantised_straight_through(weight, grid_scale(weight)) / torch.where(folded == 0, 1.0, folded)
        return F.conv2d(self.rounded(x), weight, self.bias, self.stride, self.padding)

    def rounded(self, x: Tensor) -> Tensor:
        """``x`` on the 256 values between ``low`` and ``high``, zero among them."""
        step = (self.high - self.low).clamp(min=1e-8) / STEPS
        zero = torch.round(-self.low / step)
        within = torch.clamp(x / step + zero, 0, STEPS)
        return (within + (within.round() - within).detach() - zero) * step

    @torch.no_grad()
    def _look_at(self, x: Tensor) -> None:
        low, high = x.amin().clamp(max=0).float(), x.amax().clamp(min=0).float()  # whatever autocast computes in
        begun = self.high > self.low
        self.low.copy_(torch.where(begun, self.low.lerp(low, MOMENTUM), low))
        self.high.copy_(torch.where(begun, self.high.lerp(high, MOMENTUM), high))


def fake_quantise(module: nn.Module) -> nn.Module:
    """Turns every convolution in ``module`` into a :class:`FakeQuantisedConv2d`, in place. Returns it."""
    behind: dict[nn.Conv2d, nn.BatchNorm2d] = {}
    for part in module.modules():
        if isinstance(part, nn.Sequential):
            pairs = zip(list(part), list(part)[1:], strict=False)
            behind |= {a: b for a, b in pairs if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d)}
    for part in list(module.modules()):
        if type(part) is nn.Conv2d:
            part.__class__ = FakeQuantisedConv2d
            part.norms = [behind[part]] if part in behind else []
            for name in ("low", "high"):
                part.register_buffer(name, part.weight.new_zeros(()))
    return module


def plain_again(module: nn.Module) -> nn.Module:
    """The way back of :func:`fake_quantise`: the same weights without rounding. Returns ``module``."""
    for part in module.modules():
        if isinstance(part, FakeQuantisedConv2d):
            part.__class__ = nn.Conv2d
            del part.norms, part.low, part.high
    return module

"""The gradient of a decoder with respect to its input, written out as ordinary operations, so that it can be exported: an ONNX
runtime without torch has no autograd.

Only what the decoders here are made of is known; BatchNorm is that of evaluation. Tested against autograd.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.errors import DataError
from mvae.models.blocks import ResidualBlock, Shortcut

Backward = Callable[[Tensor], Tensor]
"""Gradient with respect to an output → with respect to the input."""


def forward_and_backward(module: nn.Module, x: Tensor) -> tuple[Tensor, Backward]:
    """``module(x)``, and the function that carries a gradient back through it.

    Raises :class:`DataError` for a module that is not known here.
    """
    if isinstance(module, nn.Sequential):
        return _sequence(list(module), x)
    if isinstance(module, ResidualBlock):
        return _residual(module, x)
    if isinstance(module, Shortcut):
        body, back_body = forward_and_backward(module.body, x)
        around, back_around = forward_and_backward(module.shortcut, x)
        y, back = _relu(body + around)
        return y, lambda gradient: back_body(back(gradient)) + back_around(back(gradient))
    if isinstance(module, nn.Conv2d):
        return module(x), _convolution(module, x)
    if isinstance(module, nn.BatchNorm2d):
        scale = (module.weight * torch.rsqrt(module.running_var + module.eps))[:, None, None]
        shift = module.bias[:, None, None] - module.running_mean[:, None, None] * scale
        return x * scale + shift, lambda gradient: gradient * scale
    if isinstance(module, nn.ReLU):
        return _relu(x)
    if isinstance(module, nn.PixelShuffle):
        return module(x), lambda gradient: F.pixel_unshuffle(gradient, module.upscale_factor)
    if isinstance(module, nn.PixelUnshuffle):
        return module(x), lambda gradient: F.pixel_shuffle(gradient, module.downscale_factor)
    if isinstance(module, nn.Upsample):
        return _upsampled(module, x)
    raise DataError(f"no gradient is written out for {type(module).__name__}; expected a layer of the decoders here")


def _sequence(modules: list[nn.Module], x: Tensor) -> tuple[Tensor, Backward]:
    backs: list[Backward] = []
    for module in modules:
        x, back = forward_and_backward(module, x)
        backs.append(back)

    def carry(gradient: Tensor) -> Tensor:
        for back in reversed(backs):
            gradient = back(gradient)
        return gradient

    return x, carry


def _residual(block: ResidualBlock, x: Tensor) -> tuple[Tensor, Backward]:
    inner, back_inner = _sequence([block.first, nn.ReLU(), block.second], x)
    y, back = _relu(x + inner)
    return y, lambda gradient: back(gradient) + back_inner(back(gradient))


def _relu(x: Tensor) -> tuple[Tensor, Backward]:
    y = F.relu(x)
    on = (x > 0).to(x.dtype)
    return y, lambda gradient: gradient * on


def _convolution(module: nn.Conv2d, x: Tensor) -> Backward:
    if module.groups != 1 or module.dilation != (1, 1):
        raise DataError(f"no gradient is written out for {module}; expected one group and no dilation")
    pairs = zip(x.shape[2:], module.kernel_size, module.stride, module.padding, strict=True)
    left_over = [(side + 2 * padding - kernel) % stride for side, kernel, stride, padding in pairs]
    return lambda gradient: F.conv_transpose2d(
        gradient, module.weight, stride=module.stride, padding=module.padding, output_padding=left_over
    )


def _upsampled(module: nn.Upsample, x: Tensor) -> tuple[Tensor, Backward]:
    """Interpolation is linear: rows and columns are multiplied by a matrix each, and by its transpose on the way back."""
    y = module(x)
    rows, columns = (_interpolation(module.mode, a, b).to(x) for a, b in zip(x.shape[2:], y.shape[2:], strict=True))
    return rows @ x @ columns.T, lambda gradient: rows.T @ gradient @ columns


def _interpolation(mode: str, source: int, size: int) -> Tensor:
    """[size, source]: what every new row is made of."""
    basis = torch.eye(source)[None]
    if mode == "nearest":
        return F.interpolate(basis, size=size, mode="nearest")[0].T
    return F.interpolate(basis, size=size, mode="linear")[0].T

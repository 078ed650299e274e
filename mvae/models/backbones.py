"""Encoder and generator bodies that all systems of the comparison share.

Legend: B batch, C channels, S side, H width of the features, D latent dimension.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from mvae.errors import DataError
from mvae.models.fast_layers import FastLinear

KINDS = ("mlp", "conv")


def body(
    kind: str, channels: int, side: int, width: int, layers: int = 2, hidden: tuple[int, ...] = ()
) -> nn.Module:
    """Images [B, C, S, S] → features [B, H], H = ``width``: ``layers`` hidden layers (or those of the widths ``hidden``, the
    last of them H), or three strided convolutions and one layer.

    Raises :class:`DataError` for another kind.
    """
    if kind == "mlp":
        return nn.Sequential(nn.Flatten(), *_hidden(channels * side**2, hidden or (width,) * layers))
    if kind == "conv":
        widths = (channels, 32, 64, 128)
        convolutions: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            convolutions += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        small = halvings(side)[-1]
        return nn.Sequential(*convolutions, nn.Flatten(), FastLinear(widths[-1] * small**2, width), nn.ReLU())
    raise DataError(f"backbone {kind!r:.40}; expected one of {KINDS}")


def generator(
    kind: str, latent: int, channels: int, side: int, width: int, layers: int = 2, hidden: tuple[int, ...] = ()
) -> nn.Module:
    """Latents [B, D] → [B, channels, S, S], the likelihood's parameters: the way back of :func:`body`."""
    if kind == "mlp":
        widths = hidden[::-1] or (width,) * layers
        last = (FastLinear(widths[-1], channels * side**2), nn.Unflatten(1, (channels, side, side)))
        return nn.Sequential(*_hidden(latent, widths), *last)
    if kind == "conv":
        sides = halvings(side)[::-1]
        first, unfold = FastLinear(latent, 128 * sides[0] ** 2), nn.Unflatten(1, (128, sides[0], sides[0]))
        convolutions: list[nn.Module] = [first, nn.ReLU(), unfold]
        for inputs, outputs, size in zip((128, 64, 32), (64, 32, 32), sides[1:], strict=True):
            convolutions += [nn.Upsample(size=size), nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*convolutions, nn.Conv2d(32, channels, 3, padding=1))
    raise DataError(f"backbone {kind!r:.40}; expected one of {KINDS}")


def _hidden(inputs: int, widths: tuple[int, ...]) -> list[nn.Module]:
    made: list[nn.Module] = []
    for before, after in pairwise((inputs, *widths)):
        made += [FastLinear(before, after), nn.ReLU()]
    return made


def halvings(side: int) -> list[int]:
    """Sides after none, one, two and three convolutions of stride 2: 28 → [28, 14, 7, 4]."""
    found = [side]
    for _ in range(3):
        found.append((found[-1] + 1) // 2)
    return found


@torch.no_grad()
def multiply_adds(module: nn.Module, *example: Tensor) -> int:
    """MACs of one forward pass, counted at linear layers and convolutions."""
    total, handles = 0, []

    def count(layer: nn.Module, _, output: Tensor) -> None:
        nonlocal total
        per = layer.weight[0].numel() if isinstance(layer, nn.Linear | nn.Conv2d) else layer.weight[:, 0].numel()
        total += output.numel() * per

    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            handles.append(part.register_forward_hook(count))
    module(*example)
    for handle in handles:
        handle.remove()
    return total

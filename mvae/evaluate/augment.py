"""Random views of a drawing, so that the judge learns what is drawn and not how.

The judge meets styles that it has never seen: other proportions, colours, shading and outlines. Each change below imitates
one such difference. Legend of shapes: B drawings, S side in pixels; colours are in [0, 1], premultiplied by alpha until they
are composited.
"""

import math

import torch
from torch.nn import functional as F


def _uniform(generator: torch.Generator, count: int, low: float, high: float) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _affine(rgba_B4SS: torch.Tensor, may_flip_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale, stretch, turn, shift and flip."""
    count = len(rgba_B4SS)
    angle = torch.randn(count, generator=generator) * math.radians(8)
    scale = torch.exp(
        _uniform(generator, count, math.log(0.9), math.log(1.4))
    )  # of the sampling grid: above 1 shrinks the drawing
    stretch = torch.exp(_uniform(generator, count, -0.12, 0.12))
    flip = torch.where(may_flip_B & (torch.rand(count, generator=generator) < 0.4), -1.0, 1.0)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = torch.cos(angle) * scale * stretch * flip
    matrix[:, 0, 1] = -torch.sin(angle) * scale / stretch
    matrix[:, 1, 0] = torch.sin(angle) * scale * stretch * flip
    matrix[:, 1, 1] = torch.cos(angle) * scale / stretch
    matrix[:, :, 2] = _uniform(generator, count * 2, -0.12, 0.12).view(count, 2)
    grid = F.affine_grid(matrix, list(rgba_B4SS.shape), align_corners=False)
    return F.grid_sample(rgba_B4SS, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _colour_matrix(count: int, generator: torch.Generator) -> torch.Tensor:
    """[B, 3, 4]: hue, saturation, brightness and contrast as one linear map of (r, g, b, alpha)."""
    grey = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    hue = (torch.randn(count, generator=generator) * math.radians(14)).view(-1, 1, 1)
    turn = torch.cos(hue) * torch.eye(3) + (1 - torch.cos(hue)) * grey + torch.sin(hue) * cross
    saturation = _uniform(generator, count, 0.4, 1.4)
    saturation[torch.rand(count, generator=generator) < 0.05] = 0
    luma = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    saturate = saturation.view(-1, 1, 1) * torch.eye(3) + (1 - saturation).view(-1, 1, 1) * luma
    contrast = torch.exp(_uniform(generator, count, -0.35, 0.25)).view(-1, 1, 1)
    offset = (0.5 - 0.5 * contrast + _uniform(generator, count, -0.12, 0.12).view(-1, 1, 1)).expand(-1, 3, 1)
    return torch.cat([contrast * (saturate @ turn), offset], 2)


def _shade(colour_B3SS: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Light falling from one side, as on three-dimensional drawings."""
    count, _, side, _ = colour_B3SS.shape
    axis = torch.linspace(-1, 1, side)
    angle = _uniform(generator, count, 0, 2 * math.pi).view(-1, 1, 1)
    ramp = torch.cos(angle) * axis.view(1, 1, -1) + torch.sin(angle) * axis.view(1, -1, 1)
    return colour_B3SS * (1 + _uniform(generator, count, 0.1, 0.35).view(-1, 1, 1) * ramp).unsqueeze(1)


def _outline(colour_B3SS: torch.Tensor, alpha_B1SS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A dark contour around the silhouette."""
    wide = F.max_pool2d(alpha_B1SS, 5, 1, 2)
    return colour_B3SS, wide


def _soften(rgb_B3SS: torch.Tensor, factor: float) -> torch.Tensor:
    """Lose detail, as a codec does."""
    side = rgb_B3SS.shape[-1]
    small = F.interpolate(rgb_B3SS, size=max(8, round(side / factor)), mode="area")
    return F.interpolate(small, size=side, mode="bilinear", align_corners=False)


def augment(rgba_BSS4: torch.Tensor, may_flip_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """uint8 straight-alpha drawings [B, S, S, 4] → random views as RGB floats 0 … 255 [B, 3, S, S] on a background.

    ``may_flip_B`` (bool) is false where left and right carry meaning. All randomness comes from ``generator``.
    """
    count = len(rgba_BSS4)
    pixels = rgba_BSS4.permute(0, 3, 1, 2).float() / 255
    pixels = torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)
    pixels = _affine(pixels, may_flip_B, generator)
    alpha = pixels[:, 3:]
    side = pixels.shape[-1]
    colour = (_colour_matrix(count, generator) @ pixels.flatten(2)).view(count, 3, side, side)

    def some(share: float) -> torch.Tensor:
        return (torch.rand(count, generator=generator) < share).nonzero().squeeze(1)

    chosen = some(0.25)
    colour[chosen] = _shade(colour[chosen], generator)
    colour = torch.minimum(colour.clamp_min(0), alpha)
    chosen = some(0.15)
    alpha = alpha.clone()
    colour[chosen], alpha[chosen] = _outline(colour[chosen], alpha[chosen])
    background = torch.ones(count, 3, 1, 1)
    chosen = some(0.25)
    background[chosen] = torch.rand(len(chosen), 3, 1, 1, generator=generator)
    rgb = colour + (1 - alpha) * background
    chosen = some(0.2)
    rgb[chosen] = F.max_pool2d(rgb[chosen], 3, 1, 1)  # thin dark lines vanish
    chosen = some(0.08)
    rgb[chosen] = -F.max_pool2d(-rgb[chosen], 3, 1, 1)  # and here they thicken
    for factor in (1.5, 2.0, 3.0):
        chosen = some(0.12)
        rgb[chosen] = _soften(rgb[chosen], factor)
    chosen = some(0.15)
    rgb[chosen] += 0.7 * (rgb[chosen] - F.avg_pool2d(rgb[chosen], 3, 1, 1, count_include_pad=False))
    return rgb.clamp(0, 1) * 255

"""Prior-quantile tokens: each latent coordinate falls into one of L cells of equal mass under the prior N(0, 1).

Legend: z, mean, log_variance have shape [B, C, h, w]; tokens [B, h*w*depth], row-major; u = Φ(mean) in (0, 1).
"""

import torch
from torch import Tensor
from torch.distributions.utils import clamp_probs

SQRT_HALF = 0.7071067811865476


def normal_cdf(x: Tensor) -> Tensor:
    """Φ, the standard normal distribution function."""
    return 0.5 * (1 + torch.erf(x * SQRT_HALF))


def normal_quantile(u: Tensor) -> Tensor:
    """Φ⁻¹ for u in (0, 1)."""
    return torch.special.ndtri(u)


def cell_index(mean: Tensor, levels: int) -> Tensor:
    """k = ⌊L Φ(mean)⌋ in 0 … L-1, as int64 of mean's shape."""
    return torch.clamp((normal_cdf(mean.float()) * levels).floor(), 0, levels - 1).long()


def cell_center(index: Tensor, levels: int) -> Tensor:
    """ẑ = Φ⁻¹((k + ½) / L): the median of cell k under the prior."""
    return normal_quantile((index.to(torch.float32) + 0.5) / levels)


def quantise_straight_through(mean: Tensor, levels: int) -> Tensor:
    """ẑ with the gradient passed straight through **in u**, hence dẑ/dmean = φ(mean) / φ(ẑ).

    In z the gradient would never fade and mean would drift without bound; in u it vanishes as a coordinate saturates.
    """
    u = clamp_probs(normal_cdf(mean.float()))
    center = (torch.clamp((u * levels).floor(), 0, levels - 1) + 0.5) / levels
    return normal_quantile(u + (center - u).detach())


def cells_to_tokens(index: Tensor, levels: int, depth: int = 1) -> Tensor:
    """Cell indices [B, C, h, w] → tokens [B, h*w*depth]; the first coordinate is the most significant digit.

    With ``depth`` tokens a position, the first C / depth coordinates make its first token, and so on.
    """
    digits = index.flatten(2).unflatten(1, (depth, -1))
    tokens = digits[:, :, 0]
    for coordinate in range(1, digits.shape[2]):
        tokens = tokens * levels + digits[:, :, coordinate]
    return tokens.transpose(1, 2).flatten(1)


def token_cells(levels: int, coordinates: int) -> Tensor:
    """The cell indices that every token stands for, int64 [L**C, C]; the first coordinate is the most significant digit."""
    tokens = torch.arange(levels**coordinates)
    return torch.stack([(tokens // levels ** (coordinates - 1 - c)) % levels for c in range(coordinates)], 1)


def latent_table(levels: int, coordinates: int) -> Tensor:
    """ẑ of every token, [L**C + 1, C]; the last row, the mask token, is the prior mean 0."""
    centers = cell_center(token_cells(levels, coordinates), levels)
    return torch.cat([centers, torch.zeros(1, coordinates)])

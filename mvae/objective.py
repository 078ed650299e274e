"""The objective, term by term, in **nats per image**: summed over dimensions, averaged over the batch (paper, equations 1-5, 11).

What is minimised is ``-ELBO = -E_q[log p(x|z)] + KL(q(z|x) ‖ p(z))``; the rate term is weighted by β, which a controller moves so
that the KL stays near a stated number of nats. Images are premultiplied RGBA, [B, 4, S, S], in [0, 1].
"""

import math

import torch
from torch import Tensor


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ N(0, 1)) in closed form (paper, 4 and 11), summed over all but the batch: [B], nats."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).flatten(1).sum(1)


def gaussian_log_likelihood(x: Tensor, reconstruction: Tensor, variance: Tensor | float) -> Tensor:
    """log N(x; reconstruction, variance) (paper, 3 and 9, corrected), summed over all but the batch: [B], nats."""
    variance = torch.as_tensor(variance, dtype=x.dtype, device=x.device)
    error = (x - reconstruction).square() / variance + math.log(2 * math.pi) + variance.log()
    return -0.5 * error.flatten(1).sum(1)


def negative_elbo(x: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, variance: Tensor | float) -> Tensor:
    """-ELBO per image (paper, 5, corrected: the KL is added once), [B], nats."""
    return gaussian_kl(mean, log_variance) - gaussian_log_likelihood(x, reconstruction, variance)


def composites(image: Tensor) -> Tensor:
    """Premultiplied RGBA → what is seen on black and on white, [B, 6, S, S]: together they determine colour and alpha."""
    colour, alpha = image[:, :3], image[:, 3:]
    return torch.cat([colour, colour + (1 - alpha)], 1)


def gradient_difference(difference: Tensor) -> Tensor:
    """Mean absolute finite difference, along rows and columns, of an error image: penalises blurred and doubled edges."""
    rows = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean((1, 2, 3))
    columns = (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean((1, 2, 3))
    return rows + columns


def edge_aware_distortion(x: Tensor, reconstruction: Tensor, *, squared: float = 2.0, gradient: float = 0.5) -> Tensor:
    """L1 + ``squared``·L2 + ``gradient``·(edge error at full and half resolution), means over pixels of both composites: [B].

    L1 keeps flat areas flat, L2 removes large errors, the gradient terms keep outlines crisp.
    """
    difference = composites(reconstruction) - composites(x)
    half = torch.nn.functional.avg_pool2d(difference, 2)
    edges = gradient_difference(difference) + gradient_difference(half)
    return difference.abs().mean((1, 2, 3)) + squared * difference.square().mean((1, 2, 3)) + gradient * edges

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


def on_white(image: Tensor) -> Tensor:
    """Premultiplied RGBA [B, 4, S, S] → the RGB that is seen on white, [B, 3, S, S], clamped to [0, 1]."""
    return (image[:, :3] + 1 - image[:, 3:]).clamp(0, 1)


def gradient_difference(difference: Tensor) -> Tensor:
    """Mean absolute finite difference, along rows and columns, of an error image: penalises blurred and doubled edges."""
    rows = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean((1, 2, 3))
    columns = (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean((1, 2, 3))
    return rows + columns


def halved(image: Tensor) -> Tensor:
    """Means of 2×2 pixels, [B, C, S/2, S/2]. On CPUs several times as fast as average pooling and its backward pass."""
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def edge_aware_distortion(x: Tensor, reconstruction: Tensor, *, squared: float = 2.0, gradient: float = 0.5) -> Tensor:
    """L1 + ``squared``·L2 + ``gradient``·(edge error at full and half resolution): [B], means over the pixels of what is seen on
    black and on white, which together determine colour and alpha.

    L1 keeps flat areas flat, L2 removes large errors, the gradient terms keep outlines crisp.
    """
    # The composites are linear, so their differences come from one difference; row-major, since stencils on channels-last
    # memory took half of this function's time.
    difference = (reconstruction - x).contiguous()
    on_black = difference[:, :3]
    total = torch.zeros((), device=x.device)
    for seen in (on_black, on_black - difference[:, 3:]):
        edges = gradient_difference(seen) + gradient_difference(halved(seen))
        total = total + seen.abs().mean((1, 2, 3)) + squared * seen.square().mean((1, 2, 3)) + gradient * edges
    return total / 2

"""The objective, term by term, in **nats per image**: summed over dimensions, averaged over the batch (paper, 1-22, 30).

What is minimised is (paper, 14 and 30, with the signs that penalise instead of rewarding)

    loss = -ELBO + λ_prune·R_prune + λ_quant·R_quant + λ_KD·R_KD + λ_sparse·R_sparse + KL(q(θ') ‖ p(θ')) / N

with ``-ELBO = -E_q[log p(x|z)] + β·KL(q(z|x) ‖ p(z))``; controllers move β and every λ toward stated targets
(:mod:`mvae.training.controllers`).

Legend: B batch, N training images; images are [B, C, S, S] in [0, 1], those of stickers premultiplied RGBA.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from mvae.errors import OptionError

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ N(0, 1)) in closed form (paper, 4 and 11), summed over all but the batch: [B], nats."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).flatten(1).sum(1)


def gaussian_log_likelihood(x: Tensor, reconstruction: Tensor, variance: Tensor | float) -> Tensor:
    """log N(x; reconstruction, variance) (paper, 3 and 9, corrected), summed over all but the batch: [B], nats."""
    variance = torch.as_tensor(variance, dtype=x.dtype, device=x.device)
    error = 0.5 * (x - reconstruction).square() / variance + HALF_LOG_TWO_PI + 0.5 * variance.log()
    return -error.flatten(1).sum(1)


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log Bernoulli(x; sigmoid(logits)), x in {0, 1} (paper, 3, for binary images): [B], nats.

    For grey x it is a cross-entropy, not a likelihood: call it a distortion there.
    """
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def discretised_logistic_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor | float, levels: int = 256) -> Tensor:
    """log P(x) of pixels with ``levels`` values, x in {0, 1/(levels-1), …, 1}: a logistic distribution cut into bins, the outer
    ones open (Salimans et al. 2017, 2; paper, 3): [B], nats. A true probability: divided by −ln 2 it is bits.
    """
    log_scale = torch.as_tensor(log_scale, dtype=x.dtype, device=x.device)
    half = 0.5 / (levels - 1)
    upper, lower = ((x + side - mean) * torch.exp(-log_scale) for side in (half, -half))
    # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)): no difference of nearly equal numbers.
    inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
    found = torch.where(x < half, F.logsigmoid(upper), torch.where(x > 1 - half, F.logsigmoid(-lower), inner))
    return found.flatten(1).sum(1)


def negative_elbo(x: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, variance: Tensor | float) -> Tensor:
    """-ELBO per image (paper, 5, corrected: the KL is added once), [B], nats."""
    return gaussian_kl(mean, log_variance) - gaussian_log_likelihood(x, reconstruction, variance)


def gaussian_kl_between(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ N(other_mean, exp(other_log_variance))), summed over all but the batch: [B], nats."""
    gap = (mean - other_mean).square() * torch.exp(-other_log_variance)
    ratio = log_variance - other_log_variance
    return 0.5 * (gap + ratio.exp() - ratio - 1).flatten(1).sum(1)


def gaussian_laplace_kl(mean: Tensor, log_variance: Tensor, scale: float) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ Laplace(0, scale)) in closed form, summed over all but the batch: [B], nats.

    The sparse prior of (paper, 21): E|z| of a folded normal takes the place of ‖α‖₁. Raises OptionError for scale ≤ 0.
    """
    if scale <= 0:
        raise OptionError(f"scale of the Laplace prior is {scale}; expected more than 0")
    deviation = torch.exp(0.5 * log_variance)
    ratio = mean / deviation
    absolute = deviation * math.sqrt(2 / math.pi) * torch.exp(-0.5 * ratio.square()) + mean * torch.erf(ratio / math.sqrt(2))
    entropy = HALF_LOG_TWO_PI + 0.5 + 0.5 * log_variance
    return (absolute / scale + math.log(2 * scale) - entropy).flatten(1).sum(1)


def parameter_kl(mean: Tensor, log_variance: Tensor, prior_deviation: float, images: int) -> Tensor:
    """KL(q(θ') ‖ N(0, prior_deviation²)) of a layer's weights, divided by the number of training images: nats per image.

    The term that (paper, 7 and 12) leave out: the weights are explained once for the whole data set. Raises OptionError for a
    deviation or a number of images that is not positive.
    """
    if prior_deviation <= 0 or images <= 0:
        raise OptionError(f"prior deviation {prior_deviation}, {images} images; expected more than 0 of both")
    variance = 2 * math.log(prior_deviation)
    prior = torch.full_like(mean, variance)
    return gaussian_kl_between(mean[None], log_variance[None], torch.zeros_like(mean)[None], prior[None])[0] / images


def l1_penalty(weights: Iterable[Tensor]) -> Tensor:
    """R_prune = Σ|w| (paper, 15): makes weights small, but removes nothing by itself."""
    return torch.stack([weight.abs().sum() for weight in weights]).sum()


def group_lasso(groups: Iterable[Tensor]) -> Tensor:
    """Structured R_prune (paper, 15 and 16; Yuan & Lin 2006): Σ over groups of √size · ‖w‖₂. ``groups``: tensors [G, …] with one
    group a row, a channel's weights for one; whole rows go to zero, and can be removed.
    """
    found = [math.sqrt(weight[0].numel()) * weight.flatten(1).norm(dim=1).sum() for weight in groups]
    return torch.stack(found).sum()


def grid_scale(weight: Tensor, bits: int = 8) -> Tensor:
    """Step of the symmetric grid of 2^bits − 1 values that spans each row of ``weight`` [C, …]: [C, 1, …]."""
    largest = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-12)
    return (largest / (2 ** (bits - 1) - 1)).view(-1, *[1] * (weight.dim() - 1))


def quantised_straight_through(weight: Tensor, scale: Tensor, bits: int = 8) -> Tensor:
    """The nearest values of the grid; the gradient is passed straight through (Bengio et al. 2013), but for what lies beyond the
    grid, where it is zero. The paper's (17) has no gradient without this.
    """
    most = 2 ** (bits - 1) - 1
    within = torch.clamp(weight / scale, -most, most)
    return (within + (within.round() - within).detach()) * scale


def quantisation_distance(weights: Iterable[Tensor], bits: int = 8) -> Tensor:
    """R_quant = Σ|w − w_quantised| (paper, 17 and 18) over weights [C, …], each row on its own grid. Pulls weights onto it."""
    found = []
    for weight in weights:
        scale = grid_scale(weight, bits)
        found.append((weight - ((weight / scale).round() * scale).detach()).abs().sum())
    return torch.stack(found).sum()


def latent_distillation(
    teacher_mean: Tensor, teacher_log_variance: Tensor, mean: Tensor, log_variance: Tensor
) -> Tensor:
    """R_KD in the latent space: KL(q_teacher(z|x) ‖ q_student(z|x)) (paper, 19 and 20, whose p, q and direction are open): [B],
    nats. This direction makes the student cover all that its teacher holds possible.
    """
    return gaussian_kl_between(teacher_mean.detach(), teacher_log_variance.detach(), mean, log_variance)


def output_distillation(teacher: Tensor, student: Tensor, variance: float = 1.0) -> Tensor:
    """R_KD in the output space: squared distance to the teacher's pictures over 2·variance, the KL of two Gaussians of equal
    variance around them: [B], nats.
    """
    return ((teacher.detach() - student).square() / (2 * variance)).flatten(1).sum(1)


def token_distillation(teacher_logits: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher ‖ student) over image tokens, logits [B, P, V] (Hinton et al. 2015; the paper's 19 for its seq2seq), times
    temperature², a mean over P: [B], nats per token.
    """
    teacher = F.log_softmax(teacher_logits.detach().float() / temperature, -1)
    student = F.log_softmax(logits.float() / temperature, -1)
    return (teacher.exp() * (teacher - student)).sum(-1).mean(1) * temperature**2


def sparse_code(code: Tensor) -> Tensor:
    """R_sparse = ‖α‖₁ (paper, 21 and 22) of a code [B, …]: [B]."""
    return code.abs().flatten(1).sum(1)


def soft_threshold(code: Tensor, threshold: float | Tensor) -> Tensor:
    """The proximal step of λ‖α‖₁: what is smaller than ``threshold`` becomes exactly zero, all else moves toward zero by it."""
    return torch.sign(code) * torch.clamp(code.abs() - threshold, min=0)


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Σ weight · mean of term (paper, 14 and 30). Terms: scalars or [B]. A weight of 0 leaves its term out: one that is not
    finite there does no harm.

    Raises OptionError where a weight has no term, a term no weight, or a weight is negative: −λR would reward size.
    """
    if terms.keys() != weights.keys():
        raise OptionError(f"terms {sorted(terms)} and weights {sorted(weights)} differ; expected a weight for every term")
    if any(not weight >= 0 for weight in weights.values()):
        raise OptionError(f"weights {dict(weights)}; expected none below 0")
    counted = [weight * terms[name].mean() for name, weight in weights.items() if weight]
    return torch.stack(counted).sum() if counted else torch.zeros(())


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


def at_side(image: Tensor, side: int) -> Tensor:
    """[B, C, S, S] → [B, C, side, side], means over squares of pixels. Raises OptionError where S is no multiple."""
    if image.shape[-1] % side:
        raise OptionError(f"side {side} for a picture of {image.shape[-1]} pixels; expected a divisor")
    return image if image.shape[-1] == side else F.avg_pool2d(image.contiguous(), image.shape[-1] // side)


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

"""The objective against closed forms and Monte Carlo."""

import math

import torch

from mvae.objective import (
    edge_aware_distortion,
    gaussian_kl,
    gaussian_log_likelihood,
    gradient_difference,
    negative_elbo,
)


def test_kl_equals_torch_and_monte_carlo():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(3, 4, 2, 2, generator=generator)
    log_variance = torch.randn(3, 4, 2, 2, generator=generator) - 1
    posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    prior = torch.distributions.Normal(0.0, 1.0)
    exact = torch.distributions.kl_divergence(posterior, prior).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, log_variance), exact)
    torch.manual_seed(0)
    z = posterior.sample((20_000,))
    estimate = (posterior.log_prob(z) - prior.log_prob(z)).flatten(2).sum(2)
    error = estimate.std(0) / math.sqrt(20_000)
    assert ((estimate.mean(0) - exact).abs() < 5 * error).all()


def test_kl_vanishes_only_at_the_prior():
    zero = torch.zeros(2, 4, 2, 2)
    assert gaussian_kl(zero, zero).abs().max() == 0
    assert (gaussian_kl(zero + 0.1, zero) > 0).all() and (gaussian_kl(zero, zero + 0.1) > 0).all()


def test_likelihood_equals_torch_and_sums_over_pixels():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 2, 4, 8, 8, generator=generator)
    expected = torch.distributions.Normal(y, 0.3).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_log_likelihood(x, y, 0.09), expected, rtol=1e-4, atol=1e-3)
    doubled = gaussian_log_likelihood(torch.cat([x, x], -1), torch.cat([y, y], -1), 0.09)
    torch.testing.assert_close(doubled, 2 * expected, rtol=1e-4, atol=1e-3)


def test_negative_elbo_adds_the_kl_once():
    x = torch.rand(2, 4, 8, 8)
    mean, log_variance = torch.full((2, 4, 2, 2), 0.5), torch.zeros(2, 4, 2, 2)
    without = -gaussian_log_likelihood(x, x, 0.01)
    torch.testing.assert_close(negative_elbo(x, x, mean, log_variance, 0.01) - without, torch.full((2,), 16 * 0.125))


def test_distortion_is_of_what_is_seen_on_black_and_on_white():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.rand(2, 2, 4, 8, 8, generator=generator)
    difference = torch.cat([(y - x)[:, :3], (y[:, :3] + 1 - y[:, 3:]) - (x[:, :3] + 1 - x[:, 3:])], 1)
    halves = gradient_difference(torch.nn.functional.avg_pool2d(difference, 2))
    expected = difference.abs().mean((1, 2, 3)) + 3 * difference.square().mean((1, 2, 3))
    expected = expected + 0.7 * (gradient_difference(difference) + halves)
    torch.testing.assert_close(edge_aware_distortion(x, y, squared=3, gradient=0.7), expected)
    white, clear = torch.ones(1, 4, 4, 4), torch.zeros(1, 4, 4, 4)
    assert edge_aware_distortion(white, clear) > 0


def test_distortion_prefers_a_sharp_edge_to_a_blurred_one():
    sharp = torch.zeros(1, 4, 16, 16)
    sharp[..., 8:] = 1
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(sharp, (2, 2, 0, 0), mode="replicate"), (1, 5), 1)
    moved = sharp + 0.2 * (sharp - 0.5) * -1
    assert edge_aware_distortion(sharp, sharp) == 0
    # equal L1 and squared error, but an offset keeps its edges
    share = (blurred - sharp).abs().mean() / (moved - sharp).abs().mean()
    assert gradient_difference(blurred - sharp) > gradient_difference((moved - sharp) * share)

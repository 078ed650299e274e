"""The objective against closed forms and Monte Carlo."""

import math

import pytest
import torch

from mvae.errors import OptionError
from mvae.models.bayesian import BayesianConv2d, ObservationNoise
from mvae.objective import (
    bernoulli_log_likelihood,
    discretised_logistic_log_likelihood,
    edge_aware_distortion,
    gaussian_kl,
    gaussian_kl_between,
    gaussian_laplace_kl,
    gaussian_log_likelihood,
    gradient_difference,
    grid_scale,
    group_lasso,
    l1_penalty,
    latent_distillation,
    negative_elbo,
    output_distillation,
    parameter_kl,
    quantisation_distance,
    quantised_straight_through,
    soft_threshold,
    sparse_code,
    token_distillation,
    weighted_sum,
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


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_bernoulli_likelihood_equals_torch():
    x, logits = (random(3, 1, 4, 4) > 0).float(), random(3, 1, 4, 4, seed=1)
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(bernoulli_log_likelihood(x, logits), expected)


@pytest.mark.parametrize("log_scale", [-6.0, -3.0, 0.0])
def test_discretised_logistic_is_a_distribution_over_the_levels(log_scale):
    mean = torch.tensor([-0.2, 0.0, 0.31, 0.5, 1.4])
    values = torch.arange(256)[:, None] / 255
    found = discretised_logistic_log_likelihood(
        values.expand(256, 5).reshape(-1, 1, 1, 1), mean.repeat(256).view(-1, 1, 1, 1), log_scale
    )
    torch.testing.assert_close(found.view(256, 5).exp().sum(0), torch.ones(5), rtol=1e-4, atol=1e-4)


def test_discretised_logistic_tends_to_the_density_and_stays_finite():
    x, mean = torch.full((1, 1, 1, 1), 100 / 255), torch.tensor(0.3).view(1, 1, 1, 1)
    scaled = (x - mean) / math.exp(-1)
    density = -scaled + 1 - 2 * torch.nn.functional.softplus(-scaled)  # log of the logistic's density, scale e⁻¹
    found = discretised_logistic_log_likelihood(x, mean, -1.0)
    torch.testing.assert_close(found, (density - math.log(255)).flatten(), atol=1e-3, rtol=0)
    far = torch.tensor(9.0).view(1, 1, 1, 1).requires_grad_()
    value = discretised_logistic_log_likelihood(x, far, -5.0)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(far.grad).all() and far.grad < 0


def test_kl_between_gaussians_equals_torch():
    mean, other = random(3, 2, 4, 4), random(3, 2, 4, 4, seed=1)
    log_variance, other_log_variance = random(3, 2, 4, 4, seed=2), random(3, 2, 4, 4, seed=3)
    normals = [torch.distributions.Normal(m, (0.5 * v).exp()) for m, v in ((mean, log_variance), (other, other_log_variance))]
    expected = torch.distributions.kl_divergence(*normals).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_kl_between(mean, log_variance, other, other_log_variance), expected)
    zero = torch.zeros_like(mean)
    torch.testing.assert_close(gaussian_kl_between(mean, log_variance, zero, zero), gaussian_kl(mean, log_variance))


def test_kl_to_a_laplace_prior_equals_monte_carlo():
    mean, log_variance = random(4, 3), random(4, 3, seed=1) - 1
    exact = gaussian_laplace_kl(mean, log_variance, 0.7)
    torch.manual_seed(0)
    posterior, prior = torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Laplace(0.0, 0.7)
    z = posterior.sample((40_000,))
    estimate = (posterior.log_prob(z) - prior.log_prob(z)).sum(2)
    assert ((estimate.mean(0) - exact).abs() < 5 * estimate.std(0) / 200).all()
    with pytest.raises(OptionError, match="Laplace"):
        gaussian_laplace_kl(mean, log_variance, 0.0)


def test_kl_of_weights_is_shared_among_the_images():
    mean, log_variance = random(5, 7), random(5, 7, seed=1)
    prior = torch.distributions.Normal(0.0, 0.3)
    exact = torch.distributions.kl_divergence(torch.distributions.Normal(mean, (0.5 * log_variance).exp()), prior).sum()
    torch.testing.assert_close(parameter_kl(mean, log_variance, 0.3, 50), exact / 50)
    for deviation, images in ((0.0, 5), (1.0, 0)):
        with pytest.raises(OptionError, match="more than 0"):
            parameter_kl(mean, log_variance, deviation, images)


def test_a_bayesian_layer_has_the_moments_of_sampled_weights():
    torch.manual_seed(0)
    layer = BayesianConv2d(2, 3, 3, padding=1)
    with torch.no_grad():
        layer.weight_log_variance.add_(3.0)
        x = torch.rand(1, 2, 5, 5)
        drawn = torch.stack([layer(x) for _ in range(3000)])
        normals = [
            torch.distributions.Normal(mean, (0.5 * log_variance).exp()).sample((3000,))
            for mean, log_variance in ((layer.weight, layer.weight_log_variance), (layer.bias, layer.bias_log_variance))
        ]
        sampled = torch.stack([torch.nn.functional.conv2d(x, w, b, padding=1) for w, b in zip(*normals, strict=True)])
        exact = layer.eval()(x)
    torch.testing.assert_close(drawn.mean(0), exact, atol=5 * float(drawn.std(0).max()) / 54, rtol=0)
    torch.testing.assert_close(drawn.var(0), sampled.var(0), rtol=0.15, atol=1e-5)
    assert layer.kl(10) > 0 and torch.equal(layer(x), exact)


def test_expected_likelihood_under_uncertain_noise_equals_monte_carlo():
    noise = ObservationNoise(0.05)
    with torch.no_grad():
        noise.log_variance.fill_(math.log(0.2))
    x, y = torch.rand(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    taus = noise.mean + noise.log_variance.exp().sqrt() * torch.randn(20_000)
    drawn = torch.stack([gaussian_log_likelihood(x, y, tau.exp()) for tau in taus.detach()])
    assert ((drawn.mean(0) - noise.expected_log_likelihood(x, y)).abs() < 5 * drawn.std(0) / math.sqrt(20_000)).all()
    with torch.no_grad():
        noise.log_variance.fill_(-30.0)  # certain: the plain likelihood
    torch.testing.assert_close(noise.expected_log_likelihood(x, y), gaussian_log_likelihood(x, y, 0.05))
    assert noise.kl(4) > noise.kl(400) > 0


def test_pruning_terms():
    weights = [torch.tensor([[3.0, -4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0, 0, 0]])]
    assert l1_penalty(weights) == 8
    torch.testing.assert_close(group_lasso(weights), torch.tensor(math.sqrt(2) * 5 + 2))
    row = torch.tensor([[3.0, 4.0], [0.3, 0.4]], requires_grad=True)
    group_lasso([row]).backward()
    torch.testing.assert_close(row.grad, math.sqrt(2) * torch.tensor([[0.6, 0.8], [0.6, 0.8]]))  # as strong on a weak channel


def test_what_lies_on_the_grid_is_at_no_distance_and_rounding_passes_the_gradient():
    weight = torch.tensor([[127.0, -3, 10, 0.4], [1.27, 0.0, -0.011, 0.5]], requires_grad=True)
    scale = grid_scale(weight)
    torch.testing.assert_close(scale, torch.tensor([[1.0], [0.01]]))
    distance = quantisation_distance([weight])
    torch.testing.assert_close(distance, torch.tensor(0.4 + 0.001), atol=1e-5, rtol=0)
    distance.backward()
    assert torch.sign(weight.grad)[0, 3] == 1 and torch.sign(weight.grad)[1, 2] == -1 and weight.grad[0, 1] == 0
    weight.grad = None
    outside = torch.tensor([[0.5], [0.01]])
    made = quantised_straight_through(weight, outside)
    torch.testing.assert_close(made.detach(), torch.tensor([[63.5, -3, 10, 0.5], [1.27, 0.0, -0.01, 0.5]]))
    made.sum().backward()
    assert weight.grad.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]  # 127 is beyond 127 steps of 0.5
    two_bits = quantised_straight_through(torch.tensor([[0.9, -0.2]]), grid_scale(torch.tensor([[0.9, -0.2]]), 2), 2)
    torch.testing.assert_close(two_bits, torch.tensor([[0.9, 0.0]]))


def test_distillation_vanishes_at_the_teacher_and_never_moves_it():
    teacher, student = random(2, 4, 3, 3).requires_grad_(), random(2, 4, 3, 3, seed=1).requires_grad_()
    variance = random(2, 4, 3, 3, seed=2)
    for same, other in (
        (latent_distillation(teacher, variance, teacher, variance), latent_distillation(teacher, variance, student, variance)),
        (output_distillation(teacher, teacher), output_distillation(teacher, student)),
        (token_distillation(teacher, teacher + 3), token_distillation(teacher, student)),
    ):
        assert same.abs().max() < 1e-5 < other.min()
        other.sum().backward()
        assert teacher.grad is None and student.grad.abs().sum() > 0
        student.grad = None
    logits = random(1, 5, 7).requires_grad_()
    token_distillation(torch.zeros(1, 5, 7), logits).backward()
    torch.testing.assert_close(logits.grad, (logits.softmax(-1) - 1 / 7).detach() / 5)


def test_the_proximal_step_solves_the_lasso():
    code = torch.tensor([[1.5, -0.2, 0.0, -3.0]])
    made = soft_threshold(code, 0.5)
    assert made.tolist() == [[1.0, 0.0, 0.0, -2.5]] and sparse_code(made).tolist() == [3.5]
    candidates = torch.linspace(-4, 4, 8001)
    for value, best in zip(code[0], made[0], strict=True):
        cost = 0.5 * (candidates - value).square() + 0.5 * candidates.abs()
        assert abs(candidates[cost.argmin()] - best) < 2e-3


def test_the_weighted_sum_takes_every_term_once():
    terms = {"elbo": torch.tensor([1.0, 3.0]), "prune": torch.tensor(10.0), "broken": torch.tensor(float("nan"))}
    assert weighted_sum(terms, {"elbo": 1.0, "prune": 0.5, "broken": 0.0}) == 7
    assert weighted_sum({}, {}) == 0
    with pytest.raises(OptionError, match="a weight for every term"):
        weighted_sum(terms, {"elbo": 1.0})
    with pytest.raises(OptionError, match="below 0"):
        weighted_sum({"prune": terms["prune"]}, {"prune": -1.0})

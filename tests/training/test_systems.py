"""The systems of the comparison: closed forms, equivalences, bounds; no data."""

import math
from dataclasses import replace

import pytest
import torch

from mvae.errors import DataError, OptionError
from mvae.models.backbones import body, generator, multiply_adds
from mvae.models.beta_vae import BetaVae
from mvae.models.info_vae import InfoVae, inverse_multiquadratic, unbiased_mmd
from mvae.models.s_vae import SVae, _against_the_others
from mvae.models.spherical import log_surface
from mvae.models.system import System, SystemConfig
from mvae.models.vae import Vae

TINY = SystemConfig(side=8, latent=3, width=16)
MADE = {
    "vae": Vae, "beta": BetaVae, "info": InfoVae, "sphere": SVae, "power": lambda config: SVae(config, family="power"),
}


def images(count: int = 6, side: int = 8, seed: int = 0) -> torch.Tensor:
    return (torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


def seeded(make, config: SystemConfig = TINY) -> System:
    torch.manual_seed(0)
    return make(config)


@pytest.mark.parametrize("backbone", ["mlp", "conv"])
@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_bodies_and_generators_meet(backbone, side, channels):
    x = torch.rand(2, channels, side, side)
    assert body(backbone, channels, side, 20)(x).shape == (2, 20)
    assert generator(backbone, 5, channels, side, 20)(torch.randn(2, 5)).shape == x.shape
    for make in (lambda: body("lstm", 1, 8, 4), lambda: generator("lstm", 2, 1, 8, 4)):
        with pytest.raises(DataError, match="expected one of"):
            make()


def test_multiply_adds_of_known_layers():
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(5 * 16, 7))
    assert multiply_adds(layers, torch.rand(1, 3, 4, 4)) == 16 * 5 * 27 + 80 * 7


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "logistic"])
@pytest.mark.parametrize("name", MADE)
def test_every_system_has_one_interface(name, likelihood):
    system, x = seeded(MADE[name], replace(TINY, likelihood=likelihood)), images()
    loss, terms = system.loss(x)
    loss.backward()
    assert torch.isfinite(loss) and all(term.shape == (6,) for term in terms.values()) and terms.keys() == system.weights().keys()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in system.parameters())
    z = system.sample_prior(4)
    drawn = system.decode(z)
    assert z.shape == (4, 3) == (4, system.features(x).shape[1]) and drawn.shape == (4, 1, 8, 8)
    assert drawn.min() >= 0 and drawn.max() <= 1


@pytest.mark.parametrize("name", MADE)
def test_the_rate_is_what_monte_carlo_says(name):
    system, x = seeded(MADE[name]), images(3)
    posterior = system.posterior(x)
    z = posterior.rsample((20_000,)).detach()
    estimate = posterior.log_prob(z) - system.prior_log_prob(z)
    rate = system.rate(posterior, z[0])
    assert ((estimate.mean(0) - rate).abs() < 5 * estimate.std(0) / math.sqrt(20_000) + 1e-4).all()


def test_settings_that_make_another_system_the_vae():
    """β = 1 and InfoVAE(α = 0, λ = 1) have the VAE's loss, to the bit, from the same weights and noise."""
    losses = {}
    same = {"vae": Vae, "beta": lambda c: BetaVae(c, beta=1.0), "info": lambda c: InfoVae(c, alpha=0.0, lambda_=1.0)}
    for name, make in same.items():
        system = seeded(make)
        torch.manual_seed(7)
        losses[name] = system.loss(images())[0].item()
    assert losses["vae"] == losses["beta"] == losses["info"]


@pytest.mark.parametrize("name", MADE)
def test_the_bound_rises_with_the_samples_and_starts_at_the_elbo(name):
    system, x = seeded(MADE[name]).eval(), images(4)
    with torch.no_grad():
        for parameter in system.generator.parameters():
            parameter.mul_(1 if isinstance(system, SVae) else 3)  # fresh weights hardly look at a latent that is not spread
    torch.manual_seed(1)
    bounds = [torch.stack([system.importance_log_likelihood(x, k) for _ in range(300 // k)]).mean() for k in (1, 10, 100)]
    assert bounds[0] < bounds[1] < bounds[2]
    with torch.no_grad():
        elbo = torch.stack([-(t["distortion"] + t["rate"]) for t in (system.terms(x) for _ in range(300))]).mean()
    assert bounds[0].item() == pytest.approx(elbo.item(), abs=2.0)


def test_a_capacity_grows_with_training_alone_and_is_aimed_at():
    system = seeded(lambda c: BetaVae(c, gamma=10.0, capacity=8.0, capacity_steps=4))
    for step in range(6):
        terms = system.loss(images())[1]
        expected = (terms["rate"] - 8.0 * min(1, step / 4)).abs()
        torch.testing.assert_close(terms["off_capacity"], expected)
    system.eval().loss(images())
    assert system.calls == 6 and system.weights()["rate"] == 0


def test_mmd_is_unbiased_and_tells_distributions_apart():
    torch.manual_seed(0)
    same = torch.stack([unbiased_mmd(torch.randn(40, 5), torch.randn(40, 5)) for _ in range(400)])
    assert abs(same.mean()) < 4 * same.std() / 20 and (same < 0).float().mean() > 0.3
    moved = torch.stack([unbiased_mmd(torch.randn(40, 5) + 0.7, torch.randn(40, 5)) for _ in range(50)])
    assert moved.mean() > 5 * same.std()
    kernel = inverse_multiquadratic(torch.zeros(1, 5), torch.zeros(1, 5))
    assert kernel.item() == pytest.approx(1)
    for dimension in (2, 50):  # as far apart as two draws from the prior: about the same in any dimension
        a, b = torch.randn(200, dimension), torch.randn(200, dimension)
        assert 0.4 < inverse_multiquadratic(a, b).mean() < 0.6


def test_a_direction_of_the_sphere():
    system, x = seeded(SVae), images()
    torch.testing.assert_close(system.features(x).norm(dim=1), torch.ones(6))
    torch.testing.assert_close(system.sample_prior(9).norm(dim=1), torch.ones(9))
    assert system.prior_log_prob(torch.zeros(2, 4, 3)).flatten().tolist() == pytest.approx([-log_surface(3)] * 8)
    _, plain = system.generator
    z = system.features(x)
    torch.testing.assert_close(system.decode(z), plain(3 * system.config.latent * z).sigmoid())  # not lost in its first layer
    many = SVae(replace(TINY, latent=30))
    assert 15 < many.posterior(x).concentration.mean() < 30 < 10 * system.posterior(x).concentration.mean()


def test_the_correction_weighs_an_image_against_the_others():
    values = torch.tensor([3.0, 5.0, 10.0])
    torch.testing.assert_close(_against_the_others(values), torch.tensor([3 - 7.5, 5 - 6.5, 10 - 4.0]))
    assert _against_the_others(values[:1]).tolist() == [3]  # nothing to compare with


@pytest.mark.parametrize(
    "make", [lambda: BetaVae(TINY, beta=-1), lambda: InfoVae(TINY, alpha=2.0), lambda: InfoVae(TINY, 0.0, 0.5),
             lambda: SVae(TINY, family="cauchy"), lambda: SVae(replace(TINY, latent=1)),
             lambda: SVae(TINY, spread=0.0)]
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(OptionError, match="expected"):
        make()
    with pytest.raises(DataError, match="expected one of"):
        Vae(replace(TINY, likelihood="poisson"))

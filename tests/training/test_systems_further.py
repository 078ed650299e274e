"""VaDE, GMVAE, VQ-VAE and VAE-GAN: closed forms, equivalences, who learns from what; no data."""

import math
from dataclasses import replace

import pytest
import torch

from mvae.errors import OptionError
from mvae.models.gmvae import Gmvae
from mvae.models.system import System
from mvae.models.vade import Vade
from mvae.models.vae import Vae
from mvae.models.vae_gan import VaeGan
from mvae.models.vq_vae import Quantised, VqVae
from tests.training.test_systems import TINY, images, seeded


def several(make) -> System:
    """With components that differ."""
    system = seeded(make)
    with torch.no_grad():
        for name in ("share", "mean", "log_variance"):
            getattr(system, name).copy_(torch.randn(getattr(system, name).shape))
    return system


def test_vade_with_one_component_is_the_vae():
    torch.manual_seed(0)
    plain = Vae(TINY)
    vade = Vade(TINY, components=1)
    vade.load_state_dict(plain.state_dict(), strict=False)
    losses = []
    for system in (plain, vade):
        torch.manual_seed(7)
        losses.append(system.loss(images())[0])
    torch.testing.assert_close(*losses)


def test_vade_rate_equals_monte_carlo_over_z_and_components():
    system, x = several(Vade), images(3)
    posterior = system.posterior(x)
    given = posterior.rsample()
    log_component = system.component_log_prob(given).log_softmax(-1)
    z = posterior.rsample((20_000,)).detach()
    joint = posterior.log_prob(z)[..., None] + log_component - system.component_log_prob(z)
    estimate = (log_component.exp() * joint).sum(-1)
    assert ((estimate.mean(0) - system.rate(posterior, given)).abs() < 5 * estimate.std(0) / math.sqrt(20_000) + 1e-3).all()


def test_vade_prior_is_a_distribution_and_its_samples_are_of_it():
    system = several(lambda config: Vade(replace(config, latent=2), components=3))
    with torch.no_grad():
        axis = torch.linspace(-25, 25, 1001)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
        density = system.prior_log_prob(grid).exp()
        assert density.sum().item() * 0.05**2 == pytest.approx(1, abs=1e-3)
        torch.manual_seed(0)
        z = system.sample_prior(20_000)
        mean = (density[..., None] * grid).sum((0, 1)) * 0.05**2
        torch.testing.assert_close(z.mean(0), mean, atol=0.1, rtol=0)


def test_vade_steps():
    system, x = several(Vade), images()
    system.pretraining = True
    assert set(system.loss(x)[1]) == {"distortion"}
    system.pretraining = False
    system.begin_with(torch.tensor([0.2, 0.8] + [0.0] * 8), torch.ones(10, 3), torch.full((10, 3), 2.0))
    assert system.share.softmax(0)[1].item() == pytest.approx(0.8, abs=1e-3)
    assert system.log_variance[0, 0].item() == pytest.approx(math.log(2))
    clusters = system.clusters(x)
    torch.testing.assert_close(clusters.sum(1), torch.ones(6))
    with pytest.raises(OptionError, match="at least 1"):
        Vade(TINY, components=0)


def test_gmvae_terms_are_a_bound_that_importance_samples_tighten():
    system, x = seeded(Gmvae).eval(), images(4)
    with torch.no_grad():
        for parameter in system.generator.parameters():
            parameter.mul_(3)
        torch.manual_seed(1)
        elbo = torch.stack([-sum(system.terms(x).values()) for _ in range(1000)]).mean(1)
        one = torch.stack([system.importance_log_likelihood(x, 1) for _ in range(1000)]).mean(1)
        many = torch.stack([system.importance_log_likelihood(x, 100) for _ in range(5)]).mean()
    # The terms sum y out after choosing it, so that they may lie below the bound of one sample, never above.
    error = 4 * (elbo.std() + one.std()) / math.sqrt(1000)
    assert elbo.mean() < one.mean() + error and one.mean() < many


def test_gmvae_terms_equal_monte_carlo():
    system, x = seeded(Gmvae), images(2)
    with torch.no_grad():
        torch.manual_seed(3)
        features = system.body(x)
        posterior, posterior_w = system.posterior(x), system.posterior_w(features)
        terms = {name: [] for name in ("conditional", "rate_w", "rate_y")}
        for _ in range(400):
            for name, values in terms.items():
                values.append(system.terms(x)[name])
        z, w = posterior.rsample((20_000,)), posterior_w.rsample((20_000,))
        prior_w = -0.5 * (w.square() + math.log(2 * math.pi)).sum(-1)
        rate_w = (posterior_w.log_prob(w) - prior_w).mean(0)
        torch.testing.assert_close(torch.stack(terms["rate_w"]).mean(0), rate_w, atol=0.05, rtol=0.05)
        log_y = system.component_log_prob(z, w).log_softmax(-1)
        rate_y = (log_y.exp() * (log_y + math.log(10))).sum(-1).mean(0)
        torch.testing.assert_close(torch.stack(terms["rate_y"]).mean(0), rate_y, atol=0.05, rtol=0.2)
        fixed = log_y.exp()[:200]  # z given by another draw than the one that y was chosen by
        other = posterior.rsample((200,))
        apart = posterior.log_prob(other)[..., None] - system.component_log_prob(other, w[:200]) - math.log(10)
        cross = (fixed * apart).sum(-1)
        torch.testing.assert_close(torch.stack(terms["conditional"]).mean(0), cross.mean(0), atol=0.5, rtol=0.1)


def test_gmvae_interface():
    system, x = seeded(Gmvae), images()
    loss, terms = system.loss(x)
    loss.backward()
    assert terms.keys() == system.weights().keys() and all(p.grad is not None for p in system.parameters())
    assert system.sample_prior(5).shape == (5, 3) and system.clusters(x).shape == (6, 10)
    with pytest.raises(OptionError, match="at least 1"):
        Gmvae(TINY, noise=0)


def test_every_vector_is_replaced_by_the_nearest_and_the_gradient_passes_over():
    torch.manual_seed(0)
    book = Quantised(4, 2)
    with torch.no_grad():
        book.codes.copy_(torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]]))
    grid = torch.tensor([[0.9, 0.2], [0.1, 0.8]]).T.reshape(1, 2, 1, 2)
    vectors, indices = book(grid)
    assert indices.flatten().tolist() == [1, 2] and vectors[0, :, 0, 0].tolist() == [1, 0]
    system, x = seeded(lambda config: VqVae(replace(config, side=8), codes=16, hidden=16)), images()
    loss, terms = system.loss(x)
    loss.backward()
    assert system.body[0].weight.grad.abs().sum() > 0 and system.codebook.codes.grad.abs().sum() > 0
    torch.testing.assert_close(terms["codebook"], terms["commitment"])
    assert system.encode(x).shape == (6, 2, 2) and system.decode(system.encode(x)).shape == x.shape
    assert system.features(x).shape == (6, 12)
    for change in ({"codes": 1}, {"commitment": -1.0}):
        with pytest.raises(OptionError, match="at least 2"):
            VqVae(TINY, **change)


def test_codes_learn_from_their_term_and_vectors_from_theirs():
    system, x = seeded(lambda config: VqVae(config, codes=16, hidden=16)), images()
    terms = system.terms(x)
    terms["codebook"].sum().backward(retain_graph=True)
    assert system.codebook.codes.grad.abs().sum() > 0 and system.body[0].weight.grad is None
    system.codebook.codes.grad = None
    (terms["distortion"] + terms["commitment"]).sum().backward()
    assert system.codebook.codes.grad is None and system.body[0].weight.grad.abs().sum() > 0


def test_mixed_precision_is_near_float32_and_only_in_training():
    plain, x = seeded(lambda config: VqVae(config, codes=16, hidden=16)), images()
    mixed = seeded(lambda config: VqVae(config, codes=16, hidden=16, bf16=True))
    exact, near = plain.train().terms(x), mixed.train().terms(x)
    assert near["distortion"].dtype == torch.float32 and not torch.equal(near["distortion"], exact["distortion"])
    torch.testing.assert_close(near["distortion"], exact["distortion"], rtol=2e-2, atol=0.0)
    mixed.loss(x)[0].backward()
    assert all(weight.grad.dtype == torch.float32 for weight in mixed.parameters())
    assert torch.equal(mixed.eval().decode(mixed.encode(x)), plain.eval().decode(plain.encode(x)))


def test_codes_that_nobody_uses_begin_again():
    torch.manual_seed(0)
    book = Quantised(64, 3, restart_after=5)
    with torch.no_grad():
        book.codes.add_(50)  # far from everything: one code takes all
    used = []
    for _ in range(40):
        _, indices = book(torch.randn(8, 3, 4, 4))
        used.append(len(indices.unique()))
    assert used[0] == 1 and used[-1] > 30
    book.eval()
    before = book.idle.clone()
    book(torch.randn(8, 3, 4, 4))
    assert torch.equal(book.idle, before)


def gradients(system: VaeGan, name: str, x: torch.Tensor) -> dict[str, float]:
    """Which parts a term moves."""
    system.zero_grad()
    torch.manual_seed(5)
    system.terms(x)[name].sum().backward()
    parts = {"encoder": (system.body, system.head), "generator": (system.generator,), "discriminator": (system.discriminator,)}
    return {
        part: sum(float(p.grad.abs().sum()) for module in modules for p in module.parameters() if p.grad is not None)
        for part, modules in parts.items()
    }


@pytest.mark.parametrize(("noise", "patches"), [(0.0, False), (0.3, False), (0.3, True)])
@pytest.mark.parametrize(
    ("term", "moved"),
    [
        ("rate", {"encoder"}), ("matching", {"encoder", "generator"}), ("fooling", {"generator"}),
        ("discriminator", {"discriminator"}),
    ],
)
def test_each_network_learns_from_its_own_terms(term, moved, noise, patches):
    found = gradients(seeded(lambda config: VaeGan(config, noise=noise, patches=patches)), term, images())
    assert {part for part, amount in found.items() if amount > 0} == moved, found


def test_a_player_that_is_far_ahead_waits():
    system = seeded(VaeGan)
    for on_real, on_fake, expected in (
        (0.1, 0.1, (False, True)), (2.0, 0.9, (True, False)), (0.69, 0.69, (True, True)), (0.1, 2.0, (True, True)),
    ):
        system._gate(on_real, on_fake)
        assert (system.learns["discriminator"], system.learns["generator"]) == expected
    system.learns = {"discriminator": False, "generator": True}
    assert system.eval().terms(images())["discriminator"].abs().sum() == 0
    with pytest.raises(OptionError, match="none below 0"):
        VaeGan(TINY, matching=-1)

"""The mVAE among the nine systems, and its words: tokens, rate, phases, distillation; no data."""

import math
from dataclasses import replace

import pytest
import torch

from mvae.engine.system_titles import SYSTEM_TITLES
from mvae.errors import OptionError
from mvae.models.mvae_system import MvaeSystem
from mvae.models.quantile import cell_center
from mvae.models.system import SystemConfig
from mvae.models.systems import build_system
from mvae.models.vq_vae import VqVae
from mvae.objective import latent_distillation
from mvae.training.label_words import LabelWords, train_words

TINY = SystemConfig(side=8, latent=4, width=16, likelihood="gaussian", variance=0.05)


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [name for name in SYSTEM_TITLES if name != "mvae_small"])
def test_every_system_is_built_on_the_shared_backbone_and_learns(name):
    torch.manual_seed(0)
    system, x = build_system(name, TINY, steps=10), images()
    loss, _ = system.loss(x)
    loss.backward()
    first = next(p for p in system.body.parameters() if p.ndim == 2)
    assert first.shape == (TINY.width, 64) and torch.isfinite(loss) and first.grad.abs().sum() > 0
    if isinstance(system, VqVae):
        near = system.decode_near(system.features(x))
        assert torch.allclose(near, system.decode(system.encode(x)))


def test_an_unknown_system_is_named():
    with pytest.raises(OptionError, match="expected one of"):
        build_system("vqgan", TINY)


def test_tokens_are_cells_of_the_prior():
    system = MvaeSystem(TINY, levels=4, coordinates=2)
    assert (system.positions, system.codebook) == (2, 16)
    z = torch.tensor([[-3.0, 3.0, 0.1, -0.1]])
    assert system.tokens(z).tolist() == [[0 * 4 + 3, 2 * 4 + 1]]
    medians = cell_center(torch.arange(4), 4)
    assert torch.allclose(system.latents(system.tokens(z)), medians[torch.tensor([[0, 3, 2, 1]])])


def test_beta_follows_the_rate():
    for target, moves in ((1e-3, 1), (1e6, -1)):
        system = MvaeSystem(TINY, rate_nats=target)
        system.loss(images())
        assert math.copysign(1, system.log_beta) == moves
    assert system.eval().loss(images()) and system.calls == 1  # evaluation moves nothing


def test_the_encoder_stands_still_in_the_last_steps():
    system = MvaeSystem(TINY, steps=10, exact_from=0.0)
    system.loss(images())[0].backward()
    assert all(p.grad is None or not p.grad.any() for p in (*system.body.parameters(), *system.head.parameters()))
    assert all(p.grad is not None and p.grad.any() for p in system.generator.parameters())


def test_a_student_learns_its_teachers_posterior_and_pictures():
    torch.manual_seed(1)
    teacher, x = MvaeSystem(TINY), images()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = MvaeSystem(replace(TINY, width=8), teacher=teacher)
    loss, terms = student.loss(x)
    loss.backward()
    wanted, own = teacher.posterior(x).base_dist, student.posterior(x).base_dist
    expected = latent_distillation(wanted.loc, 2 * wanted.scale.log(), own.loc, 2 * own.scale.log())
    assert torch.allclose(terms["distillation"], expected, atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert not any(p.grad is not None for p in teacher.parameters()) and len(list(student.parameters())) == len(before)


def test_bad_settings_are_named():
    for change in ({"levels": 1}, {"coordinates": 3}, {"noisy_share": 2.0}, {"steps": 0}):
        with pytest.raises(OptionError, match="expected at least 2 levels"):
            MvaeSystem(TINY, **change)
    with pytest.raises(OptionError, match="a teacher with latent"):
        MvaeSystem(replace(TINY, latent=8), teacher=MvaeSystem(TINY))


def test_words_learn_which_tokens_a_class_has():
    torch.manual_seed(0)
    words = LabelWords(codebook=8, positions=2, classes=("0", "Bag"))
    assert words.classes == ["zero", "bag"]
    labels = torch.arange(64) % 2
    tokens = torch.stack([labels * 3 + 1, labels * 2], 1)
    report = train_words(words, tokens, labels, epochs=30, seed=0, batch=32)
    drawn = words.draw(torch.tensor([0, 1, 1]), seed=3, temperature=0.2)
    assert drawn.tolist() == [[1, 0], [4, 2], [4, 2]] and report["nats_per_token"] < 0.5
    assert torch.equal(drawn, words.draw(torch.tensor([0, 1, 1]), seed=3, temperature=0.2))

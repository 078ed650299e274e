"""Whose gradients the adversarial terms reach, and that a discriminator learns to tell pictures apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.data.dataset import Pictures
from mvae.models.discriminator import PatchDiscriminator, adversarial_terms
from mvae.training.loop import train_stage
from mvae.training.recipe import load_recipe
from mvae.training.vae_stage import VaeTraining


@pytest.mark.parametrize(("term", "reaches_discriminator"), [("discriminator", True), ("generator", False), ("matching", False)])
def test_each_term_moves_its_own_side(term, reaches_discriminator):
    torch.manual_seed(0)
    discriminator, x = PatchDiscriminator(), torch.rand(2, 4, 64, 64)
    reconstruction = torch.rand(2, 4, 64, 64, requires_grad=True)
    adversarial_terms(discriminator, x, reconstruction)[term].backward()
    moved = any(p.grad is not None and p.grad.abs().max() > 0 for p in discriminator.parameters())
    assert moved == reaches_discriminator
    assert (reconstruction.grad is not None) != reaches_discriminator


def test_equal_pictures_match_and_cannot_be_told_apart():
    torch.manual_seed(0)
    discriminator, x = PatchDiscriminator(), torch.rand(2, 4, 64, 64)
    terms = adversarial_terms(discriminator, x, x.clone())
    assert terms["matching"] == 0 and terms["discriminator"] > 0.9
    optimiser = torch.optim.Adam(discriminator.parameters(), 2e-3)
    for _ in range(40):
        loss = adversarial_terms(discriminator, x, x / 2)["discriminator"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.5


def test_it_counts_from_its_part_of_the_run(tmp_path):
    tiny = load_recipe("tiny").vae
    side = tiny.config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (8, side, side, 4), np.uint8)
    pictures = Pictures(pixels, ["x"] * 8, [{}] * 8)
    stage = replace(
        tiny, adversarial=0.1, matching=0.1, adversarial_from=0.5, schedule=replace(tiny.schedule, steps=4, batch=4, ema=0.0)
    )
    training = VaeTraining(stage, pictures, pictures)
    before = {name: value.clone() for name, value in training.module.discriminator.state_dict().items()}
    assert [training.in_phase(training.batch(step, 0, 1), step)["judged"] for step in range(4)] == [False, False, True, True]
    trained = train_stage(training, tmp_path / "run", resume=False, progress=False).discriminator.state_dict()
    assert any(not torch.equal(before[name], trained[name]) for name in before)

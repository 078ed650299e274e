"""Refinement of one picture's posterior: gradients written out, bounds that tighten, a graph without torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from export.refiner import export_refiner
from mvae.config import VaeConfig
from mvae.data.dataset import Pictures
from mvae.engine.refiner import Refiner
from mvae.errors import DataError, IntegrityError, OptionError
from mvae.models.export_wrappers import RefinedEncoderGraph, premultiplied_pixels
from mvae.models.mvae import MVAE
from mvae.models.refine import Refinement, refine
from mvae.models.reverse import forward_and_backward
from mvae.objective import gaussian_kl, gaussian_log_likelihood
from mvae.training.recipe import load_recipe
from mvae.training.vae_stage import VaeTraining

CONFIG = VaeConfig(
    image_size=48, patch=4, grid=4, levels=4, latent_id="test", encoder_widths=(8, 12, 16), encoder_blocks=(0, 1, 0),
    decoder_widths=(16, 12, 8), decoder_blocks=(1, 1, 0), shortcuts=True,
)
"""4 → 8 → 12 places a side: shortcuts, nearest and bilinear interpolation."""


@pytest.fixture(scope="module")
def vae() -> MVAE:
    torch.manual_seed(0)
    made = MVAE(CONFIG)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter) + 0.4)
        for _ in range(10):
            made.decoder(torch.randn(4, 4, 4, 4))
            made.encoder(torch.rand(4, 4, 48, 48))
    return made.eval()


def test_the_decoder_and_its_gradient_equal_autograd(vae):
    torch.manual_seed(1)
    z = torch.randn(2, 4, 4, 4, requires_grad=True)
    gradient = torch.randn(2, 4, 48, 48)
    expected = vae.decoder(z)
    expected.backward(gradient)
    with torch.no_grad():
        inner, back_trunk = forward_and_backward(vae.decoder.trunk, z)
        drawn, back_tail = forward_and_backward(vae.decoder.tail, inner)
        torch.testing.assert_close(drawn + 0.5, expected.detach(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(back_trunk(back_tail(gradient)), z.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.Conv2d(3, 5, 2, stride=2), nn.PixelUnshuffle(2)])
def test_layers_that_shrink_equal_autograd(layer):
    for side in (8,) if not isinstance(layer, nn.Conv2d) else (8, 9):
        x = torch.randn(1, 3, side, side, requires_grad=True)
        y = layer(x)
        gradient = torch.randn_like(y)
        y.backward(gradient)
        torch.testing.assert_close(forward_and_backward(layer, x.detach())[1](gradient), x.grad, rtol=1e-4, atol=1e-4)


def test_what_is_not_known_is_refused():
    for layer in (nn.Sigmoid(), nn.Conv2d(4, 4, 3, groups=2)):
        with pytest.raises(DataError, match="no gradient is written out"):
            forward_and_backward(layer, torch.zeros(1, 4, 4, 4))


def test_bound_and_gradient_are_those_of_the_objective(vae):
    torch.manual_seed(2)
    image, mean = torch.rand(2, 4, 48, 48), torch.randn(2, 4, 4, 4, requires_grad=True)
    log_variance = (torch.randn(2, 4, 4, 4) - 2).requires_grad_()
    refinement = Refinement(vae, variance=0.02, samples=3)
    noisy = [vae.decoder(mean + torch.exp(0.5 * log_variance) * noise) for noise in refinement.noise]
    likelihood = torch.stack([gaussian_log_likelihood(image, drawn, 0.02) for drawn in noisy]).mean(0)
    expected = gaussian_kl(mean, log_variance) - likelihood
    expected.sum().backward()
    with torch.no_grad():
        found, (along_mean, along_variance) = refinement.gradient(image, mean, log_variance)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(along_mean, mean.grad, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(along_variance, log_variance.grad, rtol=1e-3, atol=1e-2)


def test_steps_tighten_the_bound_and_more_steps_tighten_it_more(vae):
    torch.manual_seed(3)
    image = torch.rand(3, 4, 48, 48)
    few, many = refine(Refinement(vae, steps=3), image), refine(Refinement(vae, steps=20), image)
    torch.testing.assert_close(few.before, many.before)
    assert (few.after < few.before).all() and (many.after < few.after).all()
    fresh = Refinement(vae, samples=16, seed=9)  # noise that it was not fitted to
    with torch.no_grad():
        amortised = fresh.gradient(image, *vae.encoder(image))[0]
        assert (fresh.gradient(image, many.mean, many.log_variance)[0] < amortised).all()


def test_a_graph_refines_without_torch(vae, tmp_path):
    path = tmp_path / "deep" / "refiner.onnx"
    report = export_refiner(vae, path, steps=2)
    assert report["after"] < report["before"] and path.stat().st_size == report["bytes"]
    pixels = torch.randint(0, 256, (1, 48, 48, 4), dtype=torch.uint8)
    image = premultiplied_pixels(pixels)
    with torch.no_grad():
        mean, log_variance, before, after = Refinement(vae, steps=2)(image, *vae.encoder(image))
    found = Refiner(path).refine(Image.fromarray(pixels[0].numpy(), "RGBA"))
    np.testing.assert_allclose(found.mean, mean[0].numpy(), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.log_variance, log_variance[0].numpy(), rtol=1e-3, atol=1e-3)
    assert found.before == pytest.approx(float(before), rel=1e-3) and found.after == pytest.approx(float(after), rel=1e-3)
    assert found.tokens == tuple(vae.tokens_from_mean(torch.from_numpy(found.mean)[None])[0].tolist())


def test_files_that_are_no_refiner_are_refused(tmp_path, vae):
    with pytest.raises(IntegrityError, match="cannot be read"):
        Refiner(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(IntegrityError):
        Refiner(tmp_path / "bad.onnx")
    half = MVAE(replace(CONFIG, decoded_size=24, patch=2, image_size=48, decoder_widths=(16, 12), decoder_blocks=(0, 0),
                        encoder_widths=(8, 8, 12, 16), encoder_blocks=(0, 0, 0, 0), grid=6))
    with pytest.raises(DataError, match="one size"):
        RefinedEncoderGraph(Refinement(half))


def test_the_last_phase_of_training_learns_from_refined_posteriors(vae):
    pictures = Pictures(np.random.default_rng(0).integers(0, 256, (8, 64, 64, 4), np.uint8), ["a"] * 8, [{}] * 8)
    tiny = load_recipe("tiny").vae
    stage = replace(tiny, perceptual=0.0, refined_from=0.5, refinement_steps=2)
    training = VaeTraining(stage, pictures, pictures)
    phases = [training.in_phase(training.batch(step, 0, 1), step) for step in (2, 6, 11)]
    assert [phase["refined"] for phase in phases] == [0, 2, 0]  # the encoder stands still in the end
    batch = phases[1]
    loss, metrics = training.loss(training.module(batch), batch, 6)
    loss.backward()
    assert metrics["amortisation_gap_nats"] > 0 and metrics["refinement_nats"] > 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in training.module.vae.encoder.parameters())
    assert training.module.vae.encoder.training


@pytest.mark.parametrize("change", [{"steps": 0}, {"rate": 0.0}, {"variance": -1.0}, {"samples": 0}])
def test_numbers_out_of_range_are_refused(vae, change):
    with pytest.raises(OptionError, match="at least 1 step"):
        Refinement(vae, **change)

"""Quantisation-aware training: what is rounded, what learns, and the way back."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mvae.data.dataset import Pictures
from mvae.errors import DataError
from mvae.models.blocks import conv_norm
from mvae.models.fake_quantise import FakeQuantisedConv2d, fake_quantise, plain_again
from mvae.models.mvae import MVAE
from mvae.training.loop import train_stage
from mvae.training.recipe import load_recipe
from mvae.training.vae_stage import VaeTraining
from tests.training.tiny_source import VAE


def warmed(layer: nn.Module, channels: int) -> nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(20):
            layer(torch.rand(4, channels, 6, 6))
    return layer


def test_it_computes_with_the_folded_weights_that_an_int8_kernel_gets():
    layer = warmed(conv_norm(3, 5), 3)
    with torch.no_grad():
        layer[1].weight.copy_(torch.tensor([0.5, 2.0, -1.0, 0.1, 0.0]))
    plain = copy.deepcopy(layer).eval()
    fake = fake_quantise(layer)
    x = torch.rand(2, 3, 6, 6)
    fake[0].train()
    fake[1].eval()
    with torch.no_grad():
        found = fake(x)
    scale = plain[1].weight * torch.rsqrt(plain[1].running_var + plain[1].eps)
    folded = (plain[0].weight * scale[:, None, None, None]).detach()
    step = folded.flatten(1).abs().amax(1).clamp(min=1e-12)[:, None, None, None] / 127
    bias = plain[1].bias - plain[1].running_mean * scale
    inputs = torch.round(x / (x.max() / 255)) * (x.max() / 255)
    expected = nn.functional.conv2d(inputs, torch.round(folded / step) * step, bias.detach(), padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        assert 0 < (plain(x) - found).abs().max() < 0.1


def test_zero_is_exact_and_what_is_beyond_the_range_is_cut_off():
    layer = fake_quantise(nn.Conv2d(1, 1, 1))
    with torch.no_grad():
        layer.low.fill_(-0.3)
        layer.high.fill_(0.7)
    x = torch.tensor([0.0, 0.7, 9.0, -9.0, 0.35], requires_grad=True)
    made = layer.rounded(x)
    step = 1 / 255
    assert made[0] == 0 and abs(made[2] - 0.7) <= step and abs(made[4] - 0.35) <= step / 2 and abs(made[3] + 0.3) <= step
    made.sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 0, 1]


def test_the_way_back_leaves_everything_as_it_was():
    vae = MVAE(VAE).eval()
    tokens = torch.randint(0, VAE.latent.codebook, (2, 64))
    before, names = vae.decode_tokens(tokens), list(vae.state_dict())
    fake_quantise(vae.decoder)
    assert sum(isinstance(part, FakeQuantisedConv2d) for part in vae.modules()) > 5
    assert any(name.endswith(".high") for name in vae.state_dict())
    plain_again(vae.decoder)
    assert torch.equal(vae.decode_tokens(tokens), before) and list(vae.state_dict()) == names
    assert not any(isinstance(part, FakeQuantisedConv2d) for part in vae.modules())


def test_a_run_learns_with_rounding_and_ends_without(tmp_path):
    tiny = load_recipe("tiny").vae
    side = tiny.config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (8, side, side, 4), np.uint8)
    pictures = Pictures(pixels, ["x"] * 8, [{}] * 8)
    stage = replace(
        tiny, fake_quantise=True, freeze_statistics_from=0.0, freeze_encoder_from=0.0,
        schedule=replace(tiny.schedule, steps=4, batch=4),
    )
    training = VaeTraining(stage, pictures, pictures)
    before = {name: tensor.clone() for name, tensor in training.module.vae.decoder.state_dict().items()}
    vae = train_stage(training, tmp_path / "run", resume=False, progress=False).vae
    assert all(part.high > part.low for part in vae.decoder.modules() if isinstance(part, FakeQuantisedConv2d))
    again = train_stage(VaeTraining(stage, pictures, pictures), tmp_path / "run", resume=True, progress=False).vae
    assert all(torch.equal(a, b) for a, b in zip(vae.state_dict().values(), again.state_dict().values(), strict=True))
    finished = plain_again(vae)
    assert any(not torch.equal(before[n], t) for n, t in finished.decoder.state_dict().items() if n in before and t.ndim == 4)
    MVAE(tiny.config).load_state_dict(finished.state_dict())
    with pytest.raises(DataError, match="freeze_statistics_from"):
        VaeTraining(replace(stage, freeze_statistics_from=0.5), pictures, pictures)


def test_ranges_are_looked_at_whatever_autocast_computes_in():
    torch.manual_seed(0)
    part = fake_quantise(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3)))
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            part(torch.randn(2, 2, 8, 8))
    assert all(layer.low.dtype == torch.float32 and layer.low < 0 < layer.high for layer in part)

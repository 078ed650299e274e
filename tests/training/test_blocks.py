"""The way round a change of resolution begins as averaging or repeating."""

import torch
from torch import nn

from mvae.config import VaeConfig
from mvae.models.blocks import Shortcut, stage
from mvae.models.mvae import MVAE


class Nothing(nn.Module):
    def forward(self, x):
        return torch.zeros(())


def test_going_down_averages_neighbours():
    x = torch.rand(2, 6, 8, 8)
    assert torch.allclose(Shortcut(Nothing(), 6, 6, up=False)(x), nn.functional.avg_pool2d(x, 2), atol=1e-6)
    assert torch.allclose(Shortcut(Nothing(), 6, 3, up=False)(x).mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)


def test_going_up_repeats():
    x = torch.rand(2, 6, 4, 4)
    repeated = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(Shortcut(Nothing(), 6, 6, up=True)(x), repeated)
    assert torch.equal(Shortcut(Nothing(), 6, 12, up=True)(x), repeated.repeat_interleave(2, 1))


def test_only_changes_by_two_get_one():
    for source, size, wanted in (((8, 8), (16, 16), 1), ((16, 16), (8, 8), 1), ((8, 8), (8, 8), 0), ((12, 12), (32, 32), 0)):
        made = stage(4, 8, [8], source=source, size=size, shortcuts=True)
        assert sum(isinstance(layer, Shortcut) for layer in made) == wanted
        assert made(torch.rand(2, 4, *source)).shape == (2, 8, *size)


def test_a_whole_model_with_shortcuts_learns_through_them():
    config = VaeConfig(
        image_size=64, patch=2, encoder_widths=(8, 8, 8), encoder_blocks=(0, 0, 0), decoder_widths=(8, 8, 8),
        decoder_blocks=(0, 0, 0), shortcuts=True,
    )
    vae = MVAE(config)
    vae(torch.rand(2, 4, 64, 64), torch.tensor([True, False]))["reconstruction"].square().mean().backward()
    found = [p.grad for n, p in vae.named_parameters() if ".shortcut." in n]
    assert len(found) == 4 and all(g.abs().max() > 0 for g in found)

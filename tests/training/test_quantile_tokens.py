"""Prior-quantile tokens: equal mass, round trip, straight-through gradient."""

import math
from dataclasses import replace

import pytest
import torch

from mvae.config import VaeConfig
from mvae.errors import DataError
from mvae.models.mvae import MVAE, capacity_nats
from mvae.models.quantile import (
    cell_center,
    cell_index,
    cells_to_tokens,
    latent_table,
    normal_quantile,
    quantise_straight_through,
)

TINY = VaeConfig(
    image_size=64, patch=2, encoder_widths=(8, 8, 8), encoder_blocks=(0, 0, 1), decoder_widths=(8, 8, 8), decoder_blocks=(1, 0, 0)
)


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_cells_have_equal_prior_mass(levels):
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(cell_index(z, levels), minlength=levels) / len(z)
    assert (share - 1 / levels).abs().max() < 5 * math.sqrt(1 / levels / len(z))


def test_center_is_the_median_of_its_cell():
    index = torch.arange(8)
    assert torch.equal(cell_index(cell_center(index, 8), 8), index)
    edges = normal_quantile(torch.arange(1, 8) / 8)
    below = torch.nextafter(edges, torch.tensor(-math.inf)) - 1e-5
    assert torch.equal(cell_index(below, 8), torch.arange(7)) and torch.equal(cell_index(edges + 1e-5, 8), torch.arange(1, 8))


def test_every_token_round_trips_and_the_mask_is_the_prior_mean():
    table = latent_table(8, 4)
    assert table.shape == (4097, 4) and table[4096].abs().max() == 0
    cells = cell_index(table[:4096].T.reshape(1, 4, 64, 64), 8)
    assert torch.equal(cells_to_tokens(cells, 8)[0], torch.arange(4096))


def test_model_round_trip():
    model = MVAE(TINY).eval()
    tokens = torch.randint(0, 4096, (3, 64), generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.tokens_from_mean(model.latents_from_tokens(tokens)), tokens)
    assert capacity_nats(TINY) == pytest.approx(64 * math.log(4096))


def test_gradient_is_density_ratio_and_vanishes_at_saturation():
    mean = torch.tensor([0.3, -1.2, 6.0, -9.0], requires_grad=True)
    z = quantise_straight_through(mean, 8)
    z.sum().backward()
    density = torch.exp(-0.5 * mean.detach() ** 2), torch.exp(-0.5 * z.detach() ** 2)
    torch.testing.assert_close(mean.grad[:2], (density[0] / density[1])[:2], rtol=1e-3, atol=1e-4)
    assert mean.grad[2:].abs().max() < 1e-6
    assert torch.isfinite(z).all()


def test_quantised_value_is_the_tokens_latent():
    mean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    model = MVAE(TINY)
    torch.testing.assert_close(
        model.quantise(mean), model.latents_from_tokens(model.tokens_from_mean(mean)), rtol=1e-4, atol=1e-5
    )


def test_decoded_colour_never_exceeds_alpha():
    model = MVAE(TINY).eval()
    image = model.decode_tokens(torch.randint(0, 4097, (2, 64)))
    assert image.shape == (2, 4, 64, 64) and image.min() >= 0 and (image[:, :3] <= image[:, 3:]).all()


@pytest.mark.parametrize(
    ("changes", "positions"),
    [({"depth": 2}, 128), ({"columns": 16}, 128), ({"grid": 12}, 144), ({"levels": 4, "coordinates": 6, "depth": 2}, 128)],
)
def test_other_grids_round_trip(changes, positions):
    config = replace(TINY, **changes)
    model = MVAE(config).eval()
    tokens = torch.randint(0, config.latent.codebook, (2, positions), generator=torch.Generator().manual_seed(0))
    assert config.latent.positions == positions
    assert torch.equal(model.tokens_from_mean(model.latents_from_tokens(tokens)), tokens)
    image = torch.rand(2, 4, 64, 64)
    assert model.encode_tokens(image).shape == (2, positions) and model.decode_tokens(tokens).shape == image.shape
    assert capacity_nats(config) == pytest.approx(positions * math.log(config.latent.codebook))


def test_tokens_of_one_position_stand_together():
    cells = torch.zeros(1, 4, 2, 2, dtype=torch.long)
    cells[0, :, 0, 1] = torch.tensor([1, 2, 3, 4])
    assert cells_to_tokens(cells, 8, depth=2)[0].tolist() == [0, 0, 10, 28, 0, 0, 0, 0]


def test_resolutions_must_meet():
    with pytest.raises(DataError, match="expected 32×32"):
        MVAE(VaeConfig(image_size=128, patch=4, encoder_widths=(8, 8), encoder_blocks=(0, 0)))

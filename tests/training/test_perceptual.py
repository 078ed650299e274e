"""The perceptual distance: zero for equal pictures, worse for worse ones, a gradient for the decoder, none for its network."""

import pytest
import torch

from mvae.models.perceptual import PerceptualDistance


@pytest.fixture(scope="module")
def distance() -> PerceptualDistance:
    return PerceptualDistance().train()


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """A disc with a hole on nothing, [1, 4, 64, 64], premultiplied."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    radius = ((x - 32) ** 2 + (y - 32) ** 2).sqrt()
    alpha = ((radius < 28) & (radius > 8)).float()
    return torch.stack([alpha, 0.5 * alpha, 0 * alpha, alpha])[None]


def test_equal_pictures_have_no_distance_and_blur_has_more_than_a_little_noise(distance, picture):
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(picture, (4, 4, 4, 4)), 9, 1)
    noisy = (picture + 0.004 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    same, little, much = (distance(picture, other).item() for other in (picture, noisy, blurred))
    assert same == pytest.approx(0, abs=1e-6)
    assert same < little < much <= 4


def test_what_is_transparent_has_no_colour(distance, picture):
    hidden = picture.clone()
    hidden[:, 3] = 0
    hidden[:, :3] = 0
    white = torch.ones_like(picture)
    assert distance(hidden, white).item() == pytest.approx(0, abs=1e-6)


def test_gradient_reaches_the_reconstruction_only(distance, picture):
    reconstruction = (0.9 * picture).requires_grad_()
    distance(picture, reconstruction).sum().backward()
    assert reconstruction.grad.abs().sum() > 0
    assert not distance.network.training and all(p.grad is None for p in distance.network.parameters())

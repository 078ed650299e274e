"""Reconstruction, Fréchet distance, paired comparison and discriminant analysis against closed forms."""

import numpy as np
import pytest
import torch

from mvae.errors import DataError, ImageError
from mvae.evaluate.ceilings import hits, resample
from mvae.evaluate.discriminant import fit_discriminant
from mvae.evaluate.drawings import composite_on_white
from mvae.evaluate.frechet import frechet_distance
from mvae.evaluate.paired import bootstrap_difference, mcnemar
from mvae.evaluate.reconstruction import PSNR_CAP, psnr, shrink, ssim


def flat(value: int, side: int = 16) -> np.ndarray:
    return np.full((1, side, side, 3), value, np.uint8)


def test_psnr_of_a_constant_difference():
    assert psnr(flat(100), flat(110))[0] == pytest.approx(20 * np.log10(25.5))
    assert psnr(flat(0), flat(255))[0] == pytest.approx(0)
    assert psnr(flat(7), flat(7))[0] == PSNR_CAP


def test_psnr_is_per_image_and_does_not_wrap_around():
    first, second = np.concatenate([flat(0), flat(9)]), np.concatenate([flat(255), flat(9)])
    assert psnr(first, second).tolist() == psnr(second, first).tolist() == [0, PSNR_CAP]


def test_ssim_of_flat_images_is_its_luminance_term():
    luminance = (2 * 50 * 90 + 2.55**2) / (50**2 + 90**2 + 2.55**2)
    assert ssim(flat(50), flat(90))[0] == pytest.approx(luminance, abs=1e-9)


def test_ssim_is_one_only_for_equal_images():
    noise = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
    assert ssim(noise, noise) == pytest.approx([1, 1])
    assert ssim(noise, noise[::-1]).max() < 0.3


@pytest.mark.parametrize("second", [flat(0)[0], flat(0, 8), flat(0).astype(float)])
def test_pairs_must_fit(second):
    for measure in (psnr, ssim):
        with pytest.raises(ImageError, match="expected two uint8"):
            measure(flat(0), second)


def test_ssim_refuses_images_below_its_window():
    with pytest.raises(ImageError, match="at least 11"):
        ssim(flat(0, 10), flat(0, 10))


def test_shrinking_averages_areas():
    image = np.zeros((1, 4, 4, 3), np.uint8)
    image[0, :2, :2] = [[[0, 0, 0], [10, 20, 40]], [[20, 40, 80], [30, 60, 120]]]
    assert shrink(image, 2)[0, 0, 0].tolist() == [15, 30, 60]
    with pytest.raises(ImageError, match="divisor of 4"):
        shrink(image, 3)


def test_compositing_and_resampling_hide_colours_of_transparent_pixels():
    drawing = np.zeros((1, 4, 4, 4), np.uint8)
    drawing[..., 0] = 255  # red, but transparent
    drawing[0, :2, :2] = (0, 0, 200, 255)
    assert (composite_on_white(drawing)[0, 3, 3] == 255).all()
    small = resample(drawing, 1)
    assert small[0, 0, 0].tolist() == [0, 0, 200, 64]


def test_frechet_distance_of_equal_sets_is_zero():
    features = np.random.default_rng(0).normal(size=(50, 8))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_two_gaussians():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(400, 3))
    base = (base - base.mean(0)) @ np.linalg.inv(
        np.linalg.cholesky(np.cov(base, rowvar=False))
    ).T  # mean 0, covariance 1, exactly
    first, second = base * [1, 2, 3], base * [2, 2, 1] + [5, 0, 0]
    assert frechet_distance(first, second) == pytest.approx(25 + 1 + 0 + 4)
    assert frechet_distance(second, first) == pytest.approx(30)


def test_frechet_distance_needs_two_rows():
    with pytest.raises(DataError, match="at least 2"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_paired_difference_and_interval():
    first = np.array([1] * 60 + [0] * 40, bool)
    second = np.array([1] * 50 + [0] * 50, bool)  # ten draws that only the first hits
    difference, low, high = bootstrap_difference(first, second)
    assert difference == pytest.approx(0.1)
    deviation = np.sqrt(0.1 * 0.9 / 100)
    assert (low, high) == (pytest.approx(0.1 - 1.96 * deviation, abs=0.02), pytest.approx(0.1 + 1.96 * deviation, abs=0.02))
    assert bootstrap_difference(first, second) == (difference, low, high)
    assert bootstrap_difference(first, first) == (0, 0, 0)


def test_mcnemar_is_the_exact_binomial_tail():
    first, second = np.array([1, 1, 1, 1, 1, 0], bool), np.array([0, 0, 0, 0, 0, 0], bool)
    assert mcnemar(first, second) == pytest.approx(2 / 2**5)
    assert mcnemar(first, first) == 1
    with pytest.raises(DataError, match="equal"):
        mcnemar(first, second[:3])


def test_hits_count_ranks_below_the_cut():
    assert hits(np.array([0, 1, 4, 5]), 1) == 0.25
    assert hits(np.array([0, 1, 4, 5]), 5) == 0.75


def test_discriminant_ignores_the_direction_in_which_classes_vary():
    rng = np.random.default_rng(0)
    class_N = torch.arange(30).repeat(4)
    features = rng.normal(size=(120, 6))
    features[:, :3] = rng.normal(size=(30, 3))[class_N] + 0.01 * features[:, :3]  # what a class is
    features[:, 3:] *= 30  # how it is drawn
    features = torch.from_numpy(features)
    weight, bias, directions = fit_discriminant(features[:90], class_N[:90], 3, shrinkage=1e-6)
    unit = torch.nn.functional.normalize(features[90:] @ weight.T + bias, dim=1)
    assert ((unit @ directions.T).argmax(1) == class_N[90:]).float().mean() > 0.9
    assert directions.shape == (30, 3)
    assert torch.allclose(directions.norm(dim=1), torch.ones(30, dtype=directions.dtype))
    raw = torch.cdist(features[90:], features[:90]).argmin(1)
    assert (class_N[raw] == class_N[90:]).float().mean() < 0.5


def test_discriminant_whitens_within_classes():
    generator = torch.Generator().manual_seed(0)
    class_N = torch.arange(5).repeat(40)
    features = torch.randn(200, 4, generator=generator, dtype=torch.float64) @ torch.randn(
        4, 4, generator=generator, dtype=torch.float64
    )
    weight, bias, _ = fit_discriminant(features, class_N, 4, shrinkage=0)
    mapped = features @ weight.T + bias
    means = torch.stack([mapped[class_N == number].mean(0) for number in range(5)])
    within = mapped - means[class_N]
    assert torch.allclose(within.T @ within / 195, torch.eye(4, dtype=torch.float64), atol=1e-8)

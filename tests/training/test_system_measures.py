"""The class-conditional mixture, density and coverage: closed cases."""

import numpy as np
import pytest

from mvae.errors import DataError
from mvae.evaluate.class_mixture import fit_class_mixture
from mvae.evaluate.manifold import density_and_coverage


def test_a_mixture_finds_what_it_was_drawn_from():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 800)
    latents = random.normal(size=(1600, 2)) * (1.0, 0.3) + np.where(labels[:, None] == 1, (6.0, -2.0), (0.0, 0.0))
    found = fit_class_mixture(latents, labels, 2, components=1)
    assert found["weights"].tolist() == [[1.0], [1.0]] and found["factors"].shape == (2, 1, 2, 2)
    assert np.allclose(found["means"][:, 0], [(0, 0), (6, -2)], atol=0.12)
    covariance = found["factors"][1, 0].astype(float) @ found["factors"][1, 0].astype(float).T
    assert np.allclose(covariance, np.diag((1.0, 0.09)), atol=0.1)
    assert (found["factors"][:, :, 0, 1] == 0).all()


def test_a_class_without_enough_images_is_named():
    with pytest.raises(DataError, match="class 1 has 2 images"):
        fit_class_mixture(np.zeros((12, 2)), np.array([0] * 10 + [1] * 2), 2, components=5)


def test_density_and_coverage_of_known_sets():
    real = np.arange(20, dtype=float)[:, None] * (1.0, 0.0)
    density, coverage = density_and_coverage(real, real, neighbours=2)
    assert coverage == 1.0 and density > 0.4
    assert density_and_coverage(real, real + 1000, neighbours=2) == (0.0, 0.0)
    half = density_and_coverage(real, real[:10] + 0.1, neighbours=2)
    assert 0.5 <= half[1] <= 0.6 and half[1] < coverage  # those beyond have nothing near
    one = density_and_coverage(real, np.tile(real[5], (50, 1)), neighbours=2)
    assert one[1] <= 0.25 and one[0] > 0.4  # one good picture, again and again


def test_features_that_do_not_fit_are_refused():
    for pair in ((np.zeros((9, 2)), np.zeros((9, 3))), (np.zeros((5, 2)), np.zeros((9, 2)))):
        with pytest.raises(DataError, match="more real rows"):
            density_and_coverage(*pair)

"""Clustering accuracy, and how VaDE's mixture begins."""

from itertools import permutations

import numpy as np
import pytest
import torch

from mvae.errors import DataError, TrainingError
from mvae.evaluate.clustering import clustering_accuracy
from mvae.models.system import SystemConfig
from mvae.models.vade import Vade
from mvae.training.system_loop import Settings
from mvae.training.vade_start import begin_mixture, pretrain

TINY = SystemConfig(side=8, width=24, hidden=(32, 24), latent=3, classes=2)


def test_renamed_clusters_are_all_right():
    labels = np.arange(60) % 4
    for order in permutations(range(4)):
        assert clustering_accuracy(np.array(order)[labels], labels) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_matchings(seed):
    random = np.random.default_rng(seed)
    clusters, labels = random.integers(0, 4, (2, 50))
    best = max(np.mean(np.array(order)[clusters] == labels) for order in permutations(range(4)))
    assert clustering_accuracy(clusters, labels) == pytest.approx(best)


def test_a_cluster_too_many_counts_as_wrong_and_an_empty_one_as_nothing():
    labels = np.array([0, 0, 0, 0, 1, 1])
    assert clustering_accuracy(np.array([0, 0, 2, 2, 1, 1]), labels) == pytest.approx(4 / 6)
    assert clustering_accuracy(np.array([7, 7, 7, 7, 3, 3]), labels) == 1.0
    assert clustering_accuracy(np.zeros(6), labels) == pytest.approx(4 / 6)


def test_lengths_that_differ_are_refused():
    for clusters, labels in (([0, 1], [0]), ([], [])):
        with pytest.raises(DataError, match="as many of both"):
            clustering_accuracy(np.array(clusters), np.array(labels))


def two_kinds(count: int = 120) -> tuple[torch.Tensor, np.ndarray]:
    """Images that are bright above or bright below."""
    labels = np.arange(count) % 2
    images = torch.full((count, 1, 8, 8), 0.1) + 0.05 * torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images[labels == 0, :, :4] += 0.7
    images[labels == 1, :, 4:] += 0.7
    return images, labels


def test_vade_begins_with_a_mixture_of_its_autoencoders_latents():
    images, labels = two_kinds()
    torch.manual_seed(0)
    system = Vade(TINY)
    logged = pretrain(system, images, Settings(epochs=15, batch=20, optimiser="adam", learning_rate=3e-3))
    assert not system.pretraining and set(logged.terms[0]) == {"distortion"} and logged.loss[-1] < logged.loss[0] - 5
    likelihood = begin_mixture(system, images, fits=3)
    with torch.no_grad():
        own = system.prior_log_prob(system.features(images)).mean().item()
        found = system.clusters(images).argmax(1).numpy()
    assert own == pytest.approx(likelihood, abs=0.05)
    assert clustering_accuracy(found, labels) == 1.0


def test_more_components_than_images_cannot_be_fitted():
    with pytest.raises(TrainingError, match="no mixture of 1 latents"):
        begin_mixture(Vade(TINY), torch.rand(1, 1, 8, 8))

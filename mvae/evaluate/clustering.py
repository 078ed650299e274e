"""Clustering accuracy: the share of images whose cluster is the one matched to their class, one cluster a class."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from mvae.errors import DataError


def clustering_accuracy(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Clusters and labels, whole numbers from 0, [N] each → accuracy in [0, 1] under the matching of clusters to classes that
    makes it largest (Kuhn 1955; the ACC of Xie et al. 2016). A cluster too many counts as wrong: this is no purity.

    Labels are used here, and nowhere in training. Raises :class:`DataError` for two lengths that differ, or nothing.
    """
    clusters, labels = np.asarray(clusters, np.int64), np.asarray(labels, np.int64)
    if clusters.shape != labels.shape or clusters.ndim != 1 or not len(labels):
        raise DataError(f"clusters {clusters.shape}, labels {labels.shape}; expected as many of both, at least one")
    side = int(max(clusters.max(), labels.max())) + 1
    together = np.bincount(clusters * side + labels, minlength=side**2).reshape(side, side)
    rows, columns = linear_sum_assignment(together, maximize=True)
    return float(together[rows, columns].sum() / len(labels))

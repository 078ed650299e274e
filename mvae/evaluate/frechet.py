"""Fréchet distance between two sets of features, each taken as one Gaussian.

The features are the judge's embeddings, so the figure compares models of this zoo with each other and with nothing else.
"""

import numpy as np

from mvae.errors import DataError


def frechet_distance(first_ND: np.ndarray, second_ND: np.ndarray) -> float:
    """|μ₁ - μ₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½), at least 0. Biased upwards for few samples: compare equal counts only.

    Raises :class:`DataError` for fewer than two rows or unequal widths.
    """
    if (
        first_ND.ndim != 2
        or second_ND.ndim != 2
        or first_ND.shape[1] != second_ND.shape[1]
        or min(len(first_ND), len(second_ND)) < 2
    ):
        raise DataError(f"features of shapes {first_ND.shape} and {second_ND.shape}; expected two [N, D] with N at least 2")
    first, second = first_ND.astype(np.float64), second_ND.astype(np.float64)
    gap = first.mean(0) - second.mean(0)
    cov_first, cov_second = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    cov_first, cov_second = np.atleast_2d(cov_first), np.atleast_2d(cov_second)
    # tr (C1 C2)^1/2 = tr (R C2 R)^1/2 with R = C1^1/2: symmetric, so eigenvalues of a symmetric matrix are all that is needed.
    values, vectors = np.linalg.eigh(cov_first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_second @ root), 0)).sum()
    return max(0.0, float(gap @ gap + np.trace(cov_first) + np.trace(cov_second) - 2 * cross))

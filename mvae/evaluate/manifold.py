"""Density and coverage (Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models"): how well generated
features lie among real ones, and how many of the real ones have a generated one near.

Legend: N real, M generated, F features.
"""

import numpy as np
from scipy.spatial.distance import cdist

from mvae.errors import DataError

NEIGHBOURS = 5


def density_and_coverage(real_NF: np.ndarray, drawn_MF: np.ndarray, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Density (1 on average for equal distributions, may be above) and coverage (0 … 1) of ``drawn`` with respect to ``real``.

    Raises :class:`DataError` for unequal widths or fewer real rows than neighbours.
    """
    if real_NF.ndim != 2 or drawn_MF.ndim != 2 or real_NF.shape[1] != drawn_MF.shape[1] or len(real_NF) <= neighbours:
        raise DataError(
            f"features of shapes {real_NF.shape} and {drawn_MF.shape}; expected two [N, F], more real rows than {neighbours}"
        )
    among = cdist(real_NF, real_NF)
    radius = np.partition(among, neighbours, axis=1)[:, neighbours]  # the nearest is the row itself
    between = cdist(real_NF, drawn_MF)
    density = float((between < radius[:, None]).sum(0).mean() / neighbours)
    return density, float((between.min(1) < radius).mean())

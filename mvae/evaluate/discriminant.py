"""Linear discriminant analysis with thousands of classes and few drawings of each, in closed form.

Directions along which drawings of one concept differ (style, pose, colour) are shrunk, so that what is left tells concepts apart.
Legend of shapes: N drawings, F features, K classes, D kept dimensions.
"""

import torch
from torch.nn import functional as F


def fit_discriminant(
    features_NF: torch.Tensor, class_N: torch.Tensor, dimensions: int, shrinkage: float = 0.3
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whitens the scatter within classes: weight [D, F], bias [D] and class means after that map, of unit length, [K, D].

    ``class_N`` are ids 0 … K-1, each of which occurs. ``shrinkage`` adds that share of the mean variance to every direction, so
    that the scatter has an inverse. With D < F the D directions in which class means differ most are kept.
    """
    classes, width = int(class_N.max()) + 1, features_NF.shape[1]
    count = torch.bincount(class_N, minlength=classes).to(features_NF)
    means = torch.zeros(classes, width, dtype=features_NF.dtype).index_add_(0, class_N, features_NF) / count[:, None]
    within = features_NF - means[class_N]
    scatter = within.T @ within / max(len(features_NF) - classes, 1)
    scatter += shrinkage * scatter.diagonal().mean() * torch.eye(width, dtype=scatter.dtype)
    identity = torch.eye(width, dtype=scatter.dtype)
    weight = torch.linalg.solve_triangular(torch.linalg.cholesky(scatter), identity, upper=False)
    center = features_NF.mean(0)
    projected = (means - center) @ weight.T
    if dimensions < width:
        _, vectors = torch.linalg.eigh(projected.T @ projected)
        weight = vectors[:, -dimensions:].T @ weight
        projected = (means - center) @ weight.T
    return weight, -weight @ center, F.normalize(projected, dim=1)

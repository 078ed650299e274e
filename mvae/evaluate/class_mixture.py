"""The sampler that systems without words of their own are given: for every class a mixture of Gaussians in latent space.

Legend: N images, D latent dimension, G classes, K components of a class.
"""

import numpy as np
from sklearn.mixture import GaussianMixture

from mvae.errors import DataError

COMPONENTS, PER_CLASS = 5, 3000


def fit_class_mixture(
    latents_ND: np.ndarray, labels_N: np.ndarray, classes: int, seed: int = 0, components: int = COMPONENTS
) -> dict[str, np.ndarray]:
    """Fit K full Gaussians to the latents of every class, at most :data:`PER_CLASS` of them.

    Returns ``weights`` float32 [G, K], ``means`` float16 [G, K, D] and ``factors`` float16 [G, K, D, D], lower-triangular
    Cholesky factors of the covariances. Raises :class:`DataError` for a class with fewer images than components.
    """
    found: dict[str, list] = {"weights": [], "means": [], "factors": []}
    floor = 1e-3 * float(latents_ND.var(0).mean())
    for label in range(classes):
        mine = latents_ND[labels_N == label][:PER_CLASS].astype(np.float64)
        if len(mine) < components:
            raise DataError(f"class {label} has {len(mine)} images; expected at least {components}, one a component")
        mixture = GaussianMixture(components, covariance_type="full", reg_covar=max(floor, 1e-6), max_iter=50, random_state=seed)
        mixture.fit(mine)
        found["weights"].append(mixture.weights_.astype(np.float32))
        found["means"].append(mixture.means_.astype(np.float16))
        found["factors"].append(np.linalg.cholesky(mixture.covariances_).astype(np.float16))
    return {name: np.stack(parts) for name, parts in found.items()}

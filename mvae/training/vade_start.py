"""How VaDE begins (Jiang et al. 2017, section 3.4): its autoencoder is trained alone, then a mixture of Gaussians is fitted to
the latents of all images. Of several fits the likeliest is kept; labels are never seen.

Legend: N images, C channels, S side, K components, D latent dimension.
"""

import math
from dataclasses import replace

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from mvae.errors import TrainingError
from mvae.models.system import Likelihood
from mvae.models.vade import LEAST_VARIANCE, Vade
from mvae.training.system_loop import Fitted, Settings, fit


def pretrain(system: Vade, images: Tensor, settings: Settings, *, binarised: bool = False) -> Fitted:
    """Train the autoencoder alone on images [N, C, S, S]: squared error at the posterior's mean, as published, no rate. (The
    Bernoulli likelihood makes more of faint pixels and leaves the clusters nearer to each other.)"""
    kept = system.likelihood
    system.pretraining, system.likelihood = True, Likelihood(replace(system.config, likelihood="gaussian"))
    try:
        return fit(system, images, settings, binarised=binarised)
    finally:
        system.pretraining, system.likelihood = False, kept


@torch.no_grad()
def begin_mixture(system: Vade, images: Tensor, *, fits: int = 10, seed: int = 0, chunk: int = 1000) -> float:
    """Fit K diagonal Gaussians to the latents of ``images`` ``fits`` times, each from another k-means, and give the likeliest to
    ``system``. Returns its log-likelihood, nats an image.

    Raises :class:`TrainingError` for fewer images than components, or where no fit is finite.
    """
    system.eval()
    latents = torch.cat([system.features(part) for part in images.split(chunk)]).double().cpu().numpy()
    mixture = GaussianMixture(
        len(system.share), covariance_type="diag", n_init=fits, reg_covar=math.exp(LEAST_VARIANCE), max_iter=200,
        random_state=seed,
    )
    try:
        mixture.fit(latents)
    except ValueError as error:
        raise TrainingError(f"vade: no mixture of {len(latents)} latents ({error!s:.150})") from None
    system.begin_with(*(torch.from_numpy(part) for part in (mixture.weights_, mixture.means_, mixture.covariances_)))
    return float(mixture.score(latents))

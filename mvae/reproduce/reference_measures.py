"""What is measured of the networks of ``reproduce reference``.

Legend: N images, C channels, S side. Likelihoods in nats an image, or in bits a dimension.
"""

import math

import numpy as np
import torch
from torch import Tensor

from mvae.evaluate.clustering import clustering_accuracy
from mvae.models.gmvae import Gmvae
from mvae.models.system import System
from mvae.models.vade import Vade
from mvae.models.vq_vae import VqVae

COUNTED, ROUGH = 1000, 10
"""Images whose likelihood is estimated with all importance samples, and samples of the rough estimate over all images."""
STEP = 50
"""Images at once: each is decoded a hundred times."""


def log_likelihood(system: System, images: Tensor, samples: int) -> float:
    """Importance-weighted bound with ``samples``, mean over binary images [N, C, S, S], estimated from evenly spread ones.

    The bound with :data:`ROUGH` samples is taken over all images, and what the other samples add to it over :data:`COUNTED`: this
    difference varies little between images, whereas some digits are far likelier than others.
    """
    some = images[:: max(1, len(images) // COUNTED)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rough = _bound(system, images, ROUGH).mean()
        return float(rough + (_bound(system, some, samples) - _bound(system, some, ROUGH)).mean())


def _bound(system: System, images: Tensor, samples: int) -> Tensor:
    return torch.cat([system.importance_log_likelihood(part, samples) for part in images.split(STEP)]).double()


@torch.no_grad()
def clustering(system: Vade | Gmvae, images: Tensor, labels: np.ndarray) -> float:
    """Accuracy of the likeliest components, in [0, 1]."""
    found = torch.cat([system.clusters(part).argmax(1) for part in images.split(1000)])
    return clustering_accuracy(found.cpu().numpy(), labels)


@torch.no_grad()
def bits(system: VqVae, images: Tensor, train: Tensor) -> dict[str, float]:
    """``bits``: of image and codes a dimension of the image, all codes equally likely beforehand; ``code_bits``: the codes' part;
    ``codes_used``: of the codebook, over one pass through ``train``; ``perplexity`` of their use."""
    dimensions, size = images[0].numel(), codebook_size(system)
    distortion = sum(float(system.terms(part)["distortion"].sum()) for part in images.split(500)) / len(images)
    counts = sum(
        torch.bincount(system.encode(part).flatten(), minlength=size).double().cpu() for part in train.split(500)
    )
    share = counts[counts > 0] / counts.sum()
    code_bits = system.encode(images[:1]).numel() * math.log2(size) / dimensions
    return {
        "bits": distortion / math.log(2) / dimensions + code_bits, "code_bits": code_bits,
        "codes_used": float((counts > 0).sum()), "perplexity": float(torch.exp(-(share * share.log()).sum())),
    }


def codebook_size(system: VqVae) -> int:
    """Codes of which one is chosen at each place."""
    return len(system.codebook.codes)

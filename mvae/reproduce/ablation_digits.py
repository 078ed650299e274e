"""Digits as stickers, for the ablation: MNIST's ink on transparency, captioned with the digit's English name, and what is
measured on them.

Legend: N images, S = 32, the side of the stickers; the 28×28 digit lies in the middle.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mvae.data.benchmarks import Labelled, load_benchmark
from mvae.data.dataset import Pictures
from mvae.data.render import lossless_webp
from mvae.data.shards import Sample, write_shard
from mvae.engine.model import Model
from mvae.evaluate.classifier import accuracy, classify, load_classifier
from mvae.models.mvae import MVAE
from mvae.objective import gaussian_kl, gaussian_log_likelihood
from mvae.training.vae_stage import ZERO

SIDE, MARGIN = 32, 2
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VARIANCE = 0.01
"""Of the Gaussian likelihood of ink in −ELBO: a standard deviation of a tenth."""
DRAWN = 50
"""Stickers a digit that are drawn and judged."""


def digits(folder: Path, split: str, count: int) -> tuple[Pictures, Labelled]:
    """The first ``count`` digits of a split, as stickers and as they are. Raises DataError where the benchmark is not there."""
    found = load_benchmark(folder, split)
    found = Labelled(found.images[:count], found.labels[:count])
    pixels = np.zeros((len(found.labels), SIDE, SIDE, 4), np.uint8)
    pixels[:, MARGIN:-MARGIN, MARGIN:-MARGIN, 3:] = found.images
    captions = [NAMES[label] for label in found.labels]
    meta = [{"label": text, "caption": text, "split": "train", "role": "train", "style": None, "tags": []} for text in captions]
    return Pictures(pixels, captions, meta), found


def write_sample(pictures: Pictures, path: Path, count: int = 64) -> Path:
    """A shard of the first ``count`` pictures: what the export calibrates int8 with."""
    from PIL import Image

    samples = [
        Sample(f"{row:06d}", lossless_webp(Image.fromarray(pictures.pixels[row], "RGBa").convert("RGBA")), pictures.captions[row],
               pictures.meta[row])
        for row in range(min(count, len(pictures)))
    ]
    write_shard(path, samples)
    return path


@torch.no_grad()
def vae_measures(vae: MVAE, pictures: Pictures, digits: Labelled, variance: float = VARIANCE) -> dict[str, float]:
    """On test digits: PSNR in dB of the ink, −ELBO and its rate in nats a picture (closed-form KL, ink N(·, ``variance``)), the
    share of latent means next to zero, perplexity of the tokens, and the classifier's accuracy through the tokens."""
    image = pictures.batch(range(len(pictures)))
    mean, log_variance = vae.encoder(image)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    drawn = vae.decoder(mean + torch.exp(0.5 * log_variance) * noise)
    rate = gaussian_kl(mean, log_variance)
    fit = gaussian_log_likelihood(image[:, 3:], drawn[:, 3:], variance)
    tokens = vae.tokens_from_mean(mean)
    seen = vae.decode_tokens(tokens)[:, 3:]
    error = (seen - image[:, 3:]).square().flatten(1).mean(1).clamp(min=1e-10)
    share = torch.bincount(tokens.flatten(), minlength=vae.config.latent.codebook).float() / tokens.numel()
    classes, _ = classify(load_classifier("mnist"), _inked(seen))
    return {
        "psnr": float((-10 * error.log10()).mean()),
        "negative_elbo": float((rate - fit).mean()),
        "rate": float(rate.mean()),
        "zero_share": float((mean.abs() < ZERO).float().mean()),
        "perplexity": float(torch.exp(-(share * share.clamp(min=1e-12).log()).sum())),
        "token_ceiling": float((classes == digits.labels).mean()),
    }


def real_ceiling(digits: Labelled) -> float:
    """The classifier's accuracy on the digits themselves."""
    return accuracy(load_classifier("mnist"), digits)


def generation_accuracy(model: Model, drawn: int = DRAWN) -> float:
    """CGA: share of ``drawn`` stickers for each name that the classifier takes for that digit."""
    judge, right = load_classifier("mnist"), 0
    for label, name in enumerate(NAMES):
        images = [np.asarray(model.generate(name, seed=seed).image) for seed in range(drawn)]
        ink = torch.from_numpy(np.stack(images)[..., 3:].astype(np.float32) / 255).permute(0, 3, 1, 2)
        right += int((classify(judge, _inked(ink))[0] == label).sum())
    return right / (drawn * len(NAMES))


def _inked(alpha: Tensor) -> np.ndarray:
    """Float [N, 1, S, S] in 0 … 1 → uint8 [N, 28, 28, 1]."""
    inner = alpha[..., MARGIN:-MARGIN, MARGIN:-MARGIN].clamp(0, 1)
    return (inner * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

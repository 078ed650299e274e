"""How the studies of the VAE measure one: the judge, PSNR, SSIM and a perceptual distance."""

from pathlib import Path

import torch
from torch import Tensor

from mvae.data.dataset import Pictures
from mvae.evaluate.ceilings import measure
from mvae.evaluate.drawings import list_drawings
from mvae.evaluate.judge import Judge
from mvae.evaluate.through_tokens import sample_drawings, torch_roundtrip
from mvae.models.mvae import MVAE
from mvae.models.perceptual import PerceptualDistance

SEEN_DRAWINGS = 1000
"""Drawings of trained concepts that are judged beside all of the never-seen ones."""


def reconstruction(vae: MVAE, data: Path, unseen: Pictures) -> dict[str, float]:
    """The judge's scores, PSNR (dB), SSIM and perceptual distance of never-seen drawings through the tokens, and the scores of
    trained ones."""
    judge, listed, size = Judge(), list_drawings(data, "train"), vae.config.image_size
    drawings = {name: sample_drawings(listed, name, count) for name, count in (("unseen", len(listed)), ("train", SEEN_DRAWINGS))}
    never, seen = (measure(judge, drawings[name], torch_roundtrip(vae), size, name) for name in drawings)
    return {
        **{name: never[name] for name in ("token_ceiling", "token_ceiling_5", "real_ceiling", "psnr", "ssim", "psnr_64")},
        "of_real_ceiling": never["token_ceiling"] / never["real_ceiling"],
        "token_ceiling_seen": seen["token_ceiling"],
        "real_ceiling_seen": seen["real_ceiling"],
        "psnr_seen": seen["psnr"],
        "perceptual": perceptual_distance(vae, unseen),
    }


@torch.no_grad()
def perceptual_distance(vae: MVAE, pictures: Pictures) -> float:
    """Mean distance in Lite1's features between pictures and what comes back through the tokens."""
    distance, found = PerceptualDistance(variant=1), []
    for start in range(0, len(pictures), 32):
        image: Tensor = pictures.batch(range(start, min(start + 32, len(pictures))))
        found.append(distance(image, vae.decode_tokens(vae.encode_tokens(image))))
    return torch.cat(found).mean().item()

"""What the judge and the pixels say of real drawings, as they are and after encode → tokens → decode."""

from collections.abc import Callable

import numpy as np

from mvae.evaluate.drawings import Drawings, composite_on_white
from mvae.evaluate.judge import Judge
from mvae.evaluate.reconstruction import psnr, shrink, ssim

Roundtrip = Callable[[np.ndarray], np.ndarray]
"""uint8 straight-alpha drawings [N, S, S, 4] → the same after encode, tokens, decode, at the model's own size."""
STATED_SIDE = 64
"""Side in pixels at which reconstruction is measured as well, whatever the model's own size."""


def resample(rgba_NSS4: np.ndarray, side: int) -> np.ndarray:
    """Shrink straight-alpha drawings by area, premultiplied so that hidden colours don't bleed; the same array at equal size."""
    size = rgba_NSS4.shape[1]
    if size == side:
        return rgba_NSS4
    factor = size // side
    alpha = rgba_NSS4[..., 3:].astype(np.float64) / 255
    premultiplied = np.concatenate([rgba_NSS4[..., :3] * alpha, alpha * 255], 3)
    mean = premultiplied.reshape(len(rgba_NSS4), side, factor, side, factor, 4).mean(axis=(2, 4))
    colour = mean[..., :3] / np.maximum(mean[..., 3:] / 255, 1 / 255)
    return np.round(np.clip(np.concatenate([colour, mean[..., 3:]], 3), 0, 255)).astype(np.uint8)


def hits(ranks: np.ndarray, top: int) -> float:
    """Share of ranks (0 = best) below ``top``."""
    return float((ranks < top).mean())


def recognition(
    judge: Judge, rgba_NSS4: np.ndarray, concept_N: np.ndarray, progress: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The judge's rank of the right concept, int [N], and its embeddings [N, D]."""
    embeddings = judge.embed(rgba_NSS4, progress)
    return judge.ranks(judge.classify(embeddings), concept_N), embeddings


def by_part(ranks: np.ndarray, part_N: np.ndarray, top: int) -> dict[str, float]:
    """Share of ranks below ``top``, for each style or group apart."""
    return {str(part): hits(ranks[part_N == part], top) for part in sorted(set(part_N))}


def reconstruction(original_NSS4: np.ndarray, decoded_NSS4: np.ndarray) -> dict[str, float]:
    """Mean PSNR (dB) and SSIM at the images' own size and, where that is larger, at ``STATED_SIDE``."""
    first, second = composite_on_white(original_NSS4), composite_on_white(decoded_NSS4)
    found = {"psnr": float(psnr(first, second).mean()), "ssim": float(ssim(first, second).mean())}
    if first.shape[1] >= STATED_SIDE:
        first, second = shrink(first, STATED_SIDE), shrink(second, STATED_SIDE)
        found |= {
            f"psnr_{STATED_SIDE}": float(psnr(first, second).mean()),
            f"ssim_{STATED_SIDE}": float(ssim(first, second).mean()),
        }
    return found


def measure(judge: Judge, drawings: Drawings, roundtrip: Roundtrip, side: int, name: str) -> dict:
    """Ceilings and reconstruction of one set of drawings. ``side``: that of the pictures which the model encodes.

    Keys: ``real_ceiling``, ``token_ceiling`` (top-1 shares), the same with ``_5`` (top-5), ``…_by_style``, ``…_by_group``,
    ``psnr``, ``ssim``, ``psnr_64``, ``ssim_64``, ``samples``, and the arrays ``real_embeddings``, ``token_embeddings``.
    """
    decoded = roundtrip(resample(drawings.rgba, side))
    real_ranks, real_embeddings = recognition(judge, drawings.rgba, drawings.concept, f"judging {name} drawings")
    token_ranks, token_embeddings = recognition(judge, decoded, drawings.concept, f"judging {name} drawings through tokens")
    found: dict = {"samples": len(drawings)}
    for kind, ranks in (("real_ceiling", real_ranks), ("token_ceiling", token_ranks)):
        found |= {kind: hits(ranks, 1), f"{kind}_5": hits(ranks, 5)}
        found |= {f"{kind}_by_style": by_part(ranks, drawings.style, 1), f"{kind}_by_group": by_part(ranks, drawings.group, 1)}
    found |= reconstruction(resample(drawings.rgba, decoded.shape[1]), decoded)
    return found | {"real_embeddings": real_embeddings, "token_embeddings": token_embeddings}

"""PSNR and SSIM of reconstructions, on 8-bit RGB composited on white: one value per image, so that means are over images."""

import numpy as np
import torch
from torch.nn import functional as F

from mvae.errors import ImageError

PSNR_CAP = 100.0
"""Decibels credited to an exact reconstruction, whose PSNR is infinite."""


def _check_pair(first: np.ndarray, second: np.ndarray) -> None:
    if (
        first.shape != second.shape
        or first.ndim != 4
        or first.shape[3] != 3
        or first.dtype != np.uint8
        or second.dtype != np.uint8
    ):
        raise ImageError(f"got {first.shape} {first.dtype} and {second.shape} {second.dtype}; expected two uint8 [N, S, S, 3]")


def psnr(first_NSS3: np.ndarray, second_NSS3: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, float64 [N], capped at ``PSNR_CAP``."""
    _check_pair(first_NSS3, second_NSS3)
    difference = first_NSS3.astype(np.float64) - second_NSS3
    error = np.mean(difference**2, axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return np.minimum(10 * np.log10(255.0**2 / error), PSNR_CAP)


def ssim(first_NSS3: np.ndarray, second_NSS3: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004), float64 [N]: Gaussian window of 11 pixels and deviation 1.5, K1 = 0.01,
    K2 = 0.03, mean over channels and over the windows that lie wholly inside the image."""
    _check_pair(first_NSS3, second_NSS3)
    if first_NSS3.shape[1] < 11:
        raise ImageError(f"side of {first_NSS3.shape[1]} pixels; SSIM's window needs at least 11")
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    taps = (taps / taps.sum()).expand(3, 1, 1, 11)

    def blur(image: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(image, taps, groups=3), taps.transpose(2, 3), groups=3)

    scores = []
    for start in range(0, len(first_NSS3), 64):
        both = (np.ascontiguousarray(image[start : start + 64]) for image in (first_NSS3, second_NSS3))
        x, y = (torch.from_numpy(image).permute(0, 3, 1, 2).double() for image in both)
        mean_x, mean_y = blur(x), blur(y)
        var_x, var_y, cov = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
        low, high = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        similarity = (2 * mean_x * mean_y + low) * (2 * cov + high) / ((mean_x**2 + mean_y**2 + low) * (var_x + var_y + high))
        scores.append(similarity.mean((1, 2, 3)).numpy())
    return np.concatenate(scores) if scores else np.empty(0)


def shrink(rgb_NSS3: np.ndarray, side: int) -> np.ndarray:
    """Area downsampling by a whole factor, rounded to 8 bits. Raises :class:`ImageError` where ``side`` does not divide S."""
    count, size = rgb_NSS3.shape[:2]
    if size % side:
        raise ImageError(f"cannot shrink {size} px to {side} px; expected a divisor of {size}")
    factor = size // side
    return np.round(rgb_NSS3.reshape(count, side, factor, side, factor, 3).mean(axis=(2, 4))).astype(np.uint8)

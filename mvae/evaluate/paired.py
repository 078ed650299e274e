"""Two models on the same prompts and seeds: is the difference of their hit rates more than chance?"""

import math

import numpy as np

from mvae.errors import DataError

RESAMPLES = 10_000


def bootstrap_difference(first_hit_N: np.ndarray, second_hit_N: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Difference of the hit rates (first - second) and its 95 % percentile interval over resampled prompts.

    Only the numbers of draws that one model hits and the other misses matter, so the resampling is multinomial. Raises
    :class:`DataError` for unequal or no samples.
    """
    first, second = _checked(first_hit_N, second_hit_N)
    count = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    shares = np.array([only_first, only_second, count - only_first - only_second]) / count
    drawn = np.random.Generator(np.random.Philox(seed)).multinomial(count, shares, size=RESAMPLES)
    differences = (drawn[:, 0] - drawn[:, 1]) / count
    low, high = np.percentile(differences, [2.5, 97.5])
    return (only_first - only_second) / count, float(low), float(high)


def mcnemar(first_hit_N: np.ndarray, second_hit_N: np.ndarray) -> float:
    """Exact two-sided p-value of McNemar's test: by chance alone each discordant draw favours either model equally often."""
    first, second = _checked(first_hit_N, second_hit_N)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, number) for number in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def _checked(first_hit_N: np.ndarray, second_hit_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first_hit_N, bool), np.asarray(second_hit_N, bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise DataError(f"hits of shapes {first.shape} and {second.shape}; expected two equal, non-empty rows")
    return first, second

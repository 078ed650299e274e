"""Philox4x32-10, the counter-based random generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).

Stateless: the words are a function of (key, counter), so that position p of image i has the same random number whatever was
drawn before it, in any language with 32-bit multiplication.
"""

import numpy as np

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Ten rounds. ``counter``: uint32 [..., 4]; ``key``: two words below 2**32. Returns uint32 [..., 4]."""
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    m0, m1 = (np.uint64(m) for m in _MULTIPLIERS)
    for step in range(_ROUNDS):
        k0, k1 = (np.uint64((word + step * bump) & 0xFFFFFFFF) for word, bump in zip(key, _KEY_STEPS, strict=True))
        p0, p1 = m0 * c0, m1 * c2  # 32 × 32 → 64 bits, never overflows
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def uniforms(seed: int, image: int, positions: int) -> np.ndarray:
    """The random numbers of one image: float64 [positions] in [0, 1), multiples of 2**-24.

    Key (seed mod 2**32, seed div 2**32), counter (position, image, 0, 0), first output word >> 8, times 2**-24.
    """
    counter = np.zeros((positions, 4), np.uint32)
    counter[:, 0] = np.arange(positions)
    counter[:, 1] = image
    words = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))
    return (words[:, 0] >> np.uint32(8)).astype(np.float64) * 2.0**-24

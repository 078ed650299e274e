"""How a token is drawn from logits: the one rule that the app, the command line, the server and the browser share.

Given float logits ℓ of the image tokens, in this order:

1. guidance g ≠ 1: ℓ = ℓ_empty + g · (ℓ_prompt − ℓ_empty), in float64;
2. temperature 0: the smallest id whose logit is largest. Nothing random is used;
3. top-k: keep the k largest logits; of equal ones at the border those with the smallest ids; 0 keeps all;
4. weights w = exp((ℓ − max ℓ) / temperature) of the kept ids, in float64;
5. running sums of w in ascending id order, added one after another;
6. the smallest id whose running sum exceeds u times the last running sum, u from :mod:`mvae.engine.philox`.
"""

import math

import numpy as np

from mvae.errors import IntegrityError


def guided(prompt: np.ndarray, empty: np.ndarray, guidance: float) -> np.ndarray:
    """Classifier-free guidance: float [N], float [N] → float64 [N]."""
    base = empty.astype(np.float64)
    return base + guidance * (prompt - base)


def sample(logits: np.ndarray, u: float, temperature: float, top_k: int) -> int:
    """Draw one id. ``logits``: finite float [N]; ``u`` in [0, 1); ``temperature`` ≥ 0; ``top_k`` ≥ 0, 0 for all.

    Raises IntegrityError for logits that are not finite: only damaged weights give them.
    """
    highest = float(logits.max())  # NaN if any is
    if not math.isfinite(highest):
        raise IntegrityError("the model gives logits that are not finite")
    if temperature == 0:
        return int(logits.argmax())
    size = logits.shape[0]
    if 0 < top_k < size:
        border = np.partition(logits, size - top_k)[size - top_k]
        ids = np.flatnonzero(logits >= border)
        if ids.shape[0] > top_k:
            surplus = ids.shape[0] - top_k
            equal = ids[logits[ids] == border]
            ids = np.setdiff1d(ids, equal[equal.shape[0] - surplus :], assume_unique=True)
        kept = logits[ids].astype(np.float64)
    else:
        ids, kept = None, logits.astype(np.float64)
    weights = np.exp((kept - highest) / temperature)
    sums = weights.cumsum()
    place = int(sums.searchsorted(u * sums[-1], side="right"))
    return place if ids is None else int(ids[place])

"""From the words of a class to the latent of an image, token by token: the seq2seq of the system that draws from words.

Legend: B images, T pieces of the words, t tokens so far (the start token first), P positions, C coordinates of a token.
"""

import json
from statistics import NormalDist

import numpy as np

from mvae.engine.philox import uniforms
from mvae.engine.sampler import guided, sample
from mvae.engine.sessions import open_session
from mvae.errors import IntegrityError


class SystemWords:
    """``words.onnx`` and ``words.json``, loaded."""

    def __init__(self, graph: bytes, about: bytes, latent: int, classes: int, name: str, threads: int = 1):
        """``latent``: D, of the system; ``classes``: one prompt each. Raises IntegrityError for files that do not fit."""
        self._name = name
        try:
            values = json.loads(about)
            self.prompts = tuple(str(prompt) for prompt in values["prompts"])
            self._ids, self._mask = (np.array(values[key], np.int64) for key in ("ids", "mask"))  # of classes, and of ""
            self._start, self.positions, self._codebook = (int(values[key]) for key in ("start_token", "positions", "codebook"))
            self._temperature, self._guidance = float(values["temperature"]), float(values["guidance"])
            self._levels, self._coordinates = (int(values["table"][key]) for key in ("levels", "coordinates"))
            self._medians = np.array(values["medians"], np.float32)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise IntegrityError(f"{name}: words.json is malformed ({type(error).__name__}: {error!s:.80})") from None
        shaped = self._ids.ndim == 2 and self._ids.shape == self._mask.shape
        shaped = shaped and len(self._ids) == len(self.prompts) + 1 == classes + 1
        fits = self.positions * self._coordinates == latent and self._levels**self._coordinates == self._codebook
        drawn = self._temperature >= 0 and 0 <= self._guidance < np.inf
        if not shaped or not fits or self._medians.shape != (self._levels,) or not drawn:
            raise IntegrityError(
                f"{name}: words.json has {self._ids.shape} ids, {self.positions} positions of {self._coordinates} coordinates, "
                f"{self._levels} levels, {self._medians.shape} medians, temperature {self._temperature} and guidance "
                f"{self._guidance}; expected {classes} prompts and the empty one, a latent of {latent} and none below 0"
            )
        self._session = open_session(graph, f"{name}/words.onnx", threads)

    def tokens(self, label: int, count: int, seed: int) -> np.ndarray:
        """int64 [count, P], drawn by the rule of :mod:`mvae.engine.sampler`: image i of a seed is the same whatever ``count``."""
        numbers = np.array([uniforms(seed, image, self.positions) for image in range(count)])
        tokens = np.full((count, 1), self._start, np.int64)
        for position in range(self.positions):
            logits = self._logits(label, tokens)
            if self._guidance != 1:
                logits = guided(logits, self._logits(-1, tokens), self._guidance)
            drawn = [sample(row, u, self._temperature, 0) for row, u in zip(logits, numbers[:, position], strict=True)]
            tokens = np.concatenate([tokens, np.array(drawn, np.int64)[:, None]], axis=1)
        return tokens[:, 1:]

    def latents(self, tokens_BP: np.ndarray) -> np.ndarray:
        """float32 [B, P * C]: token k of a position gives its C coordinates, each the median of its cell of the prior."""
        powers = self._levels ** np.arange(self._coordinates - 1, -1, -1)
        return self._medians[tokens_BP[..., None] // powers % self._levels].reshape(len(tokens_BP), -1)

    def snapped(self, latents_BD: np.ndarray) -> np.ndarray:
        """float32 [B, D]: every coordinate becomes the median of its cell of the prior, as what passes through tokens does."""
        borders = [NormalDist().inv_cdf(cell / self._levels) for cell in range(1, self._levels)]
        return self._medians[np.searchsorted(borders, latents_BD)]

    def _logits(self, row: int, tokens: np.ndarray) -> np.ndarray:
        """float32 [B, codebook], of the token that comes next, by the prompt in ``row``."""
        ids, mask = (np.repeat(rows[[row]], len(tokens), axis=0) for rows in (self._ids, self._mask))
        try:
            (logits,) = self._session.run(["logits"], {"ids": ids, "mask": mask, "tokens": tokens})
        except Exception as error:  # the binding's exceptions share no public base class
            raise IntegrityError(f"{self._name}/words.onnx: cannot be run ({str(error).splitlines()[0]})") from None
        if logits.ndim != 3 or logits.shape[2] < self._codebook:
            raise IntegrityError(f"{self._name}/words.onnx: logits {logits.shape}; expected [B, t, {self._codebook} or more]")
        return logits[:, -1, : self._codebook]

"""From the words of a class to the latent of an image, token by token: the seq2seq of the system that draws from words.

Legend: B images, G classes, T pieces of the words, t tokens so far (the start token first), P positions, C coordinates of a
token, V codebook.
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
            self._candidates = int(values["candidates"])
            self._levels, self._coordinates = (int(values["table"][key]) for key in ("levels", "coordinates"))
            self._medians = np.array(values["medians"], np.float32)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise IntegrityError(f"{name}: words.json is malformed ({type(error).__name__}: {error!s:.80})") from None
        shaped = self._ids.ndim == 2 and self._ids.shape == self._mask.shape
        shaped = shaped and len(self._ids) == len(self.prompts) + 1 == classes + 1
        fits = self.positions * self._coordinates == latent and self._levels**self._coordinates == self._codebook
        drawn = self._temperature >= 0 and 0 <= self._guidance < np.inf and self._candidates >= 1
        if not shaped or not fits or self._medians.shape != (self._levels,) or not drawn:
            raise IntegrityError(
                f"{name}: words.json has {self._ids.shape} ids, {self.positions} positions of {self._coordinates} coordinates, "
                f"{self._levels} levels, {self._medians.shape} medians, temperature {self._temperature}, guidance "
                f"{self._guidance} and {self._candidates} candidates; expected {classes} prompts and the empty one, a latent of "
                f"{latent}, none below 0 and at least 1 candidate"
            )
        self._session = open_session(graph, f"{name}/words.onnx", threads)

    def tokens(self, label: int, count: int, seed: int) -> np.ndarray:
        """int64 [count, P]: of the candidates of each image the one whose tokens speak most for its class rather than another
        (:meth:`posterior`). Image i of a seed is the same whatever ``count``."""
        drawn = self.drawn(label, count * self._candidates, seed)
        if self._candidates == 1:
            return drawn
        said = self.posterior(drawn)[:, label].reshape(count, self._candidates)
        return drawn.reshape(count, self._candidates, -1)[np.arange(count), said.argmax(1)]

    def drawn(self, label: int, count: int, seed: int) -> np.ndarray:
        """int64 [count, P], by the rule of :mod:`mvae.engine.sampler`: one candidate a row."""
        numbers = np.array([uniforms(seed, row, self.positions) for row in range(count)])
        tokens = np.full((count, 1), self._start, np.int64)
        for position in range(self.positions):
            logits = self._logits(label, tokens)[:, -1]
            if self._guidance != 1:
                logits = guided(logits, self._logits(-1, tokens)[:, -1], self._guidance)
            following = [sample(row, u, self._temperature, 0) for row, u in zip(logits, numbers[:, position], strict=True)]
            tokens = np.concatenate([tokens, np.array(following, np.int64)[:, None]], axis=1)
        return tokens[:, 1:]

    def posterior(self, tokens_BP: np.ndarray) -> np.ndarray:
        """float64 [B, G], log p(class | tokens) by Bayes' rule from the seq2seq's p(tokens | class), every class as likely."""
        start = np.full((len(tokens_BP), 1), self._start, np.int64)
        read, classes = np.concatenate([start, tokens_BP[:, :-1]], axis=1), range(len(self.prompts))
        joint = np.stack([_log_likelihood(self._logits(label, read), tokens_BP) for label in classes], axis=1)
        return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)

    def latents(self, tokens_BP: np.ndarray) -> np.ndarray:
        """float32 [B, P * C]: token k of a position gives its C coordinates, each the median of its cell of the prior."""
        powers = self._levels ** np.arange(self._coordinates - 1, -1, -1)
        return self._medians[tokens_BP[..., None] // powers % self._levels].reshape(len(tokens_BP), -1)

    def snapped(self, latents_BD: np.ndarray) -> np.ndarray:
        """float32 [B, D]: every coordinate becomes the median of its cell of the prior, as what passes through tokens does."""
        borders = [NormalDist().inv_cdf(cell / self._levels) for cell in range(1, self._levels)]
        return self._medians[np.searchsorted(borders, latents_BD)]

    def _logits(self, row: int, tokens: np.ndarray) -> np.ndarray:
        """float32 [B, t, codebook], of the token after each, by the prompt in ``row``."""
        ids, mask = (np.repeat(rows[[row]], len(tokens), axis=0) for rows in (self._ids, self._mask))
        try:
            (logits,) = self._session.run(["logits"], {"ids": ids, "mask": mask, "tokens": tokens})
        except Exception as error:  # the binding's exceptions share no public base class
            raise IntegrityError(f"{self._name}/words.onnx: cannot be run ({str(error).splitlines()[0]})") from None
        if logits.ndim != 3 or logits.shape[2] < self._codebook:
            raise IntegrityError(f"{self._name}/words.onnx: logits {logits.shape}; expected [B, t, {self._codebook} or more]")
        return logits[..., : self._codebook]


def _log_likelihood(logits_BPV: np.ndarray, tokens_BP: np.ndarray) -> np.ndarray:
    """float64 [B], nats."""
    highest = logits_BPV.max(2)
    sums = np.exp(logits_BPV - highest[..., None]).sum(2)
    chosen = np.take_along_axis(logits_BPV, tokens_BP[..., None], 2)[..., 0]
    return (chosen - highest - np.log(sums)).sum(1, dtype=np.float64)

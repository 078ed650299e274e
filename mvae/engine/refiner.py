"""Better tokens for one picture, by gradient steps at run time: runs a graph that ``python -m export.refiner`` wrote."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mvae.engine.images import fit
from mvae.engine.sessions import open_session
from mvae.errors import IntegrityError

_OUTPUTS = ("tokens", "mean", "log_variance", "before", "after")


@dataclass(frozen=True)
class Refined:
    """What was found for one picture."""

    tokens: tuple[int, ...]
    mean: np.ndarray
    """float32 [C, h, w]: the refined posterior's."""
    log_variance: np.ndarray
    before: float
    """−ELBO of the encoder's posterior, nats."""
    after: float
    """−ELBO of the refined one, nats, under the same noise."""


class Refiner:
    """A refinement graph, loaded."""

    def __init__(self, path: str | Path, threads: int = 1):
        """Raises IntegrityError for a file that cannot be read or is no such graph."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise IntegrityError(f"{path}: cannot be read ({error.strerror})") from None
        self._session = open_session(content, str(path), threads)
        got, inputs = tuple(output.name for output in self._session.get_outputs()), self._session.get_inputs()
        if got != _OUTPUTS or [value.name for value in inputs] != ["image"]:
            raise IntegrityError(f"{path}: gives {got}; expected a graph of python -m export.refiner, which gives {_OUTPUTS}")
        self.image_size = int(inputs[0].shape[1])

    def refine(self, image: Image.Image) -> Refined:
        """Of any picture, fitted as :meth:`mvae.Model.encode` fits it. Raises ImageError as :func:`mvae.engine.images.fit`."""
        pixels = np.asarray(fit(image, self.image_size))[None]
        tokens, mean, log_variance, before, after = self._session.run(list(_OUTPUTS), {"image": pixels})
        return Refined(tuple(tokens[0].tolist()), mean[0], log_variance[0], float(before[0]), float(after[0]))

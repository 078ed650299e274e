"""One of the nine exported systems of the comparison, run without torch: images to latents and back, samples of a class, ways
between latents.

Legend: B images, C channels, S side, D latent dimension, K components of a class's mixture, N test images of the picture.
"""

from pathlib import Path

import numpy as np

from mvae.engine.options import SEED_MAX, whole
from mvae.engine.sessions import open_session
from mvae.engine.system_files import FOLDER, GRAPHS, LATENTS, WORDS, SystemEntry, read_arrays, read_system
from mvae.engine.system_words import SystemWords
from mvae.errors import ImageError, IntegrityError, OptionError

COUNT_MAX = 1024
_WEIGHTS_WITHIN = 1e-2
"""How far a class's weights may sum from 1."""
_SMALLEST = 1e-12


class StoredSystem:
    """A system, loaded; it holds no state of a call."""

    def __init__(self, entry: SystemEntry, threads: int = 1):
        """Raises IntegrityError for graphs or arrays that cannot be used."""
        self.entry, self.bytes = entry, entry.bytes
        self.name = f"{entry.data}/{entry.system}"
        self._encoder, self._decoder = (open_session(entry.files[name], f"{self.name}/{name}", threads) for name in GRAPHS)
        classes, size = len(entry.classes), entry.latent
        shapes = {
            "weights": (classes, "K"), "means": (classes, "K", size), "factors": (classes, "K", size, size),
            "points": ("N", 2), "latents": ("N", size), "labels": ("N",),
        }  # fmt: skip
        arrays = read_arrays(entry.files[LATENTS], shapes, f"{self.name}/{LATENTS}")
        self.points, self.latents, self.labels = arrays["points"], arrays["latents"], arrays["labels"].astype(np.int64)
        """float32 [N, 2], float32 [N, D], int64 [N]: test images in a plane, their latents and classes."""
        weights = arrays["weights"].astype(np.float64)
        if (weights < 0).any() or (np.abs(weights.sum(1) - 1) > _WEIGHTS_WITHIN).any() or self.labels.max() >= classes:
            raise IntegrityError(f"{self.name}/{LATENTS}: expected weights that sum to 1 in a class, and labels below {classes}")
        self._sums = weights.cumsum(1) / weights.sum(1, keepdims=True)
        self._means, self._factors = arrays["means"], arrays["factors"]
        self.words: SystemWords | None = None
        """What draws from words; None: this system does not."""
        if WORDS[0] in entry.files:
            graph, about = (entry.files[name] for name in WORDS)
            self.words = SystemWords(graph, about, size, classes, self.name, threads)

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, S, S of an image."""
        return self.entry.channels, self.entry.side, self.entry.side

    def encode(self, images_BCSS: np.ndarray) -> np.ndarray:
        """Images in [0, 1] → latents float32 [B, D]. Raises ImageError for another shape or values outside that range."""
        images = np.asarray(images_BCSS, np.float32)
        if images.ndim != 4 or images.shape[1:] != self.shape or not len(images):
            raise ImageError(f"{self.name}: images of shape {images.shape}; expected [B, {', '.join(map(str, self.shape))}]")
        if not (images.min() >= 0 and images.max() <= 1):  # also refuses what is not a number
            raise ImageError(f"{self.name}: values from {images.min()} to {images.max()}; expected 0 to 1")
        return self._run(self._encoder, "image", images, "latent", (self.entry.latent,))

    def decode(self, latents_BD: np.ndarray) -> np.ndarray:
        """Latents [B, D] → images float32 [B, C, S, S] in [0, 1]. Raises OptionError for another shape."""
        latents = np.asarray(latents_BD, np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.entry.latent or not len(latents):
            raise OptionError(f"{self.name}: latents of shape {latents.shape}; expected [B, {self.entry.latent}]")
        return self._run(self._decoder, "latent", latents, "image", self.shape).clip(0, 1)

    def sample(self, label: int, count: int, seed: int) -> np.ndarray:
        """Latents float32 [count, D] of a class, from its mixture Σ w_k N(μ_k, L_k L_kᵀ); on the sphere brought back onto it.

        Image i of a seed is the same whatever ``count``. Raises OptionError for a label, count (1 … 1024) or seed out of range.
        """
        label, count, seed = self._label(label), _count(count), whole("seed", seed, 0, SEED_MAX)
        chosen = self._sums[label].searchsorted(np.random.default_rng([seed, 0]).random(count), side="right")
        chosen = np.minimum(chosen, self._sums.shape[1] - 1)  # the last sum may be a rounding below 1
        noise = np.random.default_rng([seed, 1]).standard_normal((count, self.entry.latent), np.float32)
        return self._placed(self._means[label, chosen] + np.einsum("bij,bj->bi", self._factors[label, chosen], noise))

    def draw_words(self, label: int, count: int, seed: int) -> np.ndarray:
        """Latents float32 [count, D] from the words of a class (``words.prompts[label]``), by the system's own seq2seq.

        Raises OptionError as :meth:`sample`, and where the system reads no words.
        """
        if self.words is None:
            raise OptionError(f"{self.name} reads no words; sample a class instead")
        seed = whole("seed", seed, 0, SEED_MAX)
        return self.words.latents(self.words.tokens(self._label(label), _count(count), seed))

    def interpolate(self, first_D: np.ndarray, second_D: np.ndarray, steps: int) -> np.ndarray:
        """Latents float32 [steps, D] from one to the other, both included: along the great circle on the sphere, else straight.

        Raises OptionError for other shapes, or fewer than 2 steps.
        """
        ends = np.asarray([first_D, second_D], np.float32)
        if ends.shape != (2, self.entry.latent):
            raise OptionError(f"{self.name}: ends of shape {ends.shape[1:]}; expected ({self.entry.latent},)")
        share = np.linspace(0, 1, whole("steps", steps, 2, COUNT_MAX), dtype=np.float32)[:, None]
        straight = (1 - share) * ends[0] + share * ends[1]
        if not self.entry.sphere:
            return straight
        first, second = self._placed(ends)
        angle = np.arccos(np.clip(first @ second, -1, 1))
        if np.sin(angle) < 1e-4:  # equal, where both ways are one; or opposite, where no great circle is the shortest
            return self._placed(straight) if angle < 1 else _half_turn(first, second, share)
        return ((np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)).astype(np.float32)

    def nearest(self, x: float, y: float) -> int:
        """Index, in :attr:`latents`, of the test image whose point lies closest to (x, y). Raises OptionError for no numbers."""
        place = np.array([x, y], np.float32)
        if not np.isfinite(place).all():
            raise OptionError(f"place ({x}, {y}); expected two numbers")
        return int(np.square(self.points - place).sum(1).argmin())

    def _label(self, label: int) -> int:
        return whole("label", label, 0, len(self.entry.classes) - 1)

    def _placed(self, latents: np.ndarray) -> np.ndarray:
        """Where the system keeps its latents: on the unit sphere, or wherever they are."""
        if not self.entry.sphere:
            return latents.astype(np.float32)
        return (latents / np.maximum(np.linalg.norm(latents, axis=-1, keepdims=True), _SMALLEST)).astype(np.float32)

    def _run(self, session, given: str, values: np.ndarray, wanted: str, shape: tuple[int, ...]) -> np.ndarray:
        try:
            (found,) = session.run([wanted], {given: values})
        except Exception as error:  # the binding's exceptions share no public base class
            raise IntegrityError(f"{self.name}: {given} → {wanted} cannot be run ({str(error).splitlines()[0]})") from None
        if found.shape != (len(values), *shape) or not np.isfinite(found).all():
            raise IntegrityError(f"{self.name}: {wanted} of shape {found.shape}; expected {(len(values), *shape)}, finite")
        return found


def load_system(data: str, system: str, folder: Path = FOLDER, threads: int = 1) -> StoredSystem:
    """Verify and load ``folder/data/system``. Raises UnknownModelError where there is none, IntegrityError for damaged files."""
    return StoredSystem(read_system(data, system, folder), threads)


def _count(count: int) -> int:
    return whole("count", count, 1, COUNT_MAX)


def _half_turn(first_D: np.ndarray, second_D: np.ndarray, share_S1: np.ndarray) -> np.ndarray:
    """From a point of the sphere to the opposite one, along the great circle of its smallest coordinate's axis."""
    axis = np.zeros_like(first_D)
    axis[np.abs(first_D).argmin()] = 1
    side = axis - (axis @ first_D) * first_D
    side /= max(float(np.linalg.norm(side)), _SMALLEST)
    way = np.cos(np.pi * share_S1) * first_D + np.sin(np.pi * share_S1) * side
    way[-1] = second_D
    return way.astype(np.float32)

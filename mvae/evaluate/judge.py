"""The judge: names the concept that a sticker shows. It has learned from drawing styles that no model of the zoo was trained on.

EfficientNet-Lite2 features, fine-tuned on the judge styles, a linear embedding, and the cosine to one learned direction per
concept. The weights are committed in ``zoo/judge``; ``python -m mvae.evaluate.train_judge`` makes them again.

Legend of shapes: N images, S side in pixels, D = ``embedding``, K concepts.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from mvae.errors import DataError, ImageError, IntegrityError
from mvae.evaluate.drawings import composite_on_white
from mvae.models.efficientnet_lite import FEATURES, Backbone, scale_pixels

JUDGE_PATH = Path(__file__).resolve().parents[2] / "zoo" / "judge" / "judge.safetensors"
VARIANT = 2
"""The number behind "EfficientNet-Lite" of the network that looks."""
SIZE = 128
"""Side in pixels at which the judge looks; other sizes are resampled after compositing on white."""
BATCH = 64


class Head(nn.Module):
    """Features [N, F] → embedding of unit length [N, D] → scaled cosines [N, K]."""

    def __init__(self, concepts: int, embedding: int):
        super().__init__()
        self.embed = nn.Linear(FEATURES, embedding)
        self.directions = nn.Parameter(torch.randn(concepts, embedding) / embedding**0.5)
        self.scale = nn.Parameter(torch.tensor(16.0))

    def embedding(self, features_NF: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.embed(features_NF), dim=1)

    def classify(self, embedding_ND: torch.Tensor) -> torch.Tensor:
        return self.scale * embedding_ND @ F.normalize(self.directions, dim=1).T

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        return self.classify(self.embedding(features_NF))


class Judge:
    """Frozen judge, read from one safetensors file.

    Raises :class:`DataError` where the file is missing and :class:`IntegrityError` where it is not a judge.
    """

    def __init__(self, path: Path | str = JUDGE_PATH):
        if not Path(path).is_file():
            raise DataError(f"{path}: no judge weights; make them with: python -m mvae.evaluate.train_judge")
        try:
            with safe_open(path, framework="pt") as stored:
                self.metadata = stored.metadata() or {}
                state = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
            self.concepts = tuple(json.loads(self.metadata["concepts"]))
            self.backbone = Backbone(VARIANT).fold()
            self.head = Head(len(self.concepts), state["head.directions"].shape[1])
            self.backbone.load_state_dict({k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")})
            self.head.load_state_dict({k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")})
        except (SafetensorError, KeyError, RuntimeError, json.JSONDecodeError) as error:
            raise IntegrityError(f"{path}: not the weights of a judge ({error})") from error
        self.digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
        """First hexadecimal digits of the file's sha256: scores of different judges must not be compared."""
        self.index = {concept: number for number, concept in enumerate(self.concepts)}
        self.backbone.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.head.eval().requires_grad_(False)

    @torch.no_grad()
    def embed(self, rgba_NSS4: np.ndarray, progress: str | None = None) -> np.ndarray:
        """Straight-alpha uint8 images → embeddings of unit length, float32 [N, D]: the judge's penultimate features,
        in which the Fréchet distance is taken.

        ``progress`` is the caption of a progress bar (none when omitted). Raises :class:`ImageError` on another shape or type.
        """
        if rgba_NSS4.ndim != 4 or rgba_NSS4.shape[3] != 4 or rgba_NSS4.dtype != np.uint8:
            raise ImageError(f"images of shape {rgba_NSS4.shape} and type {rgba_NSS4.dtype}; expected uint8 [N, S, S, 4]")
        found = np.empty((len(rgba_NSS4), self.head.embed.out_features), np.float32)
        starts = range(0, len(rgba_NSS4), BATCH)
        for start in tqdm(starts, desc=progress, unit="batch", leave=False, disable=progress is None):
            rgb = torch.from_numpy(composite_on_white(rgba_NSS4[start : start + BATCH])).permute(0, 3, 1, 2).float()
            if rgb.shape[-1] != SIZE:
                rgb = F.interpolate(rgb, size=(SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
            features = self.backbone(scale_pixels(rgb).contiguous(memory_format=torch.channels_last))
            found[start : start + BATCH] = self.head.embedding(features).numpy()
        return found

    @torch.no_grad()
    def classify(self, embeddings_ND: np.ndarray) -> np.ndarray:
        """Embeddings → logits, float32 [N, K], in the order of :attr:`concepts`."""
        return self.head.classify(torch.from_numpy(embeddings_ND)).numpy()

    def ranks(self, logits_NK: np.ndarray, concept_N: np.ndarray) -> np.ndarray:
        """How many concepts are scored above the right one, int [N]; 0 is a top-1 hit. Ties count against the hit.

        Raises :class:`DataError` for a concept that the judge does not know.
        """
        unknown = sorted(set(concept_N) - set(self.index))
        if unknown:
            raise DataError(
                f"concepts {unknown[:5]} are unknown to the judge; expected some of its {len(self.concepts)} concepts"
            )
        right = np.array([self.index[concept] for concept in concept_N])
        own = logits_NK[np.arange(len(right)), right]
        return (logits_NK >= own[:, None]).sum(1) - 1


def judge_images(rgba_NSS4: np.ndarray, judge: Judge | None = None) -> np.ndarray:
    """Straight-alpha uint8 images [N, S, S, 4] → logits [N, K] of the committed judge, or of the one given."""
    judge = judge or Judge()
    return judge.classify(judge.embed(rgba_NSS4))

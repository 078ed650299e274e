"""A map of real drawings in the latent space: two principal components of their tokens' latents, and who lies next to whom.

Shapes: N drawings, P tokens per image, C latent coordinates per token.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from PIL import Image
from starlette.responses import Response
from starlette.routing import Route

from mvae.config import LatentConfig
from mvae.errors import DataError, TokensError
from ui.names import STYLE_NAMES

FIELDS = (
    "tokens",
    "position",
    "origin",
    "basis",
    "scale",
    "caption",
    "style",
    "colour",
    "atlas",
    "thumbnail",
    "atlas_columns",
    "latent",
    "model",
    "vae_sha256",
)


@dataclass(frozen=True)
class Neighbour:
    """A reference drawing near a sticker."""

    index: int
    caption: str
    style: str
    distance: float
    """Euclidean distance of the latents, in prior standard deviations."""
    equal_tokens: int
    """Positions, of P, at which both have the same token."""


def latents_of(tokens_NP: np.ndarray, latent: LatentConfig) -> np.ndarray:
    """Latents [N, P * C] at the middle of each token's quantile cell; the mask token gives the prior mean, 0."""
    level_count, coordinates = latent.levels, latent.coordinates
    centres = np.array([NormalDist().inv_cdf((k + 0.5) / level_count) for k in range(level_count)], dtype=np.float32)
    digits = tokens_NP[..., None] // level_count ** np.arange(coordinates - 1, -1, -1) % level_count
    z_NPC = np.where((tokens_NP == latent.mask_token)[..., None], np.float32(0), centres[digits])
    return z_NPC.reshape(len(tokens_NP), -1)


class LatentMap:
    """Reference drawings of one latent, read from the ``.npz`` that ``python -m ui.build_latent_map`` writes."""

    def __init__(self, path: Path):
        """Raises :class:`DataError` when the file is not such a map."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                fields = {name: stored[name] for name in FIELDS}
            self.latent = LatentConfig.from_dict(json.loads(str(fields["latent"])))
        except (OSError, ValueError, KeyError, DataError) as error:
            raise DataError(f"{path}: not a latent map ({error}); expected an .npz with {', '.join(FIELDS)}") from error
        self.tokens = fields["tokens"].astype(np.int64)
        self.captions = [str(caption) for caption in fields["caption"]]
        self.styles = [str(style) for style in fields["style"]]
        self.latents = latents_of(self.tokens, self.latent)
        self.model, self.vae_sha256 = str(fields["model"]), str(fields["vae_sha256"])
        """Whose encoder gave the tokens, and the digest of its entry's ``vae.safetensors``: retrained weights need a new map."""
        self._fields = fields

    def __len__(self) -> int:
        return len(self.captions)

    def _latents(self, tokens) -> np.ndarray:
        tokens = np.asarray(tokens, dtype=np.int64)
        if tokens.shape != (self.latent.positions,):
            raise TokensError(f"got tokens of shape {tokens.shape}, expected ({self.latent.positions},)")
        return latents_of(tokens[None], self.latent)[0]

    def project(self, tokens) -> tuple[float, float]:
        """Where a sticker lies on the map; most reference drawings lie within -1 … 1."""
        x, y = self._fields["basis"] @ (self._latents(tokens) - self._fields["origin"]) / self._fields["scale"]
        return float(x), float(y)

    def nearest(self, tokens, count: int = 3) -> list[Neighbour]:
        """The closest drawings in the whole latent space, not on the flat map; nearest first."""
        distances = np.linalg.norm(self.latents - self._latents(tokens), axis=1)
        equal = (self.tokens == np.asarray(tokens, dtype=np.int64)).sum(axis=1)
        order = np.argsort(distances, kind="stable")[:count]
        return [Neighbour(int(i), self.captions[i], self.styles[i], float(distances[i]), int(equal[i])) for i in order]

    def points(self) -> bytes:
        """What the page draws, as JSON: positions, captions, styles, mean colours and the layout of the atlas."""
        fields = self._fields
        return json.dumps(
            {
                "position": np.round(fields["position"], 4).tolist(),
                "caption": self.captions,
                "style": [STYLE_NAMES.get(style, style) for style in self.styles],
                "colour": fields["colour"].tolist(),
                "thumbnail": int(fields["thumbnail"]),
                "columns": int(fields["atlas_columns"]),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()

    def atlas(self) -> bytes:
        """Every thumbnail in one WebP file, row by row."""
        return self._fields["atlas"].tobytes()

    def routes(self) -> list[Route]:
        """``latent-map/points.json`` and ``latent-map/atlas.webp``, served from memory."""
        files = {"points.json": (self.points(), "application/json"), "atlas.webp": (self.atlas(), "image/webp")}

        def answer(name):
            content, kind = files[name]
            return lambda request: Response(content, media_type=kind, headers={"Cache-Control": "max-age=3600"})

        return [Route(f"/latent-map/{name}", answer(name)) for name in files]


def principal_plane(latents_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(origin [D], basis [2, D], scale [2])``: 98 % of the drawings lie within -1 … 1 along each axis; signs are fixed."""
    mean = latents_ND.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(latents_ND - mean, rowvar=False))
    basis = vectors[:, :-3:-1].T
    basis *= np.sign(basis[np.arange(2), np.abs(basis).argmax(axis=1)])[:, None]
    low, high = np.percentile((latents_ND - mean) @ basis.T, [1, 99], axis=0)
    origin = mean + (low + high) / 2 @ basis
    return origin.astype(np.float32), basis.astype(np.float32), ((high - low) / 2).astype(np.float32)


def pack_atlas(images: list[Image.Image], side: int, columns: int, quality: int = 60) -> bytes:
    """Thumbnails of ``side`` pixels in one lossy WebP with alpha."""
    rows = -(-len(images) // columns)
    atlas = Image.new("RGBA", (columns * side, rows * side))
    for index, image in enumerate(images):
        atlas.paste(image.resize((side, side), Image.Resampling.LANCZOS), (index % columns * side, index // columns * side))
    buffer = io.BytesIO()
    atlas.save(buffer, format="WEBP", quality=quality, alpha_quality=60, method=6)
    return buffer.getvalue()

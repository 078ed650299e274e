"""Real pictures that set the activation ranges of the int8 VAE.

The ranges are kept in the entry, so that it can be made again without the pictures.
"""

import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mvae.config import LatentConfig
from mvae.data.render import fit_square
from mvae.data.shards import read_shard
from mvae.errors import DataError
from mvae.models.mvae import MVAE

SAMPLE = Path(__file__).resolve().parents[1] / "tests" / "data" / "emoji-sample.tar"
"""200 committed pictures: what there is on a fresh clone."""
PICTURES = 192
FORMAT = 1


def calibration_pictures(data: Path | None, size: int, count: int = PICTURES) -> np.ndarray:
    """``count`` training pictures, spread evenly over all shards: uint8 [N, size, size, 4], straight alpha.

    ``data``: a folder of shards, one shard, or None for the committed sample. Raises :class:`DataError` where there are none.
    """
    data = SAMPLE if data is None else data
    shards = [data] if data.is_file() else sorted(data.glob("train-*.tar"))
    pictures, each = [], -(-count // max(len(shards), 1))
    for shard in shards:
        samples = [sample for sample in read_shard(shard) if sample.meta.get("split", "train") == "train"]
        for sample in samples[:: max(1, len(samples) // each)][:each]:
            pictures.append(np.asarray(fit_square(Image.open(io.BytesIO(sample.image)), size)))
    if not pictures:
        raise DataError(f"{data}: no training pictures in {len(shards)} shards; expected train-*.tar, or one tar shard")
    return np.stack(pictures[:count])


def premultiplied(pictures: np.ndarray) -> torch.Tensor:
    """uint8 [N, S, S, 4], straight alpha → float [N, 4, S, S] in [0, 1], premultiplied: what the VAE reads."""
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)


def decoder_inputs(vae: MVAE, pictures: np.ndarray) -> np.ndarray:
    """int64 [N, positions]: the pictures' tokens; every eighth grid is only partly known, as while a sticker streams in."""
    tokens = torch.cat([vae.encode_tokens(part) for part in premultiplied(pictures).split(32)]).numpy()
    return with_unknown(tokens, vae.config.latent, every=8)


def with_unknown(tokens: np.ndarray, latent: LatentConfig, every: int) -> np.ndarray:
    """A copy in which rows 0, ``every``, 2·``every`` … keep only the upper half of their grid; the rest is the mask token."""
    tokens = tokens.copy()
    tokens[::every, latent.positions // 2 :] = latent.mask_token
    return tokens


def write_ranges(path: Path, ranges: dict[str, dict], pictures: int, source: str) -> None:
    """Store ``{graph: {activation: (low, high)}}`` as JSON."""
    values = {"format": FORMAT, "pictures": pictures, "source": source, "ranges": ranges}
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_ranges(path: Path) -> dict:
    """What :func:`write_ranges` stored. Raises :class:`DataError` for another format."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise DataError(f"{path}: format {values['format']!r}, expected {FORMAT}")
        ranges = values["ranges"].items()
        values["ranges"] = {graph: {name: tuple(edges) for name, edges in found.items()} for graph, found in ranges}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a calibration file ({error!r})") from None
    return values

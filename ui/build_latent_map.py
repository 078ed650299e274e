"""python -m ui.build_latent_map --model small-fp16 --data data/emoji

Encodes one training drawing of every trained concept (styles taken in turn) with a real encoder, finds the plane of
greatest variance of their latents and writes ``zoo/results/latent_map-LATENT_ID.npz``, which the app draws.
The same drawings and model give the same bytes.
"""

import argparse
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import mvae
from mvae.config import STYLES
from mvae.data.shards import Sample, read_shard
from mvae.engine.entry import split_name
from mvae.errors import DataError, MvaeError
from mvae.files import write_atomic
from ui.latent_map import latents_of, pack_atlas, principal_plane
from zoo import fetch, manifest

THUMBNAIL = 44
COLUMNS = 43


def choose(folder: Path) -> list[Sample]:
    """One drawing per trained concept: styles take turns over the sorted concepts, so that each has about the same share."""
    by_concept: dict[str, dict[str, Sample]] = {}
    shards = [path for style in STYLES for path in sorted(folder.glob(f"train-{style}-[0-9]*.tar"))]
    if not shards:
        raise DataError(
            f"{folder}: no train-STYLE-NNNNN.tar shards; build them with: python -m mvae data build emoji --out {folder}"
        )
    for path in shards:
        for sample in read_shard(path):
            if sample.meta["split"] == "train":
                by_concept.setdefault(sample.meta["concept"], {})[sample.meta["style"]] = sample
    chosen = []
    for turn, concept in enumerate(sorted(by_concept)):
        drawings = by_concept[concept]
        styles = [style for style in STYLES if style in drawings]
        chosen.append(drawings[styles[turn % len(styles)]])
    return chosen


def mean_colour(image: Image.Image) -> tuple[int, int, int]:
    """Colour of the drawing itself: the mean over its pixels weighted by their alpha."""
    rgba = np.asarray(image, dtype=np.float64)
    weight = rgba[..., 3:]
    return tuple(int(value) for value in (rgba[..., :3] * weight).sum(axis=(0, 1)) / max(weight.sum(), 1.0))


def build(model: mvae.Model, samples: list[Sample], vae_sha256: str) -> dict[str, np.ndarray]:
    """Every array of the map; ``vae_sha256`` says which weights the tokens belong to."""
    images = [Image.open(io.BytesIO(sample.image)).convert("RGBA") for sample in samples]
    tokens = np.array([model.encode(image) for image in tqdm(images, desc="encode", unit="img")])
    latents = latents_of(tokens, model.latent)
    origin, basis, scale = principal_plane(latents)
    return {
        "tokens": tokens.astype(np.uint16),
        "position": ((latents - origin) @ basis.T / scale).astype(np.float32),
        "origin": origin,
        "basis": basis,
        "scale": scale,
        "caption": np.array([sample.meta["label"] for sample in samples]),
        "style": np.array([sample.meta["style"] for sample in samples]),
        "colour": np.array([mean_colour(image) for image in images], dtype=np.uint8),
        "atlas": np.frombuffer(pack_atlas(images, THUMBNAIL, COLUMNS), dtype=np.uint8),
        "thumbnail": np.array(THUMBNAIL),
        "atlas_columns": np.array(COLUMNS),
        "latent": np.array(json.dumps(model.latent.to_dict())),
        "model": np.array(model.name),
        "vae_sha256": np.array(vae_sha256),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ui.build_latent_map", description=__doc__.split("\n\n")[1])
    parser.add_argument("--model", default="small-fp16", help="whose encoder gives the tokens")
    parser.add_argument("--data", type=Path, default=Path("data/emoji"), help="folder of train-STYLE-NNNNN.tar shards")
    parser.add_argument("--zoo", type=Path, help="folder of zoo entries; default: zoo/models")
    parser.add_argument("--out", type=Path, help="default: zoo/results/latent_map-LATENT_ID.npz")
    options = parser.parse_args(arguments)
    try:
        entry = fetch.locate(split_name(options.model)[0], options.zoo)
        digest = manifest.read(entry).record("vae.safetensors").sha256
        model = mvae.load(options.model, threads=1, folder=options.zoo)
        arrays = build(model, choose(options.data), digest)
    except MvaeError as error:
        print(error, file=sys.stderr)
        return 2
    out = options.out or Path(f"zoo/results/latent_map-{model.latent.latent_id}.npz")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomic(out, buffer.getvalue())
    print(f"{out}: {len(arrays['caption'])} drawings, {os.path.getsize(out)} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

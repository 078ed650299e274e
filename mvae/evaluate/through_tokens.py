"""``python -m mvae.evaluate.through_tokens --run runs/small --samples 1000``: is the VAE of a running training good enough yet?

Real drawings go through encode → tokens → decode with the averaged torch weights of a run, before any export. Prints one JSON
object: the judge's score on the drawings and on what comes back (``real_ceiling``, ``token_ceiling``), PSNR in dB and SSIM,
for trained and never-seen concepts.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from mvae.config import VaeConfig
from mvae.data.dataset import Pictures
from mvae.errors import DataError, MvaeError
from mvae.evaluate.ceilings import Roundtrip, measure
from mvae.evaluate.drawings import Drawings, Stored, decode_drawings, list_drawings
from mvae.evaluate.judge import Judge
from mvae.models.export_wrappers import DecoderGraph, EncoderGraph
from mvae.models.mvae import MVAE


def load_run(run: Path) -> MVAE:
    """The VAE of a run folder: averaged weights of the running stage, or the finished ``vae.safetensors``.

    Raises :class:`DataError` where neither is there.
    """
    weights = next((path for path in (run / "vae" / "ema.safetensors", run / "vae.safetensors") if path.is_file()), None)
    if weights is None or not (run / "vae_config.json").is_file():
        raise DataError(f"{run}: expected vae_config.json and vae/ema.safetensors or vae.safetensors")
    vae = MVAE(VaeConfig.from_dict(json.loads((run / "vae_config.json").read_text())))
    state = {name.removeprefix("vae."): value for name, value in load_file(weights).items() if "num_batches" not in name}
    try:
        vae.load_state_dict(state | {k: v for k, v in vae.state_dict().items() if "num_batches" in k}, strict=True)
    except RuntimeError as error:
        raise DataError(f"{weights}: not the weights of the VAE in vae_config.json ({error!s:.200})") from None
    return vae.eval()


def torch_roundtrip(vae: MVAE, batch: int = 64) -> Roundtrip:
    """Encode → tokens → decode with torch modules, in batches."""
    encoder, decoder = EncoderGraph(vae), DecoderGraph(vae)

    @torch.no_grad()
    def roundtrip(rgba_NSS4: np.ndarray) -> np.ndarray:
        chunks = [
            decoder(encoder(torch.from_numpy(rgba_NSS4[i : i + batch]))[0]).numpy() for i in range(0, len(rgba_NSS4), batch)
        ]
        return np.concatenate(chunks)

    return roundtrip


@torch.no_grad()
def tokens_of(vae: MVAE, pictures: Pictures, batch: int = 64) -> Tensor:
    """Tokens of every picture, int64 [N, positions]."""
    starts = range(0, len(pictures), batch)
    return torch.cat([vae.encode_tokens(pictures.batch(range(i, min(i + batch, len(pictures))))) for i in starts])


def sample_drawings(stored: Sequence[Stored], split: str, samples: int, seed: int = 0) -> Drawings:
    """At most ``samples`` drawings of one split, the same ones for the same seed."""
    there = [drawing for drawing in stored if drawing.split == split]
    order = np.sort(np.random.default_rng(seed).permutation(len(there))[:samples])
    return decode_drawings([there[number] for number in order])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.evaluate.through_tokens", description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1000, help="drawings of each split, at most")
    parser.add_argument("--data", type=Path, default=Path("data/emoji"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        vae, judge, stored = load_run(args.run), Judge(), list_drawings(args.data, "train")
        report = {"run": str(args.run)}
        for split, name in (("train", "seen"), ("unseen", "unseen")):
            chosen = sample_drawings(stored, split, args.samples)
            found = measure(judge, chosen, torch_roundtrip(vae), vae.config.image_size, name)
            report[name] = {key: value for key, value in found.items() if not isinstance(value, np.ndarray)}
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

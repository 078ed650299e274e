"""A frozen latent, ``zoo/latents/ID``: the reference encoder, the quantile grid and the normalisation that every size shares, so
that any size decodes any size's tokens.

    python -m mvae.training.frozen_latent --run runs/base --id 1 --out zoo/latents
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from mvae.config import VaeConfig
from mvae.errors import DataError, MvaeError
from mvae.files import write_atomic
from mvae.models.mvae import MVAE, Encoder
from mvae.models.quantile import cell_center, normal_quantile
from mvae.training.checkpoint import load_weights, save_tensors

DEFINITION, WEIGHTS = "latent.json", "encoder.safetensors"
NORMALISATION = "RGBA in [0, 1], premultiplied; the encoder reads 2x - 1"
_ENCODER = (
    "image_size", "grid", "columns", "depth", "levels", "coordinates", "patch", "encoder_widths", "encoder_blocks", "shortcuts",
)


def definition(config: VaeConfig, latent_id: str) -> dict:
    """Everything that fixes the tokens but the weights: sizes, cell edges and medians of N(0, 1), normalisation."""
    levels = config.levels
    return {
        "latent_id": latent_id,
        **{name: value for name, value in config.to_dict().items() if name in _ENCODER},
        "edges": [round(edge, 6) for edge in normal_quantile(torch.arange(1, levels) / levels).tolist()],
        "medians": [round(center, 6) for center in cell_center(torch.arange(levels), levels).tolist()],
        "normalisation": NORMALISATION,
    }


def stored_vae(folder: Path) -> MVAE:
    """The finished VAE of a run folder or a zoo entry. Raises :class:`DataError` where there is none."""
    path = folder / "vae_config.json"
    if not path.is_file():
        raise DataError(f"{path}: not found; expected a run folder or a zoo entry with a trained VAE")
    vae = MVAE(VaeConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    load_weights(vae, folder / "vae.safetensors")
    return vae.eval()


def freeze(vae: MVAE, folder: Path, latent_id: str) -> Path:
    """Write ``folder/latent_id`` from a trained VAE, weights in float16. Raises :class:`DataError` where it is there already: a
    frozen latent never changes."""
    target = folder / latent_id
    if (target / DEFINITION).exists():
        raise DataError(f"{target}: latent {latent_id!r} is frozen already; expected another id")
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half() for name, value in vae.encoder.state_dict().items() if value.is_floating_point()}
    save_tensors(target / WEIGHTS, weights)
    write_atomic(target / DEFINITION, (json.dumps(definition(vae.config, latent_id), indent=1) + "\n").encode())
    return target


def adopt_encoder(vae: MVAE, folder: Path) -> None:
    """Give ``vae`` the reference encoder of the latent in ``folder``.

    Raises :class:`DataError` where its configuration is not that of the latent, or the weights are missing or do not fit.
    """
    wanted, weights = _stored(folder)
    got = json.loads(json.dumps(definition(vae.config, vae.config.latent_id)))
    differ = {name: (value, wanted.get(name)) for name, value in got.items() if value != wanted.get(name)}
    if differ:
        raise DataError(f"{folder}: the configuration differs from the frozen latent's: {differ} (got, expected)")
    state = vae.encoder.state_dict()
    if {n for n, v in state.items() if v.is_floating_point()} != set(weights):
        raise DataError(f"{folder / WEIGHTS}: {len(weights)} tensors, expected those of the encoder in {DEFINITION}")
    vae.encoder.load_state_dict(state | {name: value.float() for name, value in weights.items()})


def reference_encoder(folder: Path) -> Encoder:
    """The encoder of the latent in ``folder``, standing still. Raises :class:`DataError` where there is none."""
    wanted, weights = _stored(folder)
    config = VaeConfig.from_dict({name: wanted[name] for name in (*_ENCODER, "latent_id")})
    encoder = Encoder(config)
    encoder.load_state_dict(encoder.state_dict() | {name: value.float() for name, value in weights.items()})
    return encoder.eval().requires_grad_(False)


def _stored(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    try:
        return json.loads((folder / DEFINITION).read_text(encoding="utf-8")), load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: not a frozen latent ({error})") from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.training.frozen_latent", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run folder or entry with a trained VAE")
    parser.add_argument("--id", required=True, help="name of the latent")
    parser.add_argument("--out", type=Path, default=Path("zoo/latents"), help="default: %(default)s")
    args = parser.parse_args(argv)
    try:
        print(freeze(stored_vae(args.run), args.out, args.id))
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A graph that refines the posterior of a picture at run time, without torch (the paper's ASVI, 13):

    python -m export.refiner --entry zoo/models/small --steps 10 --out runs/small-refiner.onnx

:class:`mvae.engine.refiner.Refiner` runs it. It holds encoder and decoder once, and the decoder's gradient written out.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from export.reference import OPSET
from mvae.errors import ExportError, InputError, MvaeError
from mvae.files import write_atomic
from mvae.models.export_wrappers import RefinedEncoderGraph
from mvae.models.mvae import MVAE
from mvae.models.refine import Refinement
from mvae.training.frozen_latent import stored_vae

OUTPUTS = ["tokens", "mean", "log_variance", "before", "after"]
TOLERANCE = 1e-3
"""Largest difference of −ELBO from PyTorch's, as a share of it."""


def export_refiner(vae: MVAE, out: Path, *, steps: int = 10, rate: float = 0.05) -> dict:
    """Write the graph. Returns its bytes and −ELBO before and after of the picture that it was checked with.

    Raises :class:`ExportError` where ONNX Runtime does not reproduce PyTorch, OptionError and DataError as the modules do.
    """
    graph = RefinedEncoderGraph(Refinement(vae, steps=steps, rate=rate)).eval()
    side = vae.config.image_size
    image = torch.randint(0, 256, (1, side, side, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    buffer = io.BytesIO()
    with torch.no_grad():
        expected = dict(zip(OUTPUTS, graph(image), strict=True))
        torch.onnx.export(graph, (image,), buffer, input_names=["image"], output_names=OUTPUTS, opset_version=OPSET, dynamo=False)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    found = dict(zip(OUTPUTS, session.run(OUTPUTS, {"image": image.numpy()}), strict=True))
    for name in ("before", "after"):
        if not np.allclose(found[name], expected[name].numpy(), rtol=TOLERANCE):
            raise ExportError(f"refiner: {name} is {found[name]} in ONNX Runtime, {expected[name].numpy()} in PyTorch")
    write_atomic(out, buffer.getvalue())
    return {"bytes": len(buffer.getvalue()), **{name: float(found[name][0]) for name in ("before", "after")}}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.refiner", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entry", type=Path, required=True, help="zoo entry or run with the VAE")
    parser.add_argument("--steps", type=int, default=10, help="gradient steps a picture (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.05, help="of Adam, per coordinate (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the graph")
    args = parser.parse_args(argv)
    try:
        print(json.dumps(export_refiner(stored_vae(args.entry), args.out, steps=args.steps, rate=args.rate)))
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m mvae reproduce tiny-decoder``: our decoders against that of diffusers' ``AutoencoderTiny`` (random weights: only
time is compared) at equal picture size, in ONNX Runtime, one thread, taking turns in one run.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from mvae.engine.model import Model, load
from mvae.evaluate.results import write_study
from mvae.machine import cpu_name

COLUMNS = ("arm", "side", "decode_ms", "decode_ms_p95", "tiny_ms", "tiny_ms_p95", "times_faster", "repeat", "cpu", "command")
FOLD = 8
"""AutoencoderTiny's latent is a square with a side of an eighth of the picture's, 4 channels."""


class _Decode(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.decoder = model.decoder

    def forward(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)


def tiny_session(side: int, folder: Path) -> onnxruntime.InferenceSession:
    """AutoencoderTiny's decoder for pictures of one side, one thread, as our graphs are run."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    path = folder / f"tiny-{side}.onnx"
    example = torch.randn(1, 4, side // FOLD, side // FOLD)
    torch.onnx.export(_Decode(AutoencoderTiny()).eval(), (example,), str(path), input_names=["latents"], output_names=["image"],
                      opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_all(names: list[str], *, repeat: int, results: Path) -> list[dict]:
    """Each model against AutoencoderTiny at its own picture size. Raises as :func:`mvae.engine.model.load`."""
    models, rows = [load(name, threads=1) for name in names], []
    with tempfile.TemporaryDirectory() as scratch:
        sessions = {side: tiny_session(side, Path(scratch)) for side in sorted({model.sticker_size for model in models})}
        for model in models:
            ours, theirs = _times(model, sessions[model.sticker_size], repeat)
            rows.append(
                {
                    "arm": model.name, "side": model.sticker_size, "decode_ms": statistics.median(ours),
                    "decode_ms_p95": float(np.percentile(ours, 95)), "tiny_ms": statistics.median(theirs),
                    "tiny_ms_p95": float(np.percentile(theirs, 95)),
                    "times_faster": statistics.median(theirs) / statistics.median(ours),
                    "repeat": repeat, "cpu": cpu_name(),
                    "command": f"python -m mvae reproduce tiny-decoder --models {' '.join(names)} --repeat {repeat}",
                }
            )
    write_study(results, "tiny-decoder", COLUMNS, rows)
    return rows


def _times(model: Model, session: onnxruntime.InferenceSession, repeat: int) -> tuple[list[float], list[float]]:
    """Milliseconds of both, turn by turn: tokens → picture here, latents → picture there."""
    generator, ours, theirs = np.random.default_rng(0), [], []
    latent, side = model.latent, model.sticker_size // FOLD
    for turn in range(-5, repeat):
        tokens = generator.integers(0, latent.codebook, latent.positions).tolist()
        latents = generator.standard_normal((1, 4, side, side), dtype=np.float32)
        begun = time.perf_counter()
        model.decode(tokens)
        middle = time.perf_counter()
        session.run(None, {"latents": latents})
        end = time.perf_counter()
        if turn >= 0:
            ours.append(1000 * (middle - begun))
            theirs.append(1000 * (end - middle))
    return ours, theirs

"""Choose the arithmetic by measuring: bf16 is three times as fast as fp32 on some processors and slower on others."""

import time

import torch
import torch.distributed as dist

from mvae.errors import TrainingError

NAMES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def _seconds(dtype: torch.dtype) -> float:
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    image = torch.randn(8, 64, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    left, right = torch.randn(1024, 256, dtype=dtype), torch.randn(256, 1024, dtype=dtype)
    best = float("inf")
    with torch.no_grad():
        for _ in range(5):
            start = time.perf_counter()
            convolution(image)
            left @ right
            best = min(best, time.perf_counter() - start)
    return best


def probe_precision(device: str) -> torch.dtype:
    """``torch.bfloat16`` if a convolution and a product together run faster in it here, else ``torch.float32``. About 50 ms."""
    if device != "cpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if _seconds(torch.bfloat16) < 0.9 * _seconds(torch.float32) else torch.float32


def settle_precision(wanted: str, device: str, controller: dict) -> torch.dtype:
    """The precision of a whole run: what ``wanted`` names, or for "auto" what the run began with, or else the probe's choice.

    A probe is a timing, so another process, or the same run resumed on a busy machine, may find otherwise: the first process
    decides for all, and the decision is kept in ``controller``, which checkpoints hold. Raises :class:`TrainingError` for an
    unknown name.
    """
    if wanted not in (*NAMES, "auto"):
        raise TrainingError(f"precision: got {wanted!r}, expected 'auto' or one of {list(NAMES)}")
    name = controller.get("precision") if wanted == "auto" else wanted
    if name is None:
        name = next(known for known, dtype in NAMES.items() if dtype == probe_precision(device))
    if dist.is_initialized():
        chosen = [name]
        dist.broadcast_object_list(chosen, src=0)
        (name,) = chosen
    controller["precision"] = name
    return NAMES[name]

"""Latency of models, stage by stage and from prompt to PNG, with the bytes they load and the machine that was measured.

Models take turns round by round, so that whatever else the machine does falls on all of them alike. Every round has another
prompt and another seed; nothing is reused from one round to the next, and warm-up rounds do not count.
"""

import csv
import datetime
import io
import os
import platform
import sys
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
import onnxruntime

from mvae.config import STYLES
from mvae.engine.images import png_bytes
from mvae.engine.model import Model
from mvae.engine.options import whole
from mvae.machine import cpu_name, slug

PROMPTS = (
    "red apple",
    "smiling cat face with heart-eyes",
    "blue car",
    "green book",
    "crescent moon",
    "a slice of pizza with cheese",
    "rocket",
    "old man with a white beard",
    "umbrella in the rain",
    "sunflower",
    "house with garden",
)
"""A prime number of them, so that prompt, style and seed come in new combinations."""
STAGES = ("text_ms", "tokens_ms", "encode_ms", "decode_ms", "total_ms")
WARM_UP = 3
REPEATS_MAX = 10000
Samples = dict[str, list[float]]


def prompt_of(turn: int) -> tuple[str, str]:
    """Prompt and style of one round."""
    return PROMPTS[turn % len(PROMPTS)], STYLES[turn % len(STYLES)]


def measure(
    models: Sequence[Model],
    repeat: int,
    extra: Callable[[Model, int], dict[str, float]] | None = None,
    progress: Callable[[int], None] = lambda turn: None,
) -> list[dict]:
    """One object for each model: name, bytes and, for every stage, ``{"p50", "p95"}`` in milliseconds over ``repeat`` rounds.

    ``text`` is tokenizer and encoder, ``tokens`` the decoder's loop, ``decode`` tokens → image, ``encode`` image → tokens,
    ``total`` prompt → PNG bytes. ``extra`` measures more in the same rounds. Raises OptionError for ``repeat`` outside 1 … 10000.
    """
    repeat = whole("repeat", repeat, 1, REPEATS_MAX)
    samples: list[Samples] = [{} for _ in models]
    for turn in range(-WARM_UP, repeat):
        for model, found in zip(models, samples, strict=True):
            times = _round(model, turn + WARM_UP)
            if extra is not None:
                times |= extra(model, turn + WARM_UP)
            if turn >= 0:
                for stage, value in times.items():
                    found.setdefault(stage, []).append(value)
        progress(turn)
    return [
        {
            "name": model.name,
            "bytes": model.bytes,
            **{stage: summary(found[stage]) for stage in (*STAGES, *sorted(set(found) - set(STAGES)))},
        }
        for model, found in zip(models, samples, strict=True)
    ]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"p50": round(float(np.percentile(values, 50)), 3), "p95": round(float(np.percentile(values, 95)), 3)}


def machine(threads: int) -> dict:
    """What the figures depend on: processor, cores that this process may use, versions, threads, load when asked."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "threads": threads,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def peak_memory() -> int | None:
    """Largest resident set of this process so far, in bytes; None where the system does not tell."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def report(models: Sequence[Model], repeat: int, **options) -> dict:
    """What ``bench --json`` prints: ``models`` from :func:`measure`, ``machine``, ``repeat`` and ``peak_memory_bytes``."""
    about = machine(models[0].threads)
    return {"models": measure(models, repeat, **options), "machine": about, "repeat": repeat, "peak_memory_bytes": peak_memory()}


def result_name(cpu: str, date: datetime.date) -> str:
    """``bench-MACHINE-DATE.csv``."""
    return f"bench-{slug(cpu)}-{date.isoformat()}.csv"


def to_csv(found: dict, date: datetime.date, command: str) -> str:
    """One row for each model, times in milliseconds."""
    stages = [stage for stage, value in found["models"][0].items() if isinstance(value, dict)]
    columns = [
        "model",
        "bytes",
        *(f"{stage}_{mark}" for stage in stages for mark in ("p50", "p95")),
        "repeat",
        "threads",
        "cpu",
        "cores",
        "python",
        "onnxruntime",
        "load_average",
        "date",
        "command",
    ]
    about = found["machine"]
    text = io.StringIO()
    rows = csv.DictWriter(text, columns, lineterminator="\n")
    rows.writeheader()
    for model in found["models"]:
        times = {f"{stage}_{mark}": model[stage][mark] for stage in stages for mark in ("p50", "p95")}
        rows.writerow(
            {
                "model": model["name"],
                "bytes": model["bytes"],
                **times,
                "repeat": found["repeat"],
                "date": date.isoformat(),
                "command": command,
                **{key: about[key] for key in columns if key in about},
            }
        )
    return text.getvalue()


def _round(model: Model, turn: int) -> dict[str, float]:
    prompt, style = prompt_of(turn)
    begun = perf_counter()
    sticker = model.generate(prompt, style=style, seed=turn)
    png_bytes(sticker.image)
    total = perf_counter() - begun
    begun = perf_counter()
    model.encode(sticker.image)
    encode = perf_counter() - begun
    return {
        **{f"{stage}_ms": value for stage, value in sticker.timings.items()},
        "encode_ms": encode * 1000,
        "total_ms": total * 1000,
    }

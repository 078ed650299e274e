"""A trained system of the comparison → ``zoo/systems/DATA/SYSTEM``: ONNX graphs, its classes' mixtures, and what they are.

``python -m mvae reproduce table9`` exports every row in this way.

Legend: N test images, D latent dimension. Weights are stored in eight bits (:mod:`export.narrow`).
"""

import hashlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from export.narrow import store_int8
from export.reference import OPSET
from export.sessions import open_session
from mvae.data.benchmarks import CLASSES, load_benchmark
from mvae.engine.system_files import GRAPHS, INDEX, LATENTS, WORDS
from mvae.errors import ExportError
from mvae.evaluate.class_mixture import fit_class_mixture
from mvae.evaluate.classifier import to_float
from mvae.files import write_atomic
from mvae.models.mvae_system import MvaeSystem
from mvae.models.quantile import cell_center
from mvae.models.s_vae import SVae
from mvae.models.system import System
from mvae.models.system_wrappers import SystemDecoder, SystemEncoder, latents_of
from mvae.models.vq_vae import VqVae
from mvae.training.label_words import DRAWING, Drawing, LabelWords

SHOWN = 500
"""Test images in the picture of a latent space."""
FITTED = 30_000
"""Training images that the classes' mixtures are fitted to."""
EXACT, NARROW = 1e-3, 0.3
"""Largest root mean square of the difference from PyTorch, relative to that of the values: of the graph as it was traced, and
with weights of eight bits, by which a latent that lies between two codes may get the other one."""


def export_system(
    system: System | VqVae, out: Path, *, name: str, title: str, data: str, source: Path, words: LabelWords | None = None,
    words_of: str = "", facts: dict | None = None,
) -> Path:
    """Write the entry ``out / data / name``. ``source``: folder of the built benchmarks; ``words_of``: the system in whose folder
    its words are kept, if it shares them; ``facts`` go into ``system.json``.

    Raises :class:`ExportError` where a graph does not reproduce the system, DataError where the benchmark is missing.
    """
    train, test = load_benchmark(source / data, "train"), load_benchmark(source / data, "test")
    system, folder, about = system.eval(), out / data / name, system.config
    latents = latents_of(system, to_float(train.images[:FITTED])).numpy()
    shown = latents_of(system, to_float(test.images[:SHOWN])).numpy()
    mixture = fit_class_mixture(latents, train.labels[:FITTED], len(CLASSES[data]))
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, **mixture, points=_plane(latents, shown).astype(np.float16), latents=shown.astype(np.float16),
        labels=test.labels[:SHOWN].astype(np.uint8),
    )
    example = to_float(test.images[:2])
    latent = torch.from_numpy(shown[:2])
    files = {
        GRAPHS[0]: _graph(SystemEncoder(system), {"image": example}, "latent"),
        GRAPHS[1]: _graph(SystemDecoder(system), {"latent": latent}, "image"),
        LATENTS: buffer.getvalue(),
    }
    if words is not None:
        files |= _words(words, system, DRAWING[data])
    for file, content in files.items():
        write_atomic((out / data / words_of if words_of and file in WORDS else folder) / file, content)
    records = {file: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for file, c in files.items()}
    index = {
        "system": name, "title": title, "data": data, "classes": list(CLASSES[data]), "side": about.side,
        "channels": about.channels, "latent": shown.shape[1], "sphere": isinstance(system, SVae), "level": "int8 weights",
        **({"words": words_of} if words_of else {}), **(facts or {}), "files": records,
    }
    write_atomic(folder / INDEX, (json.dumps(index, indent=1, ensure_ascii=False) + "\n").encode())
    return folder


def _plane(latents: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """``shown`` [N, D] on the two principal axes of ``latents``: [N, 2]."""
    mean = latents.mean(0)
    _, axes = np.linalg.eigh(np.cov(latents - mean, rowvar=False))
    return (shown - mean) @ axes[:, -2:][:, ::-1]


def _graph(module: nn.Module, inputs: dict[str, torch.Tensor], output: str) -> bytes:
    """The graph with batch and text lengths left open, weights of eight bits, compared with PyTorch."""
    free = {name: {0: "batch", **({1: f"length_{name}"} if value.dtype == torch.int64 else {})} for name, value in inputs.items()}
    buffer, values = io.BytesIO(), tuple(inputs.values())
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), values, buffer, input_names=list(inputs), output_names=[output], opset_version=OPSET,
                          dynamic_axes=free | {output: {0: "batch"}}, dynamo=False)
        expected = module(*values).numpy()
    content = store_int8(onnx.load_from_string(buffer.getvalue())).SerializeToString()
    for graph, most in ((buffer.getvalue(), EXACT), (content, NARROW)):
        (got,) = open_session(graph).run([output], {name: value.numpy() for name, value in inputs.items()})
        same = got.shape == expected.shape
        off = float(np.sqrt(np.square(got - expected).mean() / np.square(expected).mean())) if same else np.inf
        if not off <= most:
            raise ExportError(f"{type(module).__name__}: {got.shape}, off by {off:.2g}; expected {expected.shape} within {most}")
    return content


def _words(words: LabelWords, system: MvaeSystem, drawing: Drawing) -> dict[str, bytes]:
    ids, mask = words.prompts()
    tokens = torch.full((2, 3), words.config.start_token)
    tokens[:, 1:] = 0
    about = {
        "prompts": words.classes, "ids": ids.tolist(), "mask": mask.tolist(), "start_token": words.config.start_token,
        "positions": words.config.positions, "codebook": words.config.codebook, "temperature": drawing.temperature,
        "guidance": drawing.guidance, "candidates": drawing.candidates,
        "table": {"levels": system.levels, "coordinates": system.coordinates},
        "medians": [round(value, 6) for value in cell_center(torch.arange(system.levels), system.levels).tolist()],
    }
    graph = _graph(words, {"ids": ids[:2], "mask": mask[:2], "tokens": tokens}, "logits")
    return {WORDS[0]: graph, WORDS[1]: (json.dumps(about) + "\n").encode()}

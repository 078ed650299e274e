"""What the files of a model are made of: every stored tensor, its bytes and its share of exact zeros."""

from dataclasses import dataclass

import numpy as np

from mvae.engine.entry import Entry
from mvae.engine.onnx_file import parse, tensors
from mvae.errors import IntegrityError

SMALLEST = 1024
"""Bytes below which a tensor is a scale, a shape or a bias not worth a line."""
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16"}
"""ONNX's numbers of the element types that our files use."""


@dataclass(frozen=True)
class Layer:
    """One stored tensor."""

    graph: str
    """For example ``vae_decoder``."""
    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    zeros: float
    """Share of elements that are exactly zero, 0 … 1."""


def layers(entry: Entry) -> list[Layer]:
    """The tensors of at least ``SMALLEST`` bytes of a model's four graphs, each graph's largest first. Raises IntegrityError
    where a tensor does not fit its shape."""
    found = []
    for graph, content in entry.graphs.items():
        found += sorted(_layers(graph, content), key=lambda layer: -layer.bytes)
    return found


def _layers(graph: str, content: bytes) -> list[Layer]:
    named = {tensor.name: tensor for tensor in tensors(parse(content, graph)) if tensor.raw_data}
    found = []
    for name, tensor in named.items():
        if len(tensor.raw_data) < SMALLEST or tensor.data_type not in DTYPES or name.endswith("_zero_point"):
            continue
        zeros = float((_values(tensor, graph) == 0).mean())  # weights are on symmetric grids: zero is stored as zero
        found.append(Layer(graph, name, DTYPES[tensor.data_type], tuple(tensor.dims), len(tensor.raw_data), zeros))
    return found


def _values(tensor, graph: str) -> np.ndarray:
    try:
        return np.frombuffer(tensor.raw_data, DTYPES[tensor.data_type]).reshape(tuple(tensor.dims))
    except ValueError as error:
        raise IntegrityError(f"{graph}: tensor {tensor.name!r} does not fit its shape ({error})") from None

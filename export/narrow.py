"""Weights of eight bits that are widened once, when a session is created: a quarter of the bytes, at no cost in time. Arithmetic,
inputs and outputs stay float32 (unlike the zoo's int8 level, whose products are of integers too).

Every output of a layer, and every row of a table, has a scale of its own: the largest magnitude of its weights is 127.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from export.graph import Graph
from export.quantize import quantize_columns
from mvae.errors import ExportError

WORTH_STORING = 1000
"""Elements below which a constant stays float32: two nodes and the scales would take more bytes than they save."""


def store_int8(model: ModelProto) -> ModelProto:
    """Replace every large float32 matrix by an int8 one, a Cast and a Mul by its scales, in place; returns the model.

    ONNX Runtime folds both away when it loads the graph, as it would not fold a DequantizeLinear. Raises :class:`ExportError` for
    weights that are not finite.
    """
    graph = Graph(model)
    for name, tensor in list(graph.tensors.items()):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2 or np.prod(tensor.dims) < WORTH_STORING:
            continue
        value = graph.value(name)
        if not np.isfinite(value).all():
            raise ExportError(f"{name}: weights that are not finite")
        # A product with a matrix on the right has its outputs along the columns.
        axis = 0 if any(_outputs_in_columns(node, name) for node in graph.readers.get(name, [])) else 1
        narrow, scale = quantize_columns(value, axis)
        graph.proto.initializer.remove(tensor)
        stored, scales = graph.add_tensor(f"{name}:int8", narrow), graph.add_tensor(f"{name}:scale", np.expand_dims(scale, axis))
        graph.add("Cast", [stored], [f"{name}:wide"], to=TensorProto.FLOAT)
        graph.add("Mul", [f"{name}:wide", scales], [name])
    graph.finish()
    return model


def _outputs_in_columns(node: NodeProto, name: str) -> bool:
    if node.op_type == "MatMul":
        return node.input[1] == name
    return node.op_type == "Gemm" and node.input[1] == name and not any(a.name == "transB" and a.i for a in node.attribute)

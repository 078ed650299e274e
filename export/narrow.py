"""Weights of eight bits that are widened once, when a session is created: a quarter of the bytes, at no cost in time. Arithmetic,
inputs and outputs stay float32 (unlike the zoo's int8 level, whose products are of integers too).

Every output of a layer, and every row of a table, has a scale of its own: the largest magnitude of its weights is 127.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.quantize import quantize_columns
from mvae.errors import ExportError

WORTH_STORING = 1000
"""Elements below which a constant stays float32: two nodes and the scales would take more bytes than they save."""


def store_int8(model: ModelProto) -> ModelProto:
    """Replace every large float32 matrix by an int8 one, a Cast and a Mul by its scales, in place; returns the model.

    ONNX Runtime folds both away when it loads the graph, as it would not fold a DequantizeLinear. Raises :class:`ExportError` for
    weights that are not finite.
    """
    graph, widened = model.graph, []
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2 or np.prod(tensor.dims) < WORTH_STORING:
            continue
        value, name = numpy_helper.to_array(tensor), tensor.name
        if not np.isfinite(value).all():
            raise ExportError(f"{name}: weights that are not finite")
        # A product with a matrix on the right has its outputs along the columns.
        axis = 0 if any(_outputs_in_columns(node, name) for node in readers.get(name, [])) else 1
        narrow, scale = quantize_columns(value, axis)
        tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}:int8"))
        graph.initializer.append(numpy_helper.from_array(np.expand_dims(scale, axis), f"{name}:scale"))
        widened += [
            helper.make_node("Cast", [f"{name}:int8"], [f"{name}:wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}:wide", f"{name}:scale"], [name]),
        ]
    nodes = widened + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _outputs_in_columns(node: NodeProto, name: str) -> bool:
    if node.op_type == "MatMul":
        return node.input[1] == name
    return node.op_type == "Gemm" and node.input[1] == name and not any(a.name == "transB" and a.i for a in node.attribute)

"""The fp16 level: weights are stored in half precision and widened once, when a session is created. What int8 leaves in floating
point (positions, scales, long biases) is stored the same way.

Arithmetic, inputs and outputs stay float32, so that the level costs no time and nothing can overflow: a CPU has few
half-precision kernels, so that in a graph converted throughout the runtime puts a conversion around every operator.
"""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mvae.errors import ExportError

WORTH_STORING = 256
"""Elements below which a constant stays float32: the conversion node would take more bytes than it saves."""


def store_half(model: ModelProto) -> ModelProto:
    """Replace every large float32 constant by a float16 one and a Cast, in place; returns the model.

    ONNX Runtime folds the Cast away when it loads the graph. Raises :class:`ExportError` for a weight beyond float16's range.
    """
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < WORTH_STORING:
            continue
        value = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        if not np.isfinite(half).all():
            raise ExportError(f"{tensor.name}: largest magnitude {np.abs(value).max():.3g} does not fit float16 (at most 65504)")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}:half"))
        casts.append(helper.make_node("Cast", [f"{name}:half"], [name], name=f"{name}:widen", to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model

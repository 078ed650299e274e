"""The int8 level: static QDQ for convolutions, dynamic int8 for the transformer's products and embeddings.

Weights are symmetric int8 with one scale per output channel, activations uint8. Convolutions go through Optimum's
``ORTQuantizer``; the transformer does not, because there it costs bytes (see :func:`quantize_products`).
"""

import contextlib
import logging
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantizationMode, QuantType, quant_pre_process
from onnxruntime.quantization.calibrate import TensorsData
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import CalibrationConfig, QuantizationConfig
from transformers import PretrainedConfig

from export.graph import CONTRIB, Graph
from export.ranges import STATIC_OPERATORS, Distance, Ranges, leaves_int8, tighten
from mvae.errors import ExportError

TIGHTENED_ON = 8
"""Calibration inputs, spread over all of them, that decide how far ranges are tightened."""


def calibrate(reference: Path, batches: list[dict[str, np.ndarray]], work: Path, distance: Distance) -> Ranges:
    """Activation ranges of a VAE graph over ``batches``, a list of inputs *without* batch axis, tightened by ``distance``.

    ``work`` is a scratch folder. Raises :class:`ExportError` where there is nothing to calibrate with.
    """
    if not batches:
        raise ExportError(f"{reference.name}: no calibration inputs; expected at least one image")
    prepared = _prepare(reference, work)
    settings = CalibrationConfig(dataset_name="", dataset_config_name="", dataset_split="", dataset_num_samples=len(batches),
                                 method=CalibrationMethod.MinMax)
    quantizer = ORTQuantizer(prepared, config=PretrainedConfig())
    with _quiet():
        data = quantizer.fit(batches, settings, onnx_augmented_model_name=str(work / "augmented.onnx"),
                             operators_to_quantize=list(STATIC_OPERATORS))
    widest = {name: tuple(float(np.asarray(edge).reshape(())) for edge in tensor.range_value) for name, tensor in data.items()}
    return tighten(prepared, widest, batches[:: max(1, len(batches) // TIGHTENED_ON)][:TIGHTENED_ON], distance)


def fits(reference: Path, ranges: Ranges, work: Path) -> bool:
    """Whether ``ranges`` name values of this graph: an exporter of another version may have named them otherwise."""
    graph = Graph(onnx.load(_prepare(reference, work)))
    return set(ranges) <= graph.inputs | graph.producer.keys()


def quantize_convolutions(reference: Path, ranges: Ranges, work: Path) -> ModelProto:
    """Static QDQ form of a VAE graph, with the given activation ranges."""
    prepared = _prepare(reference, work)
    model = onnx.load(prepared)
    settings = QuantizationConfig(
        is_static=True, format=QuantFormat.QDQ, mode=QuantizationMode.QLinearOps, per_channel=True,
        activations_dtype=QuantType.QUInt8, weights_dtype=QuantType.QInt8,
        operators_to_quantize=list(STATIC_OPERATORS), nodes_to_exclude=_kept_float(model),
    )
    data = TensorsData(CalibrationMethod.MinMax, {
        name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()
    })
    quantizer = ORTQuantizer(prepared, config=PretrainedConfig())
    with _quiet():
        quantizer.quantize(settings, work / "quantized", file_suffix="int8", calibration_tensors_range=data)
    return onnx.load(work / "quantized" / f"{prepared.stem}_int8.onnx")


def quantize_products(model: ModelProto) -> ModelProto:
    """Dynamic int8 form of one fused transformer half, in place: every product with a constant matrix, and the embeddings.

    Done here instead of with the stock dynamic quantiser, which (a) gives an embedding table one scale for all rows and
    (b) stores the tied table twice, once for the embedding and once for the head. Here a table keeps one scale a row, and
    embedding and head read the same int8 matrix. The two decoders are quantised *before* they are merged, so that equal weights
    are stored once.
    """
    graph = Graph(model)
    for node in [node for node in graph.proto.node if node.op_type == "MatMul" and node.input[1] in graph.tensors]:
        _quantize_product(graph, node)
    for node in [node for node in graph.proto.node if node.op_type == "Gather" and _is_table(graph, node)]:
        _quantize_lookup(graph, node)
    graph.finish()
    return model


def quantize_columns(matrix: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 form of a matrix with one scale, a float16 value in float32, for each slice along the *other* axis."""
    largest = np.abs(matrix).max(axis)
    scale = (largest / 127).astype(np.float16)  # stored as float16: round up, so that nothing is clipped
    scale = np.where(scale.astype(np.float64) * 127 < largest, np.nextafter(scale, np.float16(np.inf)), scale).astype(np.float32)
    scale[scale == 0] = 1
    return np.clip(np.round(matrix / np.expand_dims(scale, axis)), -127, 127).astype(np.int8), scale


def _quantize_product(graph: Graph, node) -> None:
    weight = node.input[1]
    matrix, scale = quantize_columns(graph.value(weight))
    names = [graph.add_tensor(f"{weight}:int8", matrix), graph.add_tensor(f"{weight}:scale", scale)]
    adding = graph.only_reader(node.output[0])
    operands = graph.constant_operand(adding) if adding is not None and adding.op_type == "Add" else None
    inputs, output = [node.input[0], *names], node.output[0]
    if operands is not None and graph.value(operands[0]).size == scale.size:
        bias = operands[0]
        if graph.value(bias).ndim != 1:
            bias = graph.add_tensor(f"{bias}:flat", graph.value(bias).reshape(-1))
        inputs += ["", bias]
        output = adding.output[0]
        graph.remove(adding)
    graph.remove(node)
    graph.add("DynamicQuantizeMatMul", inputs, [output], domain=CONTRIB)


def _is_table(graph: Graph, node) -> bool:
    """An embedding table of tokens. Positions, counted up by a Range, are too few to be worth it."""
    tensor = graph.tensors.get(node.input[0])
    return (tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
            and graph.made_by(node.input[1], "Range") is None)


def _quantize_lookup(graph: Graph, node) -> None:
    """int8 rows, widened and scaled after the lookup. A table shared with the head is read by columns and turned afterwards."""
    table, ids = node.input
    output = node.output[0]
    by_columns = next((a.i for a in node.attribute if a.name == "axis"), 0) == 1
    matrix, scale = quantize_columns(graph.value(table), axis=0 if by_columns else 1)
    graph.add_tensor(f"{table}:int8", matrix)
    graph.add_tensor(f"{table}:scale", scale)
    last = graph.add_tensor("last_axis", np.array([-1], np.int64))
    source = f"{output}:int8"
    graph.remove(node)
    if by_columns:
        turned = graph.only_reader(output)
        if turned is None or turned.op_type != "Transpose":
            raise ExportError(f"{node.name}: expected a Transpose after a lookup by columns")
        output = turned.output[0]
        graph.remove(turned)
        graph.add("Gather", [f"{table}:int8", ids], [f"{source}:columns"], axis=1)
        graph.add("Transpose", [f"{source}:columns"], [source], perm=[1, 2, 0])
    else:
        graph.add("Gather", [f"{table}:int8", ids], [source], axis=0)
    graph.add("Cast", [source], [f"{source}:wide"], to=TensorProto.FLOAT)
    graph.add("Gather", [f"{table}:scale", ids], [f"{source}:scale"], axis=0)
    graph.add("Unsqueeze", [f"{source}:scale", last], [f"{source}:column"])
    graph.add("Mul", [f"{source}:wide", f"{source}:column"], [output])


def _prepare(reference: Path, work: Path) -> Path:
    """Shape inference and graph clean-up that the static quantiser asks for."""
    prepared = work / f"{reference.stem}-prepared.onnx"
    if not prepared.exists():
        with _quiet():
            quant_pre_process(reference, prepared, skip_symbolic_shape=True)
    return prepared


def _kept_float(model: ModelProto) -> list[str]:
    """Names of nodes that int8 leaves alone: additions that no convolution feeds (pixel and token arithmetic), and heads."""
    graph = Graph(model)
    convolutions = [node for node in graph.proto.node if node.op_type == "Conv"]
    convolved = {node.output[0] for node in convolutions}
    additions = [node.name for node in graph.proto.node if node.op_type == "Add" and not convolved & set(node.input)]
    return additions + [node.name for node in convolutions if leaves_int8(graph, node)]


@contextlib.contextmanager
def _quiet():
    """Keeps the quantiser's advice, which is about files this exporter does not write, out of the log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

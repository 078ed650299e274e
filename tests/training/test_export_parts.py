"""Pieces of the exporter on their own: int8 columns, half-precision storage, fusion's refusals, exact loading, ranges."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from export.calibration import calibration_pictures, read_ranges, with_unknown, write_ranges
from export.fuse import fuse_transformer
from export.graph import Graph
from export.half import store_half
from export.narrow import store_int8
from export.quantize import quantize_columns
from export.ranges import tighten
from export.source import load_exactly, round_to_half
from mvae.config import LatentConfig
from mvae.errors import DataError, ExportError


def product_model(weight: np.ndarray) -> onnx.ModelProto:
    """x [B, K] @ weight [K, N]."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("axis", [0, 1])
def test_int8_columns_are_within_half_a_step_and_never_clip(axis):
    random = np.random.default_rng(0)
    matrix = random.standard_normal((40, 30)) * random.uniform(1e-3, 10, (40, 1)) * random.uniform(1e-3, 10, (1, 30))
    matrix = matrix.astype(np.float32)
    matrix[:, 3] = matrix[5] = 0
    quantized, scale = quantize_columns(matrix, axis)
    assert quantized.dtype == np.int8 and scale.shape == (matrix.shape[1 - axis],)
    assert np.array_equal(scale, scale.astype(np.float16)), "scales must survive being stored as float16"
    steps = np.expand_dims(scale, axis)
    assert (np.abs(quantized * steps - matrix) <= steps / 2 * (1 + 1e-5)).all()


def test_half_storage_widens_to_the_rounded_weights():
    weight = np.random.default_rng(0).standard_normal((32, 16)).astype(np.float32)
    stored = store_half(product_model(weight))
    onnx.checker.check_model(stored)
    assert [tensor.data_type for tensor in stored.graph.initializer] == [TensorProto.FLOAT16]
    x = np.eye(32, dtype=np.float32)
    got = onnxruntime.InferenceSession(stored.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    assert np.array_equal(got, weight.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("rows", [False, True])
def test_narrow_weights_have_a_scale_an_output_and_are_widened_once(rows):
    """Outputs along the columns of a product's matrix, or along the rows of a layer's."""
    random = np.random.default_rng(0)
    weight = (random.standard_normal((40, 30)) * random.uniform(1e-3, 10, (40, 1) if rows else (1, 30))).astype(np.float32)
    model = product_model(weight.T.copy() if rows else weight)
    if rows:  # x [B, 30] on the weights of 40 outputs
        model.graph.node[0].op_type = "Gemm"
        model.graph.node[0].attribute.append(helper.make_attribute("transB", 1))
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    stored = store_int8(model)
    onnx.checker.check_model(stored)
    assert [tensor.data_type for tensor in stored.graph.initializer] == [TensorProto.INT8, TensorProto.FLOAT]
    x = np.eye(30 if rows else 40, dtype=np.float32)
    got = onnxruntime.InferenceSession(stored.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    wanted, step = (weight.T if rows else weight), np.abs(weight).max(1 if rows else 0) / 127
    assert (np.abs(got - wanted) <= 0.51 * step).all()
    with pytest.raises(ExportError, match="not finite"):
        store_int8(product_model(np.full((40, 30), np.nan, np.float32)))


def test_weights_beyond_float16_are_refused():
    with pytest.raises(ExportError, match="65504"):
        store_half(product_model(np.full((32, 16), 1e5, np.float32)))
    module = nn.Linear(2, 2)
    module.weight.data.fill_(float("inf"))
    with pytest.raises(ExportError, match="weight"):
        round_to_half(module)


def test_fusion_refuses_a_graph_it_does_not_know():
    with pytest.raises(ExportError, match="found 0 attention blocks, expected 2"):
        fuse_transformer(product_model(np.ones((4, 4), np.float32)), heads=2, mask="mask", attentions=2)


def test_a_graph_with_a_loose_end_is_refused():
    model = product_model(np.ones((4, 4), np.float32))
    graph = Graph(model)
    graph.proto.node[0].input[0] = "nowhere"
    with pytest.raises(ExportError, match="nowhere"):
        graph.finish()


def test_finish_sorts_and_drops_what_nobody_reads():
    model = product_model(np.ones((4, 4), np.float32))
    graph = Graph(model)
    graph.proto.node[0].output[0] = "z"
    graph.add_tensor("unused", np.zeros(3, np.float32))
    graph.add("Relu", ["x"], ["dead"])
    graph.proto.node.insert(0, helper.make_node("Relu", ["z"], ["y"]))
    graph.finish()
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Relu"]
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]
    onnx.checker.check_model(model)


def test_weights_files_must_fit_exactly(tmp_path):
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    state = {name: tensor.contiguous() for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    save_file(state, tmp_path / "good.safetensors")
    load_exactly(module, tmp_path / "good.safetensors")
    save_file({name: tensor for name, tensor in state.items() if name != "0.bias"}, tmp_path / "short.safetensors")
    with pytest.raises(DataError, match=r"misses \['0.bias'\]"):
        load_exactly(module, tmp_path / "short.safetensors")
    save_file(state | {"extra": torch.zeros(1)}, tmp_path / "long.safetensors")
    with pytest.raises(DataError, match="extra"):
        load_exactly(module, tmp_path / "long.safetensors")
    save_file(state | {"0.bias": torch.zeros(4)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"0\.bias"):
        load_exactly(module, tmp_path / "other.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not at all")
    with pytest.raises(DataError, match="not readable"):
        load_exactly(module, tmp_path / "bad.safetensors")


def test_calibration_uses_distinct_training_pictures_of_the_committed_sample():
    pictures = calibration_pictures(None, 32, count=20)
    assert pictures.shape == (20, 32, 32, 4) and pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 20
    with pytest.raises(DataError, match="no training pictures"):
        calibration_pictures(calibration_pictures.__globals__["SAMPLE"].parent / "nowhere", 32)


def test_unknown_halves_are_the_mask_token():
    latent = LatentConfig()
    tokens = with_unknown(np.zeros((5, 64), np.int64), latent, every=2)
    assert (tokens == latent.mask_token).sum(1).tolist() == [32, 0, 32, 0, 32]


def test_ranges_survive_the_file_exactly(tmp_path):
    edges = {"relu": (0.0, float(np.float32(1) / 3)), "add": (-float(np.float32(1e-7)), 2.5)}
    write_ranges(tmp_path / "c.json", {"vae_encoder": edges}, 7, "emoji")
    assert read_ranges(tmp_path / "c.json")["ranges"] == {"vae_encoder": edges}
    (tmp_path / "c.json").write_text('{"format": 2}')
    with pytest.raises(DataError, match="format 2, expected 1"):
        read_ranges(tmp_path / "c.json")


def clamped_model(gain: float) -> onnx.ModelProto:
    """x [B, 2, 8, 8] → ReLU → 1×1 convolution → clamp to [0, 1]; the second channel, ``gain`` times too wide, only saturates."""
    weight = np.array([0.9, 0.5], np.float32).reshape(1, 2, 1, 1)
    identity = np.diag([1.0, gain]).astype(np.float32).reshape(2, 2, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "identity"], ["wide"], name="first"), helper.make_node("Relu", ["wide"], ["kept"]),
         helper.make_node("Conv", ["kept", "weight"], ["sum"], name="second"),
         helper.make_node("Clip", ["sum", "zero", "one"], ["y"])],
        "clamped", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 2, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 1, 8, 8])],
        [numpy_helper.from_array(identity, "identity"), numpy_helper.from_array(weight, "weight"),
         numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(np.float32(1), "one")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("gain", [1.0, 300.0])
def test_ranges_give_up_what_the_output_does_not_show(tmp_path, gain):
    random = np.random.default_rng(0)
    x = random.random((4, 2, 8, 8)).astype(np.float32)
    x[:, 1] *= random.random((4, 8, 8)) < 0.1
    onnx.save(clamped_model(gain), tmp_path / "model.onnx")
    widest = {"x": (0.0, 1.0), "wide": (0.0, gain), "kept": (0.0, gain), "sum": (0.0, 0.5 * gain + 1), "y": (0.0, 1.0)}
    found = tighten(tmp_path / "model.onnx", widest, [{"x": picture} for picture in x],
                    lambda got, expected: float(np.square(got["y"] - expected["y"]).mean()))
    assert found["x"] == widest["x"] and found["y"] == widest["y"]
    assert found["sum"] == widest["sum"], "the head's output is not stored in int8"
    assert all(low <= high and high <= widest[name][1] for name, (low, high) in found.items())
    if gain == 1:
        assert found["kept"][1] > 0.7, "values that the output shows are kept"
    else:
        assert 1 <= found["kept"][1] < 0.1 * gain

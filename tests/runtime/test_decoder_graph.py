"""Reading ONNX without the onnx package, and the two graphs made from a merged decoder."""

import onnxruntime
import pytest

from mvae.engine.decoder_graph import split_decoder
from mvae.engine.onnx_file import parse
from mvae.errors import IntegrityError

SHAPE = {"positions": 64, "heads": 2, "head_width": 16}


@pytest.fixture(scope="module")
def decoder(tiny_zoo):
    return (tiny_zoo / "tiny" / "onnx" / "decoder_model_merged.onnx").read_bytes()


def branch(model, name):
    (node,) = (node for node in model.graph.node if node.op_type == "If")
    return next(attribute.g for attribute in node.attribute if attribute.name == name)


def test_fields_that_are_not_declared_survive(decoder):
    model = parse(decoder, "decoder")
    assert len(model.SerializeToString()) == len(decoder)
    onnxruntime.InferenceSession(model.SerializeToString())


def external_initializer(model):
    model.graph.initializer[0].data_location = 1


def external_data_without_the_mark(model):
    model.graph.initializer[0].external_data.add(key="location", value="../../secret")


def external_constant_in_a_branch(model):
    branch(model, "then_branch").node.add(op_type="Constant", output=["x"]).attribute.add(name="value").t.data_location = 1


def external_initializer_in_a_branch(model):
    branch(model, "else_branch").initializer.add(name="x", data_location=1)


def external_sparse_values(model):
    model.graph.sparse_initializer.add().values.data_location = 1


def external_tensor_in_a_list(model):
    model.graph.node.add(op_type="X").attribute.add(name="x").tensors.add().data_location = 1


def external_tensor_in_a_function(model):
    model.functions.add().node.add(op_type="Constant").attribute.add(name="value").t.data_location = 1


@pytest.mark.parametrize(
    "change",
    [
        external_initializer,
        external_data_without_the_mark,
        external_constant_in_a_branch,
        external_initializer_in_a_branch,
        external_sparse_values,
        external_tensor_in_a_list,
        external_tensor_in_a_function,
    ],
)
def test_external_tensors_are_refused_wherever_they_hide(decoder, change):
    model = parse(decoder, "decoder")
    change(model)
    with pytest.raises(IntegrityError, match="another file"):
        parse(model.SerializeToString(), "decoder")


def test_the_prompt_graph_needs_the_text_alone(decoder):
    prompt, _ = split_decoder(decoder, "decoder", **SHAPE)
    graph = parse(prompt, "prompt").graph
    assert [value.name for value in graph.input] == ["encoder_hidden_states"]
    assert all(value.name.startswith("present.") and ".encoder." in value.name for value in graph.output)
    assert "Softmax" not in {node.op_type for node in graph.node}


def test_the_step_graph_keeps_its_caches_in_place(decoder):
    _, step = split_decoder(decoder, "decoder", **SHAPE)
    graph = parse(step, "step").graph
    operators = [node.op_type for node in graph.node]
    layers = sum(value.name.endswith("decoder.key") for value in graph.input)
    assert operators.count("GroupQueryAttention") == operators.count("MultiHeadAttention") == layers
    assert not {"If", "Range", "Concat", "Shape"} & set(operators)
    assert "encoder_hidden_states" not in {value.name for value in graph.input}
    lengths = {
        value.type.tensor_type.shape.dim[2].dim_value for value in (*graph.input, *graph.output) if ".decoder." in value.name
    }
    assert lengths == {64}


def without_the_if(model):
    model.graph.node.remove(next(node for node in model.graph.node if node.op_type == "If"))
    model.graph.node.add(op_type="Identity", input=["input_ids"], output=["x"])


def with_two_ifs(model):
    model.graph.node.add().CopyFrom(next(node for node in model.graph.node if node.op_type == "If"))


def with_other_output_names(model):
    branch(model, "then_branch").output[0].name = "scores"


def without_position_lookup(model):
    for node in branch(model, "then_branch").node:
        if node.op_type == "Range":
            node.op_type = "Sum"


def without_fused_attention(model):
    for node in branch(model, "then_branch").node:
        if node.op_type == "MultiHeadAttention":
            node.op_type = "Attention"


def with_a_cache_that_attention_does_not_read(model):
    node = next(
        node for node in branch(model, "then_branch").node if node.op_type == "MultiHeadAttention" and len(node.input) > 7
    )
    node.op_type = "Attention"


def without_reshaped_text_caches(model):
    for node in branch(model, "else_branch").node:
        if node.op_type == "Transpose" and node.output[0].startswith("present"):
            node.op_type = "Identity"


@pytest.mark.parametrize(
    "change",
    [
        without_the_if,
        with_two_ifs,
        with_other_output_names,
        without_position_lookup,
        without_fused_attention,
        with_a_cache_that_attention_does_not_read,
        without_reshaped_text_caches,
    ],
)
def test_other_graphs_are_refused(decoder, change):
    model = parse(decoder, "decoder")
    change(model)
    with pytest.raises(IntegrityError, match="decoder"):
        split_decoder(model.SerializeToString(), "decoder", **SHAPE)

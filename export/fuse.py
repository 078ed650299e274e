"""Rewrites the exported transformer into few, fat operators: what a token costs at batch one is mostly the number of nodes.

* every attention block becomes one ``MultiHeadAttention`` with its key-value cache, and the mask arithmetic disappears;
* projections that read the same values (q, k, v) become one product and a split;
* the decoder's embedding reads the head's transposed matrix, so that the tied table is stored once, without rows that only the
  encoder reads;
* an all-zero ``final_logits_bias`` is dropped.

The names and shapes of inputs and outputs do not change. Attention is recognised around its Softmax as Optimum exports it;
anything unexpected raises :class:`ExportError` instead of passing through unfused.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from export.graph import CONTRIB, Graph
from mvae.errors import ExportError

LAYOUT = ("Transpose", "Reshape")
"""Operators that only move a projection's output from [B, T, D] to [B, heads, T, D / heads]."""


def fuse_transformer(model: ModelProto, *, heads: int, mask: str, attentions: int, written: int | None = None) -> ModelProto:
    """Fuse one exported half (encoder, decoder, or decoder with past) in place and return it.

    ``mask`` is the input [B, S] (int64, 1 = read) that hides text padding; ``attentions`` is the number of attention blocks
    that must be found; ``written``: first rows of the decoder's table that are kept, all of them where it is None. Raises
    :class:`ExportError` where the graph is not the one this rewriting knows.
    """
    graph = Graph(model)
    softmaxes = [node for node in graph.proto.node if node.op_type == "Softmax"]
    if len(softmaxes) != attentions:
        raise ExportError(f"graph {graph.proto.name!r}: found {len(softmaxes)} attention blocks, expected {attentions}")
    visible = f"{mask}:int32"
    graph.add("Cast", [mask], [visible], to=TensorProto.INT32)
    for softmax in softmaxes:
        _fuse_attention(graph, softmax, heads, visible)
    graph.finish()
    _merge_projections(graph)
    _drop_zero_bias(graph)
    graph.finish()
    _share_tied_table(graph, written)
    graph.finish()
    return model


def _fuse_attention(graph: Graph, softmax: NodeProto, heads: int, visible: str) -> None:
    """softmax(q·kᵀ + mask)·v, with whatever moves and scales around it, becomes one MultiHeadAttention."""
    masked = graph.made_by(softmax.input[0], "Add")
    scores = graph.made_by(masked.input[0] if masked else softmax.input[0], "MatMul")
    context = graph.only_reader(softmax.output[0])
    moved = graph.only_reader(context.output[0]) if context is not None and context.op_type == "MatMul" else None
    merged = graph.only_reader(moved.output[0]) if moved is not None and moved.op_type == "Transpose" else None
    keys = graph.made_by(graph.through(scores.input[1], ("Mul",)), "Transpose") if scores is not None else None
    if keys is None or merged is None or merged.op_type != "Reshape":
        raise ExportError(f"{softmax.name}: the attention around this Softmax is not the exported pattern")
    query = graph.through(scores.input[0], ("Mul", *LAYOUT))
    key, value = keys.input[0], context.input[1]
    key_cache, value_cache = graph.made_by(key, "Concat"), graph.made_by(value, "Concat")
    inputs, outputs, causal = [query], [merged.output[0]], 0
    if key_cache is not None and value_cache is not None:
        # Self-attention with a cache: one new position, past keys and values in, all of them out.
        inputs += [graph.through(key_cache.input[1], LAYOUT), graph.through(value_cache.input[1], LAYOUT), "", "", ""]
        inputs += [key_cache.input[0], value_cache.input[0]]
        outputs += [key, value]
        causal = 1
        graph.remove(key_cache)
        graph.remove(value_cache)
    elif key in graph.inputs:
        inputs += [key, value, "", visible]
    else:
        inputs += [graph.through(key, LAYOUT), graph.through(value, LAYOUT)]
        same_source = _source(graph, inputs[0]) == _source(graph, inputs[1])
        in_decoder = "encoder_hidden_states" in graph.inputs
        if same_source and in_decoder:
            causal = 1
        else:
            inputs += ["", visible]
    graph.remove(merged)
    graph.add("MultiHeadAttention", inputs, outputs, domain=CONTRIB, num_heads=heads, unidirectional=causal)


def _source(graph: Graph, projected: str) -> str:
    """What a projection (MatMul, then bias) reads."""
    return graph.through(graph.constant_operand(graph.made_by(projected, "Add"))[1], ("MatMul",))


def _merge_projections(graph: Graph) -> None:
    """Products with constant matrices over the same input, inside one attention block, become one product and a Split."""
    groups: dict[tuple[str, str], list[tuple[NodeProto, NodeProto]]] = {}
    for node in graph.proto.node:
        bias = graph.only_reader(node.output[0]) if node.op_type == "MatMul" and node.input[1] in graph.tensors else None
        if bias is not None and bias.op_type == "Add" and graph.constant_operand(bias):
            block = node.name.rsplit("/", 2)[0]
            groups.setdefault((block, node.input[0]), []).append((node, bias))
    for (block, source), members in groups.items():
        if len(members) < 2:
            continue
        weights = [graph.value(product.input[1]) for product, _ in members]
        biases = [graph.value(graph.constant_operand(bias)[0]) for _, bias in members]
        name = f"{block}/{'-'.join(product.name.rsplit('/', 2)[1].removesuffix('_proj') for product, _ in members)}"
        weight = graph.add_tensor(f"{name}.weight", np.concatenate(weights, 1))
        bias = graph.add_tensor(f"{name}.bias", np.concatenate(biases))
        widths = graph.add_tensor(f"{name}.widths", np.array([w.shape[1] for w in weights], np.int64))
        graph.add("MatMul", [source, weight], [f"{name}.product"])
        graph.add("Add", [f"{name}.product", bias], [f"{name}.biased"])
        graph.add("Split", [f"{name}.biased", widths], [b.output[0] for _, b in members], axis=-1)
        for product, biased in members:
            graph.remove(product)
            graph.remove(biased)


def _drop_zero_bias(graph: Graph) -> None:
    """Marian adds a bias to the logits that stays zero unless somebody sets it."""
    node = graph.made_by("logits", "Add")
    operands = graph.constant_operand(node) if node is not None else None
    if operands is None or graph.value(operands[0]).any():
        return
    product = graph.made_by(operands[1], "MatMul")
    if product is not None:
        graph.remove(node)
        product.output[0] = "logits"


def _share_tied_table(graph: Graph, written: int | None) -> None:
    """The token embedding [V, D] is the head's matrix [D, V]: gather columns of the head instead of storing the table twice.

    Of a table that the encoder shares the decoder keeps the first ``written`` rows: the others would cost bytes, and a half of
    the head's product at every token.
    """
    head = graph.made_by(graph.through("logits", ("Add",)), "MatMul")
    lookup = next((node for node in graph.readers.get("input_ids", []) if node.op_type == "Gather"), None)
    if head is None or lookup is None or not np.array_equal(graph.value(lookup.input[0]), graph.value(head.input[1]).T):
        return
    if written is not None and written < graph.value(head.input[1]).shape[1]:
        head.input[1] = graph.add_tensor(f"{head.input[1]}:written", graph.value(head.input[1])[:, :written])
        logits = next(value for value in graph.proto.output if value.name == "logits")
        logits.type.tensor_type.shape.dim[2].dim_value = written
    output = lookup.output[0]
    graph.remove(lookup)
    graph.add("Gather", [head.input[1], "input_ids"], [f"{output}.columns"], axis=1)
    graph.add("Transpose", [f"{output}.columns"], [output], perm=[1, 2, 0])

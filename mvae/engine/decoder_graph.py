"""Two lean graphs made, in memory, from the one standard file ``decoder_model_merged``.

The file follows Optimum's layout, so that any Optimum or transformers.js program can use it: an ``If`` chooses between a branch
for the first token and one that takes a key-value cache and returns a longer one. For our loop that costs more than the
arithmetic: the cache is copied and handed over at every token, and the branch passes the text's keys and values through.
From the same nodes and weights we therefore build

* the **prompt graph**: encoder states → the text's keys and values of every layer, run once a prompt;
* the **step graph**: one token in, logits out; the attention operators write their keys and values into buffers of full
  length that stay where they are (``GroupQueryAttention``, as many key-value heads as heads).

The numbers are the same; what changes is who owns the cache.
"""

import struct

from mvae.engine.onnx_file import ATTRIBUTE_INT, INT32, INT64, parse
from mvae.errors import IntegrityError

CONTRIB = "com.microsoft"
PAST, PRESENT = "past_key_values.", "present."
POSITION, LENGTHS, TOTAL = "position", "cache_lengths", "total_length"
"""Inputs that the step graph has beside Optimum's: position of the token (int64 [1]), entries in the cache before it
(int32 [B]), and with it (int32 [1])."""


def split_decoder(content: bytes, name: str, *, positions: int, heads: int, head_width: int) -> tuple[bytes, bytes]:
    """``(prompt graph, step graph)`` of a merged decoder; the caches of the step graph hold ``positions`` entries.

    Raises IntegrityError where the file is not a merged decoder with fused attention as ``python -m export`` writes it.
    """
    return _prompt_graph(parse(content, name), name, heads, head_width), _step_graph(parse(content, name), name, positions)


def branches(content: bytes, name: str) -> tuple[bytes, bytes]:
    """``(first token, later tokens)`` of a merged decoder, each as a graph of its own with Optimum's inputs and outputs.

    For comparisons: inside an ``If`` the runtime cannot make int8 exact (:data:`mvae.engine.sessions.EXACT_INT8`). Raises
    IntegrityError as :func:`split_decoder`.
    """
    found = []
    for branch in ("else_branch", "then_branch"):
        model = parse(content, name)
        _take_branch(model, branch, name)
        found.append(_finish(model, lambda output: True, name))
    return found[0], found[1]


def _prompt_graph(model, name: str, heads: int, head_width: int) -> bytes:
    _take_branch(model, "else_branch", name)
    graph = model.graph
    producer = {output: node for node in graph.node for output in node.output}
    # The exporter takes the number of rows for these Reshapes from the image side, which would pull in the whole decoder.
    split = "split_heads"
    graph.initializer.add(name=split, data_type=INT64, dims=[4], raw_data=struct.pack("<4q", 0, -1, heads, head_width))
    for output in graph.output:
        if _is_text_cache(output.name):
            moved = _made_by(producer, output.name, "Transpose")
            shaped = _made_by(producer, moved.input[0], "Reshape") if moved is not None else None
            if shaped is None:
                raise IntegrityError(
                    f"{name}: {output.name} is not a reshaped, transposed projection; "
                    "expected a decoder written by python -m export"
                )
            shaped.input[1] = split
    return _finish(model, _is_text_cache, name)


def _is_text_cache(output: str) -> bool:
    return output.startswith(PRESENT) and ".encoder." in output


def _step_graph(model, name: str, positions: int) -> bytes:
    _take_branch(model, "then_branch", name)
    graph = model.graph
    producer = {output: node for node in graph.node for output in node.output}
    caches = 0
    for node in graph.node:
        if node.op_type == "MultiHeadAttention" and len(node.input) > 7 and node.input[6].startswith(PAST):
            _own_cache(node, producer)
            caches += 2
    if not caches:
        raise IntegrityError(f"{name}: no MultiHeadAttention with a cache; expected a decoder written by python -m export")
    lookups = [node for node in graph.node if node.op_type == "Gather" and _made_by(producer, node.input[1], "Range")]
    if len(lookups) != 1:
        raise IntegrityError(f"{name}: found {len(lookups)} position lookups; expected 1")
    lookups[0].input[1] = POSITION
    _declare(graph.input, POSITION, INT64, 1)
    _declare(graph.input, LENGTHS, INT32, "batch_size")
    _declare(graph.input, TOTAL, INT32, 1)
    for value in (*graph.input, *graph.output):
        if value.name.startswith((PAST, PRESENT)) and ".decoder." in value.name:
            length = value.type.tensor_type.shape.dim[2]
            length.Clear()
            length.dim_value = positions
    content = _finish(model, lambda output: output == "logits" or ".decoder." in output, name)
    if sum(PAST in value.name and ".decoder." in value.name for value in graph.input) != caches:
        raise IntegrityError(f"{name}: some caches are not read by attention; expected a decoder written by python -m export")
    return content


def _take_branch(model, branch: str, name: str) -> None:
    """Replace the single ``If`` of the graph by the nodes of one of its branches."""
    graph = model.graph
    choices = [node for node in graph.node if node.op_type == "If"]
    graphs = [attribute.g for node in choices for attribute in node.attribute if attribute.name == branch]
    if len(choices) != 1 or len(graphs) != 1:
        raise IntegrityError(f"{name}: found {len(choices)} If nodes; expected one, as in a merged decoder")
    chosen = graphs[0]
    if [value.name for value in chosen.output] != list(choices[0].output):
        raise IntegrityError(f"{name}: the branch's outputs are not named as the decoder's")
    nodes = [node for node in graph.node if node.op_type != "If"] + list(chosen.node)
    graph.initializer.extend(chosen.initializer)
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def _own_cache(node, producer: dict) -> None:
    """MultiHeadAttention that returns a longer cache → GroupQueryAttention that fills the one it is given."""
    query, key, value = node.input[:3]
    past_key, past_value = node.input[6:8]
    packed = _made_by(producer, query, "Split")
    if packed is not None and list(packed.output) == [query, key, value]:
        query, key, value = packed.input[0], "", ""
    heads = next(attribute.i for attribute in node.attribute if attribute.name == "num_heads")
    _keep(node.attribute, lambda attribute: attribute.name in ("num_heads", "scale"))
    del node.input[:]
    node.input.extend([query, key, value, past_key, past_value, LENGTHS, TOTAL])
    node.op_type = "GroupQueryAttention"
    node.attribute.add(name="kv_num_heads", i=heads, type=ATTRIBUTE_INT)


def _made_by(producer: dict, value: str, operator: str):
    node = producer.get(value)
    return node if node is not None and node.op_type == operator else None


def _declare(values, name: str, element: int, size: int | str) -> None:
    tensor = values.add(name=name).type.tensor_type
    tensor.elem_type = element
    tensor.shape.dim.add(**({"dim_param": size} if isinstance(size, str) else {"dim_value": size}))


def _finish(model, wanted, name: str) -> bytes:
    """Keep the outputs that ``wanted`` accepts and what they need; the runtime would compute the rest, too."""
    graph = model.graph
    needed = {value.name for value in graph.output if wanted(value.name)}
    if not needed:
        raise IntegrityError(f"{name}: none of the decoder's outputs is {PRESENT}…")
    _keep(graph.output, lambda value: value.name in needed)
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    nodes = [type(node).FromString(node.SerializeToString()) for node in reversed(nodes)]
    del graph.node[:]
    graph.node.extend(nodes)
    _keep(graph.initializer, lambda tensor: tensor.name in needed)
    _keep(graph.input, lambda value: value.name in needed)
    return model.SerializeToString()


def _keep(values, wanted) -> None:
    for place in reversed(range(len(values))):
        if not wanted(values[place]):
            del values[place]

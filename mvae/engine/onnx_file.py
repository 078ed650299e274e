"""Read and change ONNX files with the protobuf runtime alone: the ``onnx`` package is a training dependency.

Only the part of the format that the engine looks at is declared; fields that are not declared survive a round trip.
"""

from functools import cache

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from mvae.errors import IntegrityError

INT32, INT64 = 6, 7
"""Element types of tensors, in ONNX's numbering."""
ATTRIBUTE_INT = 2
_EXTERNAL = 1

# message → {field: (number, type)}; a type is a scalar or another message, "*" marks repeated fields.
_FORMAT = {
    "Pair": {"key": (1, "string"), "value": (2, "string")},
    "Tensor": {
        "dims": (1, "int64*"),
        "data_type": (2, "int32"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
        "external_data": (13, "Pair*"),
        "data_location": (14, "int32"),
    },
    "SparseTensor": {"values": (1, "Tensor"), "indices": (2, "Tensor")},
    "Dimension": {"dim_value": (1, "int64"), "dim_param": (2, "string")},
    "Shape": {"dim": (1, "Dimension*")},
    "TensorType": {"elem_type": (1, "int32"), "shape": (2, "Shape")},
    "Type": {"tensor_type": (1, "TensorType")},
    "Value": {"name": (1, "string"), "type": (2, "Type")},
    "Attribute": {
        "name": (1, "string"),
        "i": (3, "int64"),
        "t": (5, "Tensor"),
        "g": (6, "Graph"),
        "tensors": (10, "Tensor*"),
        "graphs": (11, "Graph*"),
        "type": (20, "int32"),
        "sparse_tensor": (22, "SparseTensor"),
        "sparse_tensors": (23, "SparseTensor*"),
    },
    "Node": {
        "input": (1, "string*"),
        "output": (2, "string*"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "Attribute*"),
        "domain": (7, "string"),
    },
    "Graph": {
        "node": (1, "Node*"),
        "name": (2, "string"),
        "initializer": (5, "Tensor*"),
        "input": (11, "Value*"),
        "output": (12, "Value*"),
        "sparse_initializer": (15, "SparseTensor*"),
    },
    "Function": {"node": (7, "Node*")},
    "Model": {"graph": (7, "Graph"), "functions": (25, "Function*")},
}


@cache
def _messages() -> dict[str, type]:
    """Message classes from a pool of our own, so that a process that also imports ``onnx`` sees no clash of names."""
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {"string": kinds.TYPE_STRING, "bytes": kinds.TYPE_BYTES, "int64": kinds.TYPE_INT64, "int32": kinds.TYPE_INT32}
    file = descriptor_pb2.FileDescriptorProto(name="mvae_onnx.proto", package="mvae.onnx", syntax="proto2")
    for message_name, declared in _FORMAT.items():
        entry = file.message_type.add(name=message_name)
        for field_name, (number, kind) in declared.items():
            base = kind.rstrip("*")
            field = entry.field.add(
                name=field_name, number=number, label=kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            )
            if base in scalars:
                field.type = scalars[base]
            else:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".mvae.onnx.{base}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"mvae.onnx.{name}")) for name in _FORMAT}


def parse(content: bytes, name: str):
    """The model in ``content``; ``name`` is for messages.

    Raises IntegrityError if it is not ONNX, or if any tensor's data lies outside the file: a single file is what was checked.
    """
    model = _messages()["Model"]()
    try:
        model.ParseFromString(content)
    except message.DecodeError as error:
        raise IntegrityError(f"{name}: not an ONNX file ({error})") from None
    if not model.graph.node:
        raise IntegrityError(f"{name}: not an ONNX file (it has no nodes)")
    for tensor in tensors(model):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise IntegrityError(f"{name}: tensor {tensor.name!r} keeps its data in another file; expected a single file")
    return model


def tensors(model):
    """Every tensor of the model, in nested graphs and functions too."""

    def in_nodes(nodes):
        for node in nodes:
            for attribute in node.attribute:
                yield attribute.t
                yield from attribute.tensors
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)
                for graph in (attribute.g, *attribute.graphs):
                    yield from in_graph(graph)

    def in_graph(graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from in_nodes(graph.node)

    yield from in_graph(model.graph)
    for function in model.functions:
        yield from in_nodes(function.node)

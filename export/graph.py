"""A small editable view of one ONNX graph: who produces and who reads each value, sorting, and removal of what nobody reads."""

from collections.abc import Iterable

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from mvae.errors import ExportError

CONTRIB = "com.microsoft"
"""Domain of ONNX Runtime's fused operators; present in its native, browser and mobile builds alike."""


class Graph:
    """Edits ``model.graph`` in place. Call :meth:`finish` once after any number of edits."""

    def __init__(self, model: ModelProto):
        self.model = model
        self.proto: GraphProto = model.graph
        self._index()

    def _index(self) -> None:
        self.producer = {name: node for node in self.proto.node for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in self.proto.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.tensors = {tensor.name: tensor for tensor in self.proto.initializer}
        self.inputs = {value.name for value in self.proto.input}
        self.outputs = {value.name for value in self.proto.output}

    def value(self, name: str) -> np.ndarray:
        """The constant called ``name``."""
        return numpy_helper.to_array(self.tensors[name])

    def add_tensor(self, name: str, value: np.ndarray) -> str:
        """Store a constant; a name that exists must hold the same bytes. Returns the name."""
        if name in self.tensors:
            if not np.array_equal(self.value(name), value):
                raise ExportError(f"graph {self.proto.name!r}: two different constants want the name {name!r}")
            return name
        tensor = numpy_helper.from_array(np.asarray(value, order="C"), name)
        self.proto.initializer.append(tensor)
        self.tensors[name] = tensor
        return name

    def add(self, operator: str, inputs: Iterable[str], outputs: Iterable[str], domain: str = "", **attributes) -> NodeProto:
        """Append a node; its place does not matter, :meth:`finish` sorts."""
        outputs = list(outputs)
        node = helper.make_node(operator, list(inputs), outputs, name=f"{outputs[0]}:{operator}", domain=domain, **attributes)
        self.proto.node.append(node)
        return node

    def remove(self, node: NodeProto) -> None:
        """Take one node out; its outputs must get another producer or lose their readers before :meth:`finish`."""
        self.proto.node.remove(node)

    def made_by(self, name: str, operator: str) -> NodeProto | None:
        """The node that produces ``name`` if it is an ``operator``."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type == operator else None

    def only_reader(self, name: str) -> NodeProto | None:
        """The single node that reads ``name``, or None if several do or it is an output of the graph."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def through(self, name: str, operators: Iterable[str]) -> str:
        """Walk up along first inputs as long as the producer is one of ``operators``; the first value made by another."""
        node = self.producer.get(name)
        while node is not None and node.op_type in operators:
            name = node.input[0]
            node = self.producer.get(name)
        return name

    def constant_operand(self, node: NodeProto) -> tuple[str, str] | None:
        """``(constant, other)`` names of a two-input node with exactly one constant input."""
        first, second = node.input
        if (first in self.tensors) == (second in self.tensors):
            return None
        return (first, second) if first in self.tensors else (second, first)

    def finish(self) -> None:
        """Sort topologically, drop nodes and constants that no output needs, forget stale shapes, list the domains in use.

        Raises ExportError if a value that is read has no producer.
        """
        self._index()
        self._sort()
        self._prune()
        del self.proto.value_info[:]
        version = next(entry.version for entry in self.model.opset_import if entry.domain == "")
        del self.model.opset_import[:]
        self.model.opset_import.append(helper.make_opsetid("", version))
        if any(node.domain == CONTRIB for node in self.proto.node):
            self.model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        self._index()

    def _sort(self) -> None:
        known = {""} | self.inputs | set(self.tensors)
        waiting, ordered = list(self.proto.node), []
        while waiting:
            later = []
            for node in waiting:
                if all(name in known for name in node.input):
                    known.update(node.output)
                    ordered.append(node)
                else:
                    later.append(node)
            if len(later) == len(waiting):
                missing = sorted({name for node in later for name in node.input} - known - {o for n in later for o in n.output})
                raise ExportError(f"graph {self.proto.name!r}: nothing produces {missing[:5]}, or the graph has a cycle")
            waiting = later
        del self.proto.node[:]
        self.proto.node.extend(ordered)

    def _prune(self) -> None:
        needed, kept = set(self.outputs), []
        for node in reversed(self.proto.node):
            if any(name in needed for name in node.output):
                kept.append(node)
                needed.update(node.input)
        constants = [tensor for tensor in self.proto.initializer if tensor.name in needed]
        del self.proto.node[:]
        self.proto.node.extend(reversed(kept))
        del self.proto.initializer[:]
        self.proto.initializer.extend(constants)

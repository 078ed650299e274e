"""Activation ranges for int8 that lose least in the output, instead of the widest values seen.

Some channels of a trained decoder spike to a hundred times the usual values where the sticker is plainly opaque or transparent,
and the final clamp throws that away. A range that covers the spikes leaves a handful of steps for everything that is seen;
cutting them off costs nothing. So every edge is moved to where the graph's *output* comes closest to the float32 one.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, helper

from export.graph import Graph

Ranges = dict[str, tuple[float, float]]
"""Smallest and largest value of each activation that int8 represents, by name."""
Distance = Callable[[dict[str, np.ndarray], dict[str, np.ndarray]], float]

STATIC_OPERATORS = ("Conv", "Add", "Relu", "Resize", "DepthToSpace")
"""What runs in int8 between the first and the last convolution; pixel arithmetic before and after stays float32."""
MOVED = ("Resize", "DepthToSpace")
"""Operators that move values without changing them: their output keeps their input's range."""
COARSE = tuple(2.0**-power for power in range(9))
"""Factors tried for every edge: the error need not fall steadily, so all of them."""
FINE = (2**-0.5, 2**0.5)
"""Factors then tried about the best."""


def tighten(prepared: Path, ranges: Ranges, batches: list[dict[str, np.ndarray]], distance: Distance) -> Ranges:
    """Tighten the edges of ``ranges`` one by one, each with all other activations in float32.

    ``prepared``: the graph that will be quantised; ``batches``: inputs *without* batch axis; ``distance``: outputs of the graph
    with one rounded activation, outputs in float32 → what to make small.
    """
    probe = _Probe(prepared, ranges, batches, distance)
    tightened = dict(ranges)
    for root in probe.roots:
        low, high = ranges[root]
        if high > 0:
            high *= _best(lambda factor, low=low, high=high, root=root: probe.error(root, low, high * factor))
        if low < 0:
            low *= _best(lambda factor, low=low, high=high, root=root: probe.error(root, low * factor, high))
        for name in (root, *probe.same_range[root]):
            tightened[name] = (float(np.float32(low)), float(np.float32(high)))
    return tightened


def leaves_int8(graph: Graph, convolution: NodeProto) -> bool:
    """Whether nothing that runs in int8 reads this convolution.

    Such a head keeps float32: the encoder's means and log-variances, of quite different widths, would have to share one scale.
    """
    return all(reader.op_type not in STATIC_OPERATORS for reader in graph.readers.get(convolution.output[0], []))


def _best(error: Callable[[float], float]) -> float:
    """The factor of at most 1 with the smallest error."""
    errors = {factor: error(factor) for factor in COARSE}
    best = min(errors, key=errors.get)
    errors |= {best * step: error(best * step) for step in FINE if best * step <= 1}
    return min(errors, key=errors.get)


class _Probe:
    """The float32 graph with a switchable uint8 rounding behind every activation that int8 will store."""

    def __init__(self, prepared: Path, ranges: Ranges, batches: list[dict[str, np.ndarray]], distance: Distance):
        model = onnx.load(prepared)
        graph = Graph(model)
        self.roots, self.same_range = [], {}
        self._distance = distance
        self._outputs = [value.name for value in model.graph.output]
        convolutions = [node for node in graph.proto.node if node.op_type == "Conv"]
        stored = {node.input[0] for node in convolutions}
        stored |= {node.output[0] for node in convolutions if not leaves_int8(graph, node)}
        for name in sorted(stored & set(ranges)):
            root = graph.through(name, MOVED)
            reader = graph.only_reader(root)
            if root in self.same_range or root not in ranges or (reader is not None and reader.op_type == "Relu"):
                continue  # what a lone ReLU reads is never stored: the runtime rounds behind it
            self.roots.append(root)
            self.same_range[root] = []
        for name in ranges:
            root = graph.through(name, MOVED)
            if root != name and root in self.same_range:
                self.same_range[root].append(name)
        for root in self.roots:
            self._insert(graph, root)
        graph.finish()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._feeds = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
        self._feeds |= {f"{root}:{what}": np.array(1, np.float32) for root in self.roots for what in ("low", "high", "step")}
        self._feeds |= {f"{root}:on": np.array(False) for root in self.roots}
        self._reference = self._run({})

    def error(self, root: str, low: float, high: float) -> float:
        """Distance from float32 if ``root`` alone is stored as uint8 from ``low`` to ``high``; 0 becomes a step of its own."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, 1e-12) / 255
        zero = round(-low / step)
        values = {"low": -zero * step, "high": (255 - zero) * step, "step": step}
        feeds = {f"{root}:{what}": np.array(value, np.float32) for what, value in values.items()} | {f"{root}:on": np.array(True)}
        return self._distance(self._run(feeds), self._reference)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self._outputs, self._session.run(self._outputs, self._feeds | feeds), strict=True))

    def _insert(self, graph: Graph, root: str) -> None:
        for node in graph.readers.get(root, []):
            for place, name in enumerate(node.input):
                if name == root:
                    node.input[place] = f"{root}:chosen"
        for what in ("low", "high", "step", "on"):
            kind = TensorProto.BOOL if what == "on" else TensorProto.FLOAT
            graph.proto.input.append(helper.make_tensor_value_info(f"{root}:{what}", kind, []))
        graph.add("Clip", [root, f"{root}:low", f"{root}:high"], [f"{root}:clipped"])
        graph.add("Div", [f"{root}:clipped", f"{root}:step"], [f"{root}:steps"])
        graph.add("Round", [f"{root}:steps"], [f"{root}:rounded"])
        graph.add("Mul", [f"{root}:rounded", f"{root}:step"], [f"{root}:stored"])
        graph.add("Where", [f"{root}:on", f"{root}:stored", root], [f"{root}:chosen"])

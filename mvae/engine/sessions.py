"""ONNX Runtime sessions for small graphs, from bytes that were already checked."""

import onnxruntime as ort

from mvae.errors import IntegrityError
from mvae.machine import has_int8_products

PROVIDERS = ["CPUExecutionProvider"]


EXACT_INT8 = ("session.x64quantprecision", "1")
"""Processors without 8-bit dot products (AVX2, AVX-512 without VNNI) add pairs of products in 16 bits, and full-range weights
overflow them (docs/LOG.md, "Export"). With this the runtime turns the weights unsigned there, which is exact
and costs half of the time won. It costs as much on processors that are exact anyway, so those are left alone."""


def int8_settings() -> list[tuple[str, str]]:
    """The session's settings under which int8 is exact on this processor."""
    return [] if has_int8_products() else [EXACT_INT8]


def open_session(content: bytes, name: str, threads: int) -> ort.InferenceSession:
    """A sequential CPU session with ``threads`` threads. Raises IntegrityError for a graph the runtime refuses."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # what goes wrong is raised as well
    # Waiting threads that spin would take the cores from whatever else the application does.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for setting in int8_settings():
        options.add_session_config_entry(*setting)
    try:
        return ort.InferenceSession(content, options, providers=PROVIDERS)
    except Exception as error:  # the binding's exceptions share no public base class
        raise IntegrityError(f"{name}: ONNX Runtime cannot load it ({str(error).splitlines()[0]})") from None

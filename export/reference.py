"""The fp32 graphs: both models through Optimum's exporter, validated against PyTorch, then simplified and fused."""

import contextlib
import copy
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, numpy_helper
from optimum.exporters.onnx import export_models, validate_models_outputs
from optimum.exporters.tasks import TasksManager
from optimum.exporters.utils import get_encoder_decoder_models_for_export
from optimum.onnx import merge_decoders
from transformers import MarianMTModel
from transformers.utils import logging as transformers_logging

from export.fuse import fuse_transformer
from export.graph import Graph
from export.onnx_configs import NamedDecoder, NamedEncoder, VaeDecoderOnnxConfig, VaeEncoderOnnxConfig
from mvae.errors import ExportError
from mvae.models.mvae import MVAE

OPSET = 18
SEQ2SEQ_ATOL = 1e-3
"""Largest difference from PyTorch in hidden states, logits and cache; trained logits reach some tens."""


@dataclass(frozen=True)
class TransformerGraphs:
    """The fused halves of the seq2seq; the two decoders become one file with :func:`merge`."""

    encoder: ModelProto
    decoder: ModelProto
    decoder_with_past: ModelProto


def export_vae(vae: MVAE, folder: Path) -> tuple[Path, Path]:
    """Write ``vae_encoder.onnx`` and ``vae_decoder.onnx`` into ``folder``.

    Raises :class:`ExportError` where ONNX Runtime does not reproduce PyTorch.
    """
    vae = vae.eval()
    encoder, decoder = NamedEncoder(vae).eval(), NamedDecoder(vae).eval()
    models = {
        "vae_encoder": (encoder, VaeEncoderOnnxConfig(encoder.config)),
        "vae_decoder": (decoder, VaeDecoderOnnxConfig(decoder.config)),
    }
    raw = folder / "raw"
    with _hushed():
        _, outputs = export_models(models, raw, opset=OPSET)
        _validate(models, outputs, raw)
    for name in models:
        onnx.save(_simplified(raw / f"{name}.onnx", folder), folder / f"{name}.onnx")
    return folder / "vae_encoder.onnx", folder / "vae_decoder.onnx"


def export_seq2seq(model: MarianMTModel, folder: Path) -> TransformerGraphs:
    """Export with Optimum's standard task and fuse. ``folder`` is for scratch files.

    Raises :class:`ExportError` where a graph does not reproduce PyTorch or cannot be fused.
    """
    config, raw = model.config, folder / "raw"
    model = copy.deepcopy(model).eval()  # the exporter moves modules and configuration about
    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model=model, task="text2text-generation-with-past", library_name="transformers"
    )
    models = get_encoder_decoder_models_for_export(model, constructor(model.config))
    with _hushed():
        try:
            _, outputs = export_models(models, raw, opset=OPSET)
        except Exception as error:
            raise ExportError(f"seq2seq: Optimum could not export it ({error})") from error
        _validate(models, outputs, raw, atol=SEQ2SEQ_ATOL)
    heads, layers = config.decoder_attention_heads, config.decoder_layers
    written = getattr(config, "text_offset", None)
    return TransformerGraphs(
        fuse_transformer(_simplified(raw / "encoder_model.onnx", folder), heads=config.encoder_attention_heads,
                         mask="attention_mask", attentions=config.encoder_layers),
        *(fuse_transformer(_simplified(raw / f"{name}.onnx", folder), heads=heads, mask="encoder_attention_mask",
                           attentions=2 * layers, written=written) for name in ("decoder_model", "decoder_with_past_model")),
    )


def merge(decoder: ModelProto, decoder_with_past: ModelProto, path: Path) -> ModelProto:
    """Optimum's ``decoder_model_merged``: one file, both decoders as branches of an If, equal weights stored once."""
    merge_decoders(copy.deepcopy(decoder), copy.deepcopy(decoder_with_past), save_path=path, strict=False)
    merged = onnx.load(path)
    _name_shared_weights(merged, (decoder, decoder_with_past))
    onnx.save(merged, path)
    return merged


def _name_shared_weights(merged: ModelProto, halves: tuple[ModelProto, ModelProto]) -> None:
    """Give the shared constants fixed names and a fixed order: the merger takes both from sets, differently in every process."""
    names: dict[tuple, str] = {}
    for number, half in enumerate(halves):
        for tensor in half.graph.initializer:
            names.setdefault(_content(tensor), f"shared{number}/{tensor.name}")
    tensors = list(merged.graph.initializer)
    renamed = {tensor.name: names[_content(tensor)] for tensor in tensors}
    for tensor in tensors:
        tensor.name = renamed[tensor.name]
    del merged.graph.initializer[:]
    merged.graph.initializer.extend(sorted(tensors, key=lambda tensor: tensor.name))
    for branch in (attribute.g for node in merged.graph.node for attribute in node.attribute):
        local = {tensor.name for tensor in branch.initializer}
        for node in branch.node:
            for place, name in enumerate(node.input):
                if name in renamed and name not in local:
                    node.input[place] = renamed[name]


def _content(tensor: TensorProto) -> tuple:
    return tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes()


def _simplified(path: Path, folder: Path) -> ModelProto:
    """ONNX Runtime's basic clean-up: constants folded, dead and duplicate nodes gone; standard operators only."""
    target = folder / f"{path.stem}-simplified.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(target)
    Graph(model).finish()
    return model


def _validate(models: dict, outputs: list[list[str]], folder: Path, atol: float | None = None) -> None:
    try:
        validate_models_outputs(models, outputs, folder, atol=atol, use_subprocess=False)
    except Exception as error:
        raise ExportError(f"{', '.join(models)}: ONNX Runtime and PyTorch disagree ({error})") from error


@contextlib.contextmanager
def _hushed():
    """Tracing warns about every Python number it freezes; whether that was harmless is what validation and parity decide."""
    verbosity, disabled = transformers_logging.get_verbosity(), logging.root.manager.disable
    transformers_logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        transformers_logging.set_verbosity(verbosity)

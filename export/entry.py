"""Builds one zoo entry in a scratch folder beside its place and swaps it in only when every check has passed."""

import copy
import importlib.metadata
import json
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from safetensors.torch import save_file

from export.calibration import calibration_pictures, decoder_inputs, read_ranges, write_ranges
from export.golden import compare_golden, golden_answers, golden_inputs, read_golden, write_golden
from export.half import store_half
from export.parity import Parity, check, measure, on_white, torch_reference
from export.quantize import calibrate, fits, quantize_convolutions, quantize_products
from export.reference import OPSET, export_seq2seq, export_vae, merge
from export.sessions import GRAPHS, Level, graph_path
from export.source import Source, half_state
from mvae.config import LEVELS
from mvae.engine.memory import MEMORY
from mvae.errors import DataError, ExportError
from mvae.training.checkpoint import unique_state
from zoo import manifest
from zoo.card import write_card

TOOLS = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers", "safetensors")
CALIBRATION, GOLDEN, PARITY = "calibration.json", "golden.npz", "parity.json"
DISTANCES = {
    "vae_encoder": lambda got, expected: float(np.square(got["mean"] - expected["mean"]).mean()),
    "vae_decoder": lambda got, expected: float(np.square(on_white(got["image"]) - on_white(expected["image"])).mean()),
}
"""What rounding activations may not spoil: posterior means, and the sticker as it is seen."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What was built: bytes of the four graphs and parity with PyTorch, by level."""

    entry: Path
    bytes: dict[str, dict[str, int]]
    parity: dict[str, Parity]

    def to_dict(self) -> dict:
        totals = {level: sum(sizes.values()) for level, sizes in self.bytes.items()}
        return {"entry": str(self.entry), "bytes": self.bytes, "total_bytes": totals,
                "parity": {level: parity.to_dict() for level, parity in self.parity.items()}}


def build_entry(source: Source, out: Path, *, data: Path | None = None, levels: tuple[str, ...] = LEVELS, again: bool = False,
                strict: bool = True, say: Say = lambda line: None) -> Report:
    """Export ``source`` to the folder ``out``, replacing what was there.

    ``data`` are shards to calibrate with; by default those of the run, else the committed sample. ``again`` takes calibration and
    golden inputs from the entry ``source`` came from, and requires its golden answers. fp32 is always built and checked,
    and written if ``levels`` has it. Not ``strict``: how far the other levels are from PyTorch is measured, but refuses none.
    Raises :class:`ExportError` where a check fails, :class:`DataError` for unusable input; ``out`` is then as it was before.
    """
    out = Path(out)
    if unknown := sorted(set(levels) - set(LEVELS)):
        raise DataError(f"levels {unknown}: unknown; expected some of {list(LEVELS)}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from None
    try:
        entry, work = scratch / "entry", scratch / "work"
        (entry / "onnx").mkdir(parents=True)
        work.mkdir()
        report = _fill(source, entry, work, data, levels, again, strict, say)
        _swap(entry, out, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Report(out, report.bytes, report.parity)


def _fill(source: Source, entry: Path, work: Path, data: Path | None, levels: tuple[str, ...], again: bool, strict: bool,
          say: Say) -> Report:
    write_weights(source, entry)
    pictures, origin = _pictures(source, data)
    ranges = read_ranges(source.folder / CALIBRATION) if again and (source.folder / CALIBRATION).exists() else None
    say("exporting fp32 with Optimum")
    write_levels(source, entry / "onnx", work, pictures, origin, ranges, say)
    stored = read_golden(source.folder / GOLDEN) if again and (source.folder / GOLDEN).exists() else None
    inputs = stored[0] if stored else golden_inputs(source, pictures)
    reference = torch_reference(source, inputs)
    answers, parity = {}, {}
    for level in ("fp32", *(level for level in levels if level != "fp32")):
        say(f"comparing {level} with PyTorch")
        sessions = Level(entry / "onnx", level)
        parity[level] = measure(sessions, source, inputs, reference)
        if strict or level == "fp32":
            check(level, parity[level])
        answers[level] = golden_answers(inputs, sessions, source)
    if stored:
        compare_golden(stored[1], answers)
    for level in set(LEVELS) - set(levels):
        for graph in GRAPHS:
            graph_path(entry / "onnx", graph, level).unlink()
    write_golden(entry / GOLDEN, inputs, answers)
    _write_json(entry / PARITY, {level: found.to_dict() for level, found in parity.items()})
    sizes = {level: {graph: graph_path(entry / "onnx", graph, level).stat().st_size for graph in GRAPHS} for level in levels}
    described = manifest.Manifest(
        name=source.name, latent_id=source.vae.config.latent_id, opset=OPSET, tools=tool_versions(), training=source.training,
        licence=source.licence, credits=source.credits,
    )
    _readable(entry)
    manifest.write(entry, described)
    write_card(entry)
    manifest.refresh(entry)
    return Report(entry, sizes, parity)


def write_weights(source: Source, entry: Path) -> None:
    """``model.safetensors`` and ``vae.safetensors`` (float16), configurations and the tokenizer."""
    half = copy.deepcopy(source.seq2seq).half()
    half.save_pretrained(entry)
    if getattr(half.config, "learned_positions", False):  # transformers takes Marian's positions for constants
        save_file(unique_state(half), entry / "model.safetensors", {"format": "pt"})
    save_file(half_state(source.vae), entry / "vae.safetensors")
    _write_json(entry / "vae_config.json", source.vae.config.to_dict())
    (entry / "tokenizer.json").write_bytes(source.tokenizer)
    if source.memory is not None:
        (entry / MEMORY).write_bytes(source.memory)


def write_levels(source: Source, folder: Path, work: Path, pictures: np.ndarray, origin: str, ranges: dict | None,
                 say: Say) -> None:
    """All four graphs at all three levels, single files, into ``folder``; calibrated ranges go beside it."""
    graphs = export_seq2seq(source.seq2seq, work / "seq2seq")
    halves = dict(zip(("vae_encoder", "vae_decoder"), export_vae(source.vae, work / "vae"), strict=True))
    onnx.save(graphs.encoder, graph_path(folder, "encoder_model", "fp32"))
    merged = merge(graphs.decoder, graphs.decoder_with_past, graph_path(folder, "decoder_model_merged", "fp32"))
    for name, path in halves.items():
        shutil.copyfile(path, graph_path(folder, name, "fp32"))
    say("writing fp16")
    onnx.save(store_half(copy.deepcopy(graphs.encoder)), graph_path(folder, "encoder_model", "fp16"))
    onnx.save(store_half(merged), graph_path(folder, "decoder_model_merged", "fp16"))
    for name, path in halves.items():
        onnx.save(store_half(onnx.load(path)), graph_path(folder, name, "fp16"))
    say("quantising to int8")
    onnx.save(store_half(quantize_products(graphs.encoder)), graph_path(folder, "encoder_model", "int8"))
    merged = merge(quantize_products(graphs.decoder), quantize_products(graphs.decoder_with_past), work / "merged.onnx")
    onnx.save(store_half(merged), graph_path(folder, "decoder_model_merged", "int8"))
    calibrated = ranges or {"ranges": {}, "pictures": len(pictures), "source": origin}
    for name, path in halves.items():
        scratch = work / name
        scratch.mkdir()
        stored = calibrated["ranges"].get(name)
        if stored is not None and not fits(path, stored, scratch):
            say(f"{name}: the stored calibration is of another exporter; calibrating anew")
            stored = None
        if stored is None:
            batches = ([{"image": picture} for picture in pictures] if name == "vae_encoder"
                       else [{"tokens": tokens} for tokens in decoder_inputs(source.vae, pictures)])
            calibrated["ranges"][name] = calibrate(path, batches, scratch, DISTANCES[name])
            calibrated |= {"pictures": len(pictures), "source": origin}
        quantized = quantize_convolutions(path, calibrated["ranges"][name], scratch)
        onnx.save(store_half(quantized), graph_path(folder, name, "int8"))
    write_ranges(folder.parent / CALIBRATION, calibrated["ranges"], calibrated["pictures"], calibrated["source"])


def tool_versions() -> dict[str, str]:
    """Versions of everything that shapes the files."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in TOOLS}


def _pictures(source: Source, data: Path | None) -> tuple[np.ndarray, str]:
    """Calibration pictures and the name of the set they come from."""
    recorded = Path(source.data) if source.data else None
    chosen = data or (recorded if recorded is not None and recorded.exists() else None)
    pictures = calibration_pictures(chosen, source.vae.config.image_size)
    return pictures, chosen.name if chosen else "emoji-sample.tar"


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _swap(entry: Path, out: Path, scratch: Path) -> None:
    """Put the finished folder in its place; a reader finds the old entry or the new one."""
    try:
        if out.exists():
            if not (out / manifest.MANIFEST).is_file() and any(out.iterdir()):
                raise ExportError(f"{out}: is not a zoo entry and not empty; choose another folder")
            out.rename(scratch / "replaced")
        try:
            entry.rename(out)
        except OSError:
            if (scratch / "replaced").exists():
                (scratch / "replaced").rename(out)
            raise
    except OSError as error:
        raise DataError(f"{out}: cannot be replaced ({error.strerror})") from None


def _readable(entry: Path) -> None:
    """Ordinary permissions: some writers make files that only their owner may read."""
    for path in entry.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    entry.chmod(0o755)

"""Makes entries of exported systems with numpy alone: the few ONNX messages that linear graphs need, written field by field."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np

FLOAT, INT64 = 1, 7


def _varint(number: int) -> bytes:
    found = b""
    while number >= 0x80:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def _field(number: int, value) -> bytes:
    """One protobuf field: an int, a string or bytes (a message)."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _tensor(name: str, values: np.ndarray) -> bytes:
    kind = INT64 if values.dtype == np.int64 else FLOAT
    dims = b"".join(_field(1, size) for size in values.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, values.tobytes())


def _value(name: str, kind: int, shape: tuple) -> bytes:
    dims = b"".join(_field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def graph(nodes: list[tuple], tensors: dict[str, np.ndarray], inputs: dict[str, tuple], outputs: dict[str, tuple]) -> bytes:
    """An ONNX file. ``nodes``: (operator, inputs, output), no attributes; ``inputs`` and ``outputs``: name → (type, shape)."""
    content = b""
    for operator, given, made in nodes:
        content += _field(1, b"".join(_field(1, name) for name in given) + _field(2, made) + _field(4, operator))
    content += _field(2, "tiny") + b"".join(_field(5, _tensor(name, values)) for name, values in tensors.items())
    content += b"".join(_field(11, _value(name, *about)) for name, about in inputs.items())
    content += b"".join(_field(12, _value(name, *about)) for name, about in outputs.items())
    return _field(1, 8) + _field(8, _field(2, 13)) + _field(7, content)


def linear(weight: np.ndarray, bias: np.ndarray, shape: tuple, given: str, made: str, squash: str = "") -> bytes:
    """``made`` = ``squash``(flatten(``given``) weight + bias) as ``shape``; ``shape``: of one output, (D,) or (C, S, S)."""
    flat = (len(weight),)
    steps = [("Reshape", (given, "flat"), "row"), ("MatMul", ("row", "weight"), "product"), ("Add", ("product", "bias"), "sum")]
    if squash:
        steps.append((squash, ("sum", *(("low", "high") if squash == "Clip" else ())), "squashed"))
    steps.append(("Reshape", (steps[-1][2], "shape"), made))
    entry = flat if given == "latent" else ("C", "S", "S")
    tensors = {
        "flat": np.array([-1, *flat]), "shape": np.array([-1, *shape]), "weight": weight.astype(np.float32),
        "bias": bias.astype(np.float32),
    }  # fmt: skip
    if squash == "Clip":
        tensors |= {"low": np.float32(0).reshape(()), "high": np.float32(1).reshape(())}
    return graph(steps, tensors, {given: (FLOAT, ("B", *entry))}, {made: (FLOAT, ("B", *shape))})


def words_graph(prompt_logits: np.ndarray, previous_logits: np.ndarray) -> bytes:
    """logits [B, t, V] = Σ over unmasked pieces of ``prompt_logits`` [pieces, V] + ``previous_logits`` [V + 1, V] of a token."""
    vocabulary = prompt_logits.shape[1]
    nodes = [
        ("Gather", ("table", "ids"), "pieces"), ("Gather", ("shown", "mask"), "weights"), ("Mul", ("pieces", "weights"), "kept"),
        ("ReduceSum", ("kept", "axis"), "prompt"), ("Gather", ("previous", "tokens"), "steps"),
        ("Add", ("steps", "prompt"), "logits"),
    ]  # fmt: skip
    tensors = {
        "table": prompt_logits.astype(np.float32), "previous": previous_logits.astype(np.float32), "axis": np.array([1]),
        "shown": np.repeat(np.float32([[0], [1]]), vocabulary, axis=1),
    }  # fmt: skip
    inputs = {"ids": (INT64, ("B", "T")), "mask": (INT64, ("B", "T")), "tokens": (INT64, ("B", "t"))}
    return graph(nodes, tensors, inputs, {"logits": (FLOAT, ("B", "t", vocabulary))})


def write_entry(folder: Path, files: dict[str, bytes], **about) -> Path:
    """``folder/DATA/SYSTEM`` with its files and ``system.json``; returns it."""
    path = folder / about["data"] / about["system"]
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    listed = {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    (path / "system.json").write_text(json.dumps({**about, "files": listed}))
    return path


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def tiny_system(folder: Path, data: str = "mnist", system: str = "vae", *, classes: int = 10, side: int = 28, channels: int = 1,
                latent: int = 4, sphere: bool = False, components: int = 2, test_images: int = 30, seed: int = 0) -> Path:
    """A linear system of random weights; every component of class c has its mean near (c, c, …)."""
    generator = np.random.default_rng(seed)
    pixels = channels * side * side
    shape = (channels, side, side)
    labels = np.arange(test_images) % classes
    latents = generator.standard_normal((test_images, latent)) * 0.1 + labels[:, None]
    if sphere:
        latents = generator.standard_normal((test_images, latent))
        latents /= np.linalg.norm(latents, axis=1, keepdims=True)
    inward, outward = generator.standard_normal((pixels, latent)) / pixels, generator.standard_normal((latent, pixels))
    files = {
        "encoder.onnx": linear(inward, np.zeros(latent), (latent,), "image", "latent"),
        "decoder.onnx": linear(outward, np.zeros(pixels), shape, "latent", "image", "Sigmoid"),
        "latents.npz": npz(
            weights=np.full((classes, components), 1 / components, np.float32),
            means=np.repeat(np.arange(classes), components * latent).reshape(classes, components, latent).astype(np.float16),
            factors=np.tile(0.1 * np.eye(latent), (classes, components, 1, 1)).astype(np.float16),
            points=latents[:, :2].astype(np.float16), latents=latents.astype(np.float16), labels=labels.astype(np.uint8),
        ),
    }  # fmt: skip
    if system == "mvae":
        files |= tiny_words(classes, latent, generator)
    about = {"system": system, "title": system.upper(), "data": data, "classes": [f"c{number}" for number in range(classes)],
             "side": side, "channels": channels, "latent": latent, "sphere": sphere, "seed": seed, "epochs": 1, "level": "fp32"}
    return write_entry(folder, files, **about)


def tiny_words(classes: int, latent: int, generator: np.random.Generator) -> dict[str, bytes]:
    """``words.onnx`` and ``words.json``: 3 levels, 2 coordinates; the prompt of class c makes token c % 9 all but certain."""
    prompts = np.zeros((classes + 1, 9))
    prompts[np.arange(classes), np.arange(classes) % 9] = 50
    prompts[classes] = 1000 * np.eye(9)[8]  # the padding piece, which the mask must hide
    values = {
        "prompts": [f"a picture of {number}" for number in range(classes)],
        "ids": [[number, classes] for number in range(classes + 1)],
        "mask": [[1, 0]] * classes + [[0, 0]], "start_token": 9, "positions": latent // 2, "codebook": 9, "temperature": 1.0,
        "guidance": 1.0, "candidates": 1,
        "table": {"levels": 3, "coordinates": 2}, "medians": [-1.0, 0.0, 1.0],
    }  # fmt: skip
    content = words_graph(prompts, 0.1 * generator.standard_normal((10, 9)))
    return {"words.onnx": content, "words.json": json.dumps(values).encode()}


def damaged(path: Path, name: str, content: bytes, *, recorded: bool) -> None:
    """Replace one file of an entry; ``recorded``: also in ``system.json``, as if it had been exported so."""
    (path / name).write_bytes(content)
    if recorded:
        about = json.loads((path / "system.json").read_text())
        about["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (path / "system.json").write_text(json.dumps(about))

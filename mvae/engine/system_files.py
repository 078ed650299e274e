"""From the name of a data set and of a system to the checked files of its exported entry, ``zoo/systems/DATA/SYSTEM``.

``system.json`` says what the system is and lists length and sha256 of every other file; nothing is used before it was compared.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from mvae.engine.system_titles import DATA_TITLES, SYSTEM_TITLES
from mvae.errors import IntegrityError, UnknownModelError
from zoo import fetch
from zoo.manifest import MANIFEST_MAX_BYTES, FileRecord, Manifest, read_verified

DATA = tuple(DATA_TITLES)
SYSTEMS = tuple(SYSTEM_TITLES)
FOLDER = fetch.MODELS.parent / "systems"
INDEX = "system.json"
GRAPHS = ("encoder.onnx", "decoder.onnx")
LATENTS = "latents.npz"
WORDS = ("words.onnx", "words.json")
"""Only of systems that also draw from words; where ``words`` in the index names another system, they are in its folder."""
_FIELDS = {"system": str, "title": str, "data": str, "classes": list, "side": int, "channels": int, "latent": int, "sphere": bool}
_SIDE_MAX, _LATENT_MAX = 256, 4096


@dataclass(frozen=True)
class SystemEntry:
    """The files of one system, verified: each content is the very bytes that were hashed."""

    system: str
    title: str
    data: str
    classes: tuple[str, ...]
    """Names of the labels 0 …"""
    side: int
    channels: int
    """1 grey, 3 colour."""
    latent: int
    """D."""
    sphere: bool
    """Whether latents lie on the unit sphere."""
    files: dict[str, bytes]

    @property
    def bytes(self) -> int:
        """Bytes of the graphs: what it takes to draw."""
        return sum(len(content) for name, content in self.files.items() if name.endswith(".onnx"))


def available_systems(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Data set → systems that have an entry, both in the order of the comparison. Empty where the folder is not there."""
    found = {data: [system for system in SYSTEMS if (folder / data / system / INDEX).is_file()] for data in DATA}
    return {data: systems for data, systems in found.items() if systems}


def read_system(data: str, system: str, folder: Path = FOLDER) -> SystemEntry:
    """Read and verify an entry.

    Raises UnknownModelError listing what exists, IntegrityError for anything that is malformed or differs from its record.
    """
    known = available_systems(folder)
    if system not in known.get(data, ()):
        there = ", ".join(f"{data}/{system}" for data, systems in known.items() for system in systems)
        raise UnknownModelError(f"no system {f'{data}/{system}'!r:.60} in {folder}; there is {there or 'none'}")
    path = folder / data / system
    values = _index(path / INDEX)
    if (values["data"], values["system"]) != (data, system):
        raise IntegrityError(f"{path / INDEX}: describes {values['data']}/{values['system']}; expected {data}/{system}")
    listed = Manifest(f"{data}/{system}", "", 0, {}, {}, "", (), values["files"])
    names = [*GRAPHS, LATENTS, *(name for name in WORDS if set(WORDS) & set(values["files"]))]
    shared = folder / data / values.get("words", system)
    files = {name: read_verified(shared if name in WORDS else path, listed, name) for name in names}
    kept = {name: values[name] for name in _FIELDS}
    return SystemEntry(**{**kept, "classes": tuple(kept["classes"])}, files=files)


def read_arrays(content: bytes, shapes: dict[str, tuple], name: str) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz``, checked against ``shapes``: equal strings stand for one length, numbers for themselves.

    Floats come as float32. Raises IntegrityError where one is missing, of another shape, or not finite.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            found = {key: stored[key] for key in shapes}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise IntegrityError(f"{name}: not an .npz with {', '.join(shapes)} ({error})") from None
    lengths: dict = {}
    for key, shape in shapes.items():
        got = found[key].shape
        fits = len(got) == len(shape) and all(got) and all(
            size == (lengths.setdefault(mark, size) if isinstance(mark, str) else mark)
            for mark, size in zip(shape, got, strict=True)
        )
        if not fits:
            raise IntegrityError(f"{name}: {key!r} has shape {got}; expected {shape}")
        if found[key].dtype.kind == "f":
            found[key] = found[key].astype(np.float32)
            if not np.isfinite(found[key]).all():
                raise IntegrityError(f"{name}: {key!r} has values that are not finite")
    return found


def _index(path: Path) -> dict:
    try:
        content = path.read_bytes()
        values = json.loads(content) if len(content) <= MANIFEST_MAX_BYTES else None
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: not JSON ({error})") from None
    if not isinstance(values, dict) or not isinstance(values.get("files"), dict):
        raise IntegrityError(f"{path}: expected one JSON object with 'files'")
    for key, kind in _FIELDS.items():
        if type(values.get(key)) is not kind:
            raise IntegrityError(f"{path}: {key!r} is {values.get(key)!r:.60}; expected {kind.__name__}")
    if values.get("words", SYSTEMS[0]) not in SYSTEMS:
        raise IntegrityError(f"{path}: words of {values['words']!r:.60}; expected one of {SYSTEMS}")
    sizes = 1 <= values["side"] <= _SIDE_MAX and values["channels"] in (1, 3) and 1 <= values["latent"] <= _LATENT_MAX
    if not sizes or not values["classes"] or not all(isinstance(name, str) for name in values["classes"]):
        got = {key: values[key] for key in ("side", "channels", "latent", "classes")}
        raise IntegrityError(f"{path}: {got!r:.120}; expected a side, 1 or 3 channels, a latent dimension, names of classes")
    try:
        files = {name: FileRecord(int(record["bytes"]), str(record["sha256"])) for name, record in values["files"].items()}
    except (TypeError, KeyError, ValueError):
        raise IntegrityError(f"{path}: expected bytes and sha256 for every one of 'files'") from None
    return {**values, "files": files}

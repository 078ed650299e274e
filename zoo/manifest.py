"""The manifest of a zoo entry: the length and sha256 of every file, and where the entry comes from.

An entry is a folder; ``manifest.json`` in it lists every other file. Nothing of an entry is used before its bytes have been
compared with the manifest, a file that the manifest does not list is refused, and no path leads out of the folder.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from mvae.errors import IntegrityError

SCHEMA = 1
"""Version of the manifest's layout; a reader refuses any other."""
MANIFEST = "manifest.json"
MANIFEST_MAX_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileRecord:
    """Length in bytes and lower-case hexadecimal sha256 of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says. ``files`` maps a POSIX path relative to the entry to its record."""

    name: str
    """Entry name, for example ``small`` or ``small-pruned``."""
    latent_id: str
    """Entries exchange tokens only if this is equal."""
    opset: int
    """ONNX opset of the graphs."""
    tools: dict[str, str]
    """Versions of the tools that made the entry."""
    training: dict
    """The run that the weights come from: recipe, steps, seconds, … (plain JSON values)."""
    licence: str
    credits: tuple[str, ...]
    """One line for each source of training pictures."""
    files: dict[str, FileRecord] = field(default_factory=dict)
    schema: int = SCHEMA

    def record(self, name: str) -> FileRecord:
        """Record of the file ``name``. Raises IntegrityError if the manifest does not list it."""
        if name not in self.files:
            raise IntegrityError(f"entry {self.name!r}: no file {name!r} in {MANIFEST}; it lists {sorted(self.files)}")
        return self.files[name]


def read(folder: Path) -> Manifest:
    """Read and check ``folder/manifest.json``, without looking at the files it lists.

    Raises IntegrityError if it is missing, too long, not JSON, of another schema version, or malformed in any field.
    """
    path = Path(folder) / MANIFEST
    try:
        if path.stat().st_size > MANIFEST_MAX_BYTES:
            raise IntegrityError(f"{path}: {path.stat().st_size} bytes; expected at most {MANIFEST_MAX_BYTES}")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error}); expected a zoo entry's manifest") from None
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: not JSON ({error})") from None
    return _parse(values, path)


def write(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every file below ``folder`` and write ``manifest.json`` atomically; returns the manifest with its ``files``.

    ``manifest.files`` is ignored. Raises IntegrityError for file names or links that no reader would accept.
    """
    folder = Path(folder)
    files = {name: _hash(folder / name) for name in _files_below(folder)}
    complete = Manifest(**{**{key: getattr(manifest, key) for key in manifest.__dataclass_fields__}, "files": files})
    text = json.dumps(asdict(complete), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _parse(json.loads(text), folder / MANIFEST)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".manifest-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, folder / MANIFEST)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return complete


def refresh(folder: Path) -> Manifest:
    """Hash the files again and keep everything else, for a file that is regenerated in place (the model card)."""
    return write(folder, read(folder))


def verify(folder: Path, manifest: Manifest | None = None, names: Iterable[str] | None = None) -> Manifest:
    """Compare the files with the manifest, streaming; ``names`` limits the hashing (and what must exist) to these files.

    Files that are not listed, and links that lead out of the folder, are refused whatever ``names`` says.
    Raises IntegrityError naming the file, what was got and what was expected.
    """
    folder = Path(folder)
    manifest = read(folder) if manifest is None else manifest
    unknown = sorted(set(_files_below(folder)) - set(manifest.files))
    if unknown:
        raise IntegrityError(f"{folder}: files not listed in {MANIFEST}: {unknown}")
    for name in manifest.files if names is None else names:
        expected = manifest.record(name)
        path = _inside(folder, name)
        _check(path, expected, _hash(path, expected.bytes))
    return manifest


def read_verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The bytes of one listed file. What is returned is what was hashed: the file is read once.

    Raises IntegrityError if it is missing, leads out of the folder, or differs from its record.
    """
    expected = manifest.record(name)
    path = _inside(Path(folder), name)
    try:
        with open(path, "rb") as stream:
            content = stream.read(expected.bytes + 1)
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error})") from None
    _check(path, expected, FileRecord(len(content), hashlib.sha256(content).hexdigest()))
    return content


def _check(path: Path, expected: FileRecord, got: FileRecord) -> None:
    if got.bytes != expected.bytes:
        raise IntegrityError(
            f"{path}: got {got.bytes} bytes or more, expected {expected.bytes}"
            if got.bytes > expected.bytes
            else f"{path}: got {got.bytes} bytes, expected {expected.bytes}"
        )
    if got.sha256 != expected.sha256:
        raise IntegrityError(f"{path}: sha256 is {got.sha256}, expected {expected.sha256}")


def _hash(path: Path, limit: int | None = None) -> FileRecord:
    """Stream the file through sha256; stops just after ``limit`` bytes, since a longer file is wrong anyway."""
    digest, length = hashlib.sha256(), 0
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                length += len(chunk)
                if limit is not None and length > limit:
                    break
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error})") from None
    return FileRecord(length, digest.hexdigest())


def _files_below(folder: Path) -> list[str]:
    """POSIX paths of all files below ``folder`` except the manifest, sorted; refuses links that lead out of it."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            _inside(folder, name)
        if not path.is_dir() and name != MANIFEST:
            found.append(name)
    return found


def _inside(folder: Path, name: str) -> Path:
    """``folder/name`` if that really lies inside ``folder`` once every link is followed, else IntegrityError."""
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise IntegrityError(f"{path}: cannot be resolved ({error})") from None
    if not inside:
        raise IntegrityError(f"{path}: leads out of the entry's folder to {path.resolve()}")
    return path


def _plain_name(name: str) -> bool:
    """A relative POSIX path with no way out and no second spelling."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and name == "/".join(parts)
        and ".." not in parts
        and not name.startswith("/")
        and not any(character in '\\:*?"<>|' or ord(character) < 32 for character in name)
        and name != MANIFEST
    )


def _parse(values, path: Path) -> Manifest:
    def require(holds: bool, what: str, got) -> None:
        if not holds:
            raise IntegrityError(f"{path}: {what}; got {got!r:.200}")

    require(isinstance(values, dict), "expected one JSON object", values)
    require(values.get("schema") == SCHEMA, f"expected schema version {SCHEMA}", values.get("schema"))
    expected = set(Manifest.__dataclass_fields__)
    require(set(values) == expected, f"expected the keys {sorted(expected)}", sorted(map(str, values)))
    for key in ("name", "latent_id", "licence"):
        require(isinstance(values[key], str) and values[key] != "", f"expected a non-empty string for {key!r}", values[key])
    opset = values["opset"]
    require(type(opset) is int and opset > 0, "expected a positive integer for 'opset'", opset)
    tools = values["tools"]
    require(isinstance(tools, dict) and all(isinstance(v, str) for v in tools.values()), "expected strings in 'tools'", tools)
    require(isinstance(values["training"], dict), "expected an object for 'training'", values["training"])
    credit = values["credits"]
    require(isinstance(credit, list) and all(isinstance(v, str) for v in credit), "expected strings in 'credits'", credit)
    require(isinstance(values["files"], dict) and values["files"], "expected a non-empty object for 'files'", values["files"])
    files = {}
    for name, record in values["files"].items():
        require(_plain_name(name), "expected a relative path inside the entry in 'files'", name)
        require(
            isinstance(record, dict) and set(record) == {"bytes", "sha256"},
            f"expected {{'bytes', 'sha256'}} for {name!r}",
            record,
        )
        require(type(record["bytes"]) is int and record["bytes"] >= 0, f"expected a length for {name!r}", record["bytes"])
        require(
            isinstance(record["sha256"], str) and _SHA256.fullmatch(record["sha256"]) is not None,
            f"expected 64 lower-case hexadecimal digits for {name!r}",
            record["sha256"],
        )
        files[name] = FileRecord(record["bytes"], record["sha256"])
    return Manifest(**{**values, "credits": tuple(credit), "files": files})

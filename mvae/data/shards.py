"""Tar shards in img2dataset's layout: ``KEY.webp``, ``KEY.txt`` (caption) and ``KEY.json`` (everything else).

WebDataset reads them too. Bytes depend on the samples alone: members are sorted, times and owners are zero.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mvae.errors import DataError
from mvae.files import write_atomic

SHARD_SIZE = 500
"""Samples in a full shard."""
IMAGE_SUFFIXES = (".webp", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Sample:
    """One captioned picture as stored."""

    key: str
    image: bytes
    """Encoded file (WebP, PNG or JPEG)."""
    caption: str
    meta: dict
    suffix: str = ".webp"


def shard_name(role: str, style: str, number: int) -> str:
    """``train-noto-00000.tar``."""
    return f"{role}-{style}-{number:05d}.tar"


def shard_paths(folder: Path, role: str, style: str) -> list[Path]:
    """Shards of one role and style, in order. A plain glob would not do: ``train-fluent-*`` also finds ``train-fluent-3d-…``."""
    return sorted(folder.glob(f"{role}-{style}-{'[0-9]' * 5}.tar"))


def check_size(size: int) -> None:
    """Raise :class:`DataError` unless stored pictures may have this side, in pixels."""
    if not 16 <= size <= 512:
        raise DataError(f"image size: got {size}, expected 16 to 512 pixels")


def read_plan(path: Path) -> dict | None:
    """The ``plan.json`` of a build that was begun in this folder, or None. Raises :class:`DataError` if it cannot be read."""
    if not path.exists():
        return None
    try:
        plan = json.loads(path.read_text())
    except ValueError:
        plan = None
    if not isinstance(plan, dict):
        raise DataError(f"{path}: not readable; expected the plan of a build; choose another folder or delete it")
    return plan


def index_entry(path: Path, role: str, style: str, samples: int) -> dict:
    """What ``index.json`` says of one shard."""
    content = path.read_bytes()
    entry = {"file": path.name, "role": role, "style": style, "samples": samples}
    return entry | {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_shard(path: Path, samples: Iterable[Sample]) -> None:
    """Write one shard atomically."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in sorted(samples, key=lambda item: item.key):
            text = json.dumps(sample.meta, ensure_ascii=False, sort_keys=True)
            parts = ((sample.suffix, sample.image), (".json", text.encode()), (".txt", sample.caption.encode()))
            for suffix, content in parts:
                info = tarfile.TarInfo(sample.key + suffix)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    write_atomic(path, buffer.getvalue())


def read_shard(path: Path) -> Iterator[Sample]:
    """Stream the samples of one shard in stored order.

    Raises :class:`DataError` on a damaged archive or a sample without an image.
    """
    parts: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    stem, dot, suffix = member.name.partition(".")
                    parts.setdefault(stem, {})[dot + suffix] = tar.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path}: not a readable tar shard ({error})") from error
    for key, files in parts.items():
        suffix = next((name for name in IMAGE_SUFFIXES if name in files), None)
        if suffix is None:
            raise DataError(f"{path}: sample {key} has {sorted(files)}, expected one image of {IMAGE_SUFFIXES}")
        meta = json.loads(files.get(".json", b"{}"))
        text = files.get(".txt", meta.get("caption", "").encode()).decode().strip()
        yield Sample(key, files[suffix], text, meta, suffix)

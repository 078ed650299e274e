"""Files that a reader never sees half of: written beside their target, flushed to disk, renamed."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name beside ``path`` to write to; on leaving without an error it takes the place of ``path``.

    The folder is created. Whatever goes wrong, ``path`` stays as it was. Raises OSError where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)  # safetensors creates files that only their owner can read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """``content`` as the file ``path``; see :func:`replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_figure(figure, path: Path) -> None:
    """A matplotlib figure as a PNG that is the same for the same figure. Written as by :func:`write_atomic`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())

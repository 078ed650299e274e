"""What the verbs share: models and their options, and writing files so that a reader never sees half of one."""

import argparse
import os
import tempfile
from pathlib import Path

from mvae.config import DEFAULT_MODEL
from mvae.engine.auto import AUTO, load
from mvae.engine.model import Model
from mvae.errors import InputError


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--zoo``, ``--threads`` and ``--json``; :func:`load_model` reads them."""
    parser.add_argument("--model", default=DEFAULT_MODEL, help=f"size-level, or {AUTO} (default: %(default)s)")
    parser.add_argument("--max-ms", type=float, help=f"with {AUTO}: milliseconds from prompt to picture, measured here")
    parser.add_argument("--max-bytes", type=float, help=f"with {AUTO}: of the files that the model loads")
    parser.add_argument("--zoo", type=Path, metavar="FOLDER", help="an entry or a folder of entries to use instead of the zoo")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def load_model(args: argparse.Namespace) -> Model:
    """The model that the options name. Raises as :func:`mvae.engine.auto.load`."""
    return load(args.model, args.threads, args.zoo, max_ms=args.max_ms, max_bytes=args.max_bytes)


def prepare_output(path: Path) -> Path:
    """Create the folder of an output file. Raises InputError if it cannot be, or if ``path`` is a folder or cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be created ({error.strerror})") from None
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a file name")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError(f"{path}: cannot be written (permission denied)")
    return path


def write_file(path: Path, content: bytes) -> None:
    """Write ``path`` atomically, its folder included. Raises InputError if that fails."""
    prepare_output(path)
    temporary = None
    try:
        if path.exists() and not path.is_file():  # a device or a pipe is written to, not replaced
            path.write_bytes(content)
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def numbered(path: Path, count: int) -> list[Path]:
    """``apple.png`` for one image, ``apple-0.png`` … for several."""
    return [path] if count == 1 else [path.with_stem(f"{path.stem}-{number}") for number in range(count)]


def read_file(path: Path, limit: int) -> bytes:
    """Content of an input file. Raises InputError if it cannot be read or is longer than ``limit`` bytes."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > limit:
        raise InputError(f"{path}: longer than {limit} bytes; expected less")
    return content

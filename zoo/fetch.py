"""Find a zoo entry: an explicit folder, else the committed ``zoo/models``, else the Hub at a pinned revision.

The Hub is asked only for entries that ``zoo/hub.json`` pins::

    {"base": {"repository": "owner/name", "revision": "<40 hexadecimal digits>"}}

What comes from it is checked against its manifest, then kept below the cache folder (``MVAE_CACHE``, or ``~/.cache/mvae``),
from where it is served without a connection ever after.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from mvae.errors import FetchError, UnknownModelError
from zoo import manifest

MODELS = Path(__file__).resolve().parent / "models"
PINS = Path(__file__).resolve().parent / "hub.json"
_ENTRY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[0-9a-f]{40}")


def cache_folder() -> Path:
    """Where fetched entries are kept: ``MVAE_CACHE`` if set, else ``~/.cache/mvae``."""
    return Path(os.environ.get("MVAE_CACHE") or Path.home() / ".cache" / "mvae")


def entries(folder: Path | None = None) -> dict[str, Path]:
    """Entry name → folder of everything present without a connection, sorted by name.

    ``folder`` is one entry or a folder of entries; without it the committed ``zoo/models`` and what was fetched before.
    Only presence of a manifest is checked here.
    """
    if folder is not None:
        folder = Path(folder)
        if (folder / manifest.MANIFEST).is_file():
            return {manifest.read(folder).name: folder}
        return _entries_below(folder)
    fetched = {name: _cached(name, *pin) for name, pin in _pins().items()}
    found = {name: path for name, path in fetched.items() if (path / manifest.MANIFEST).is_file()}
    found.update(_entries_below(MODELS))
    return dict(sorted(found.items()))


def locate(entry: str, folder: Path | None = None) -> Path:
    """Folder of the entry called ``entry``; fetches it from the Hub if it is pinned there and not yet on this machine.

    Raises UnknownModelError listing what exists, FetchError if the Hub cannot be reached.
    """
    known = entries(folder)
    if entry in known:
        return known[entry]
    pins = _pins() if folder is None else {}
    if entry in pins:
        return _fetch(entry, *pins[entry])
    where = f" in {folder}" if folder is not None else ""
    raise UnknownModelError(f"no model entry {entry!r}{where}; there is {', '.join(sorted({*known, *pins})) or 'none'}")


def _entries_below(folder: Path) -> dict[str, Path]:
    return {
        path.parent.name: path.parent
        for path in sorted(folder.glob("*/" + manifest.MANIFEST))
        if _ENTRY.fullmatch(path.parent.name)
    }


def _pins() -> dict[str, tuple[str, str]]:
    """Entry → (repository, revision). Raises FetchError for anything but a full commit id: branches and tags move."""
    if not PINS.is_file():
        return {}
    try:
        values = json.loads(PINS.read_text(encoding="utf-8"))
        pins = {name: (pin["repository"], pin["revision"]) for name, pin in values.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise FetchError(f"{PINS}: expected entry → repository and revision ({type(error).__name__}: {error})") from None
    for name, (repository, revision) in pins.items():
        if not (_ENTRY.fullmatch(name) and _REPOSITORY.fullmatch(str(repository)) and _REVISION.fullmatch(str(revision))):
            raise FetchError(
                f"{PINS}: got {name!r} → {repository!r} at {revision!r}; expected owner/name and 40 hexadecimal digits"
            )
    return pins


def _cached(entry: str, repository: str, revision: str) -> Path:
    return cache_folder() / "models" / revision / entry


def _fetch(entry: str, repository: str, revision: str) -> Path:
    """Download into a temporary folder, verify, then move into the cache in one step."""
    from huggingface_hub import snapshot_download  # only here: importing it takes longer than loading a model

    target = _cached(entry, repository, revision)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as temporary:
        download, clean = Path(temporary) / "download", Path(temporary) / entry
        try:
            snapshot_download(repository, revision=revision, local_dir=download)
        except Exception as error:  # the client raises its own, requests' and the operating system's errors
            reason = str(error).splitlines()[0] if str(error) else ""
            raise FetchError(f"{repository}@{revision}: cannot be fetched ({type(error).__name__}: {reason})") from None
        listed = manifest.read(download)
        for name in (manifest.MANIFEST, *listed.files):  # the Hub adds files of its own; only what is listed is kept
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            if not (download / name).is_file():
                raise FetchError(f"{repository}@{revision}: {name} is listed in {manifest.MANIFEST} but missing")
            shutil.move(download / name, clean / name)
        manifest.verify(clean, listed)
        try:
            os.replace(clean, target)
        except OSError:
            if not (target / manifest.MANIFEST).is_file():  # another process was faster: its copy passed the same check
                raise
    return target

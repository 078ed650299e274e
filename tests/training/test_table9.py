"""Table 9 from training to entries: a few digits, two systems, one epoch."""

import csv
import json

import numpy as np
import pytest
import torch

from export.systems import export_system
from mvae.data.benchmarks import Labelled, write_benchmark
from mvae.engine.stored_system import load_system
from mvae.errors import DataError, OptionError
from mvae.evaluate.table9_table import table9_table
from mvae.models.system import SystemConfig
from mvae.models.system_wrappers import SystemDecoder, SystemEncoder
from mvae.models.systems import build_system
from mvae.reproduce import table9, table9_measures
from mvae.reproduce.table9_training import is_trained
from mvae.training.label_words import LabelWords

CONFIG = SystemConfig(latent=4, width=16, likelihood="gaussian")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Blurred blots, a place a class: 240 to train with, 120 to test."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)

    def split(count: int) -> Labelled:
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28, 1), np.uint8)
        for image, label in zip(images, labels, strict=True):
            y, x = 4 + 4 * (label // 4) + random.integers(3), 4 + 5 * (label % 4) + random.integers(3)
            image[y : y + 6, x : x + 5] = random.integers(120, 256)
        return Labelled(images, labels.astype(np.int64))

    write_benchmark("mnist", {"train": split(240), "test": split(120)}, folder / "mnist")
    return folder


@pytest.mark.parametrize("name", ["vae", "s_vae", "vq_vae", "mvae"])
def test_an_exported_system_is_the_system(name, source, tmp_path):
    torch.manual_seed(0)
    system = build_system(name, CONFIG).eval()
    words = LabelWords(system.codebook, system.positions, table9.CLASSES["mnist"]).eval() if name == "mvae" else None
    export_system(system, tmp_path, name=name, title=name, data="mnist", source=source, words=words, facts={"seed": 7})
    entry = load_system("mnist", name, tmp_path)
    x = torch.rand(5, 1, 28, 28)  # another batch than it was exported with
    latent = entry.encode(x.numpy())
    with torch.no_grad():
        assert np.allclose(latent, SystemEncoder(system)(x).numpy(), atol=2e-2)
        assert np.allclose(entry.decode(latent), SystemDecoder(system)(torch.from_numpy(latent)).numpy(), atol=2e-2)
    assert entry.sample(3, 6, seed=1).shape == (6, latent.shape[1])
    if name == "s_vae":
        assert np.allclose(np.linalg.norm(entry.sample(3, 6, seed=1), axis=1), 1, atol=1e-5)
    assert (entry.words is not None) == (name == "mvae")
    if words is not None:
        tokens = entry.words.tokens(4, 3, seed=0)
        assert np.allclose(entry.words.latents(tokens), system.latents(torch.from_numpy(tokens)).numpy(), atol=1e-5)
    assert json.loads((tmp_path / "mnist" / name / "system.json").read_text())["seed"] == 7


def test_two_systems_go_all_the_way(source, tmp_path, monkeypatch):
    monkeypatch.setattr(table9, "TRAINED", ("vade", "mvae"))
    monkeypatch.setattr(table9, "ROWS", ("vade", "mvae", "mvae_small"))
    monkeypatch.setattr(table9, "TIMED_STEPS", 1)
    arguments = {"benchmarks": ["mnist"], "seeds": 1, "epochs": 2, "workers": 2, "results": tmp_path / "results",
                 "entries": tmp_path / "systems", "count": 4}
    rows = table9.run_all(source, tmp_path / "runs", **arguments)
    found = {row["arm"]: row for row in rows}
    assert all(0 <= row["cga"] <= 1 and 0 <= row["coverage"] <= 1 and row["bytes"] > 0 for row in rows)
    assert found["vade"]["claimed"] == 92.5 and 0 <= found["vade"]["clustering_accuracy"] <= 1
    assert 0 <= found["mvae"]["words_cga"] <= 1 and found["vade"]["words_cga"] == ""
    assert found["mvae_small"]["bytes"] < 0.7 * found["mvae"]["bytes"] and found["mvae_small"]["claimed"] == ""
    (path,) = (tmp_path / "results").glob("table9-mnist-*.csv")
    with open(path) as file:
        lines = table9_table(list(csv.DictReader(file)))
    assert sum(line.startswith("| mVAE") for line in lines) == 4 and "*97.2*" in "\n".join(lines)
    for name in ("vade", "mvae", "mvae_small"):
        assert load_system("mnist", name, tmp_path / "systems").decode(np.zeros((1, 16), np.float32)).shape == (1, 1, 28, 28)
    assert not (tmp_path / "systems" / "mnist" / "mvae_small" / "words.onnx").exists(), "words are stored once"
    drawn = [load_system("mnist", name, tmp_path / "systems").words.tokens(3, 2, 0) for name in ("mvae", "mvae_small")]
    assert np.array_equal(*drawn)
    done = (tmp_path / "runs" / "mnist" / "vade-s0", "mnist", "vade", 0)
    assert is_trained(*done, epochs=2) and not is_trained(*done, epochs=3), "a run of other settings is not this one"
    stored = (tmp_path / "runs" / "mnist" / "vade-s0" / "weights.safetensors").stat().st_mtime_ns
    table9.run_all(source, tmp_path / "runs", **arguments)  # nothing is trained again
    assert (tmp_path / "runs" / "mnist" / "vade-s0" / "weights.safetensors").stat().st_mtime_ns == stored


def test_what_is_not_there_is_named(source, tmp_path):
    arguments = {"seeds": 1, "epochs": 1, "workers": 1, "results": tmp_path}
    with pytest.raises(OptionError, match="expected some of"):
        table9.run_all(source, tmp_path, benchmarks=["svhn"], **arguments)
    with pytest.raises(DataError, match="mvae data build"):
        table9_measures.judged("cifar10", source)

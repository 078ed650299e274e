"""Epochs beside pythae's: what a side answers, ratios, our side as a process, and, where its environment is there, pythae's."""

import csv
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mvae.data.benchmarks import Labelled, write_benchmark
from mvae.errors import InputError, OptionError, TrainingError
from mvae.evaluate.miniaturisation_tables import ALL_STUDIES
from mvae.models import fast_layers
from mvae.models.fast_layers import FastDoubling, FastLinear
from mvae.reproduce import speed
from mvae.reproduce.speed_ours import system

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"latent": 3, "width": 8, "hidden": 16, "codes": 4}
PYTHAE = ROOT / speed.PYTHAE


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    split = Labelled(generator.integers(0, 256, (200, 28, 28, 1), np.uint8), np.arange(200) % 10)
    write_benchmark("mnist", {"train": split, "test": split}, folder)
    return folder


def test_lines_that_are_no_answer_are_passed_over(tmp_path):
    assert speed.parsed('{"seconds": 1.5}\n') == {"seconds": 1.5}
    assert speed.parsed("Train loss: 3.1\n") is None and speed.parsed("3\n") is None
    talk = [
        "print('hello')", "print('{\"shapes\": []}', flush=True)", "input()", "print('{\"seconds\": 2}')", "raise SystemExit(3)",
    ]
    side = speed.Side("theirs", [sys.executable, "-c", "\n".join(talk)], speed.Spec("vae", "none", 1), tmp_path / "log.txt")
    assert side.answer() == {"shapes": []} and side.epoch() == 2.0
    with pytest.raises(TrainingError, match="theirs ended with 3"):
        side.answer()


def test_the_ratio_is_of_medians_and_the_range_of_turns():
    found = speed.compared([1.0, 2.0, 9.0], [4.0, 4.0, 6.0])
    assert found == {"ours_s": 2.0, "pythae_s": 4.0, "ratio": 0.5, "ratio_low": 0.25, "ratio_high": 1.5}


def test_networks_that_differ_are_not_compared():
    assert speed.same_network("vae", [[2, 3], [2]], [[2], [2, 3]]) == 8
    with pytest.raises(TrainingError, match="expected the same"):
        speed.same_network("vae", [[2, 3]], [[3, 2]])


def test_images_are_black_or_white_and_always_the_same(data):
    images = speed.binary_images(data, 20)
    assert images.shape == (20, 1, 28, 28) and set(np.unique(images)) == {0, 1}
    assert np.array_equal(images, speed.binary_images(data, 20))


@pytest.mark.parametrize("arm", speed.ARMS)
def test_our_side_answers_every_epoch(arm, data, tmp_path):
    np.save(tmp_path / "images.npy", speed.binary_images(data, 20))
    spec = speed.Spec(arm, str(tmp_path / "images.npy"), epochs=2, batch=10, **SMALL)
    made = system(asdict(spec), (20, 1, 28, 28))
    assert made.name == arm.removesuffix("_bf16") and torch.isfinite(made.loss(torch.zeros(4, 1, 28, 28))[0])
    if arm == "vae":
        side = speed.Side("ours", [sys.executable, "-m", "mvae.reproduce.speed_ours"], spec, tmp_path / "log.txt")
        assert side.answer()["shapes"] == [list(parameter.shape) for parameter in made.parameters()]
        assert side.epoch() > 0 and side.epoch() > 0
        side.process.stdin.close()
        assert side.process.wait(60) == 0


def test_what_cannot_be_measured_is_refused(data, tmp_path):
    arguments = {"images": 100, "epochs": 2, "only": None, "device": "cpu", "pythae": PYTHAE, "results": tmp_path}
    elsewhere = [] if torch.cuda.is_available() else [{"device": "cuda"}]
    for wrong in ({"epochs": 1}, {"only": ["gmvae"]}, {"images": 10}, *elsewhere):
        with pytest.raises(OptionError, match="expected"):
            speed.run_all(data, **arguments | wrong)
    with pytest.raises(InputError, match="make pythae"):
        speed.run_all(data, **arguments | {"pythae": tmp_path / "python"})


def test_both_sides_train_the_same_networks(data, tmp_path):
    if not PYTHAE.is_file():
        pytest.skip("no .venv-pythae; `make pythae` fills it")
    arms = ("vae", "s_vae", "vae_gan", "vq_vae")  # the others have the VAE's networks
    rows = speed.run_all(data, images=100, epochs=2, only=arms, device="cpu", pythae=PYTHAE, results=tmp_path, sizes=SMALL)
    assert [row["arm"] for row in rows] == list(arms) and all(row["ratio"] > 0 for row in rows)
    path = next(tmp_path.glob("speed-arms-*.csv"))
    lines = ALL_STUDIES["speed"](list(csv.DictReader(path.open(encoding="utf-8"))))
    assert lines[-1].startswith("| vq_vae |") and any("pythae 0.1.2" in line for line in lines)


def test_the_table_has_a_row_a_system():
    row = dict.fromkeys(speed.COLUMNS, "1") | {"arm": "vae", "device": "cpu", "load_average": "0.3", "ratio": "0.754"}
    lines = ALL_STUDIES["speed"]([row, row | {"load_average": "0.55", "epochs": "3"}])
    assert "load average 0.3 to 0.6" in lines[2] and "Medians of 1 to 3 epochs" in lines[2] and "| 0.75 |" in lines[-1]
    assert len({line.count("|") for line in lines[4:]}) == 1
    assert "load" not in "".join(ALL_STUDIES["speed"]([row | {"load_average": ""}]))


def results(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a layer says, and all gradients of the sum of its squares."""
    given = x.clone().requires_grad_()
    said = layer(given)
    said.square().sum().backward()
    return said.detach(), given.grad, layer.weight.grad, layer.bias.grad


@pytest.mark.parametrize(("fast", "plain", "shape"), [
    (lambda: FastLinear(30, 20), lambda: nn.Linear(30, 20), (7, 30)),
    (lambda: FastDoubling(6, 5), lambda: nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1), (3, 6, 4, 7)),
    (lambda: FastDoubling(6, 3), lambda: nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1), (3, 6, 4, 7)),
])
def test_fast_layers_are_the_plain_ones(fast, plain, shape, monkeypatch):
    monkeypatch.setattr(fast_layers, "LARGE", 1)
    torch.manual_seed(0)
    layer, other, x = fast(), plain(), torch.randn(shape)
    other.load_state_dict(layer.state_dict())
    for one, two in zip(results(layer, x), results(other, x), strict=True):
        torch.testing.assert_close(one, two)
    # In training by another way, else by the very same.
    assert type(layer(x).grad_fn) is not type(other(x).grad_fn)
    assert type(layer.eval()(x).grad_fn) is type(other(x).grad_fn)

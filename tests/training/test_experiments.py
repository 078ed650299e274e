"""The paper's experiments rerun: which drawings, what is held, what vanishes, and tables that add up."""

import csv
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch

from mvae.data.dataset import load_pictures
from mvae.errors import DataError, InputError, OptionError
from mvae.evaluate import experiment_document, paper_training
from mvae.evaluate.experiment_tables import average_table, experiments_table, shown, training_table
from mvae.evaluate.results import newest
from mvae.models.vae import Vae
from mvae.reproduce import experiments
from mvae.reproduce.experiment_figures import principal
from mvae.reproduce.experiment_network import WIDTHS
from mvae.reproduce.experiment_systems import AveragedVae, RateControlledVae
from mvae.reproduce.experiments import COLUMNS, CONFIG, CONTROL, Run, divided, kept, matching, run_all, train
from mvae.training.system_loop import Settings, fit

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "emoji-sample.tar"
TINY = replace(CONFIG, side=8, backbone="mlp", width=32, latent=4)


@pytest.fixture(scope="module")
def pictures():
    return load_pictures(SAMPLE, size=CONFIG.side, progress=False)


@pytest.fixture(scope="module")
def images():
    """Eight pictures, each four times."""
    return torch.rand(8, 4, 8, 8, generator=torch.Generator().manual_seed(0)).round().repeat(4, 1, 1, 1)


def test_a_prompts_drawings_have_its_word_and_are_no_people(pictures):
    found = matching(pictures, "face")
    assert len(found) >= experiments.HELD_BACK
    for number, about in enumerate(pictures.meta):
        said = "face" in " ".join([about["label"], *about["tags"]]).lower().replace("-", " ").split()
        assert not said or about["group"] == "people-body" or number in found
    assert all(pictures.meta[number]["group"] != "people-body" for number in found)
    with pytest.raises(DataError, match="0 drawings"):
        matching(pictures, "zeppelinish")


def test_a_tenth_is_held_back_and_it_is_the_same_tenth():
    seen, back = divided(range(100, 145))
    assert len(back) == 4 and sorted(seen + back) == list(range(100, 145)) and divided(range(100, 145)) == (seen, back)


def test_the_likelihood_needs_no_constant():
    x, system = torch.rand(3, 4, 8, 8), Vae(TINY)
    z = torch.randn(3, 4)
    error = (system.decode(z) - x).square().sum((1, 2, 3))
    assert torch.allclose(system.likelihood.log_prob(x, system.generator(z)), -torch.pi * error, rtol=1e-4, atol=1e-3)


def test_a_run_begins_with_the_weights_of_its_seed(images):
    first, again, other = (Run("any", "fixed", Settings(seed=seed), 5, TINY).system() for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.body[0].weight, other.body[0].weight)
    assert first.decode(first.features(images)).shape == images.shape and first.body[0].out_channels == WIDTHS[0]


def rate_after(system, images):
    return fit(system, images, Settings(epochs=100, batch=8), binarised=False).terms[-1]["rate"]


def test_the_controller_holds_the_rate_that_is_asked_for(images):
    torch.manual_seed(0)
    for target in (3.0, 9.0):
        system = RateControlledVae(TINY, replace(CONTROL, target=target, gain=0.1))
        assert rate_after(system, images) == pytest.approx(target, rel=0.25)
        assert system.weights() == {"distortion": 1.0, "rate": system.rate_weight} and system.rate_weight != CONTROL.start
        before = system.rate_weight
        system.eval().loss(images)
        assert system.rate_weight == before  # measuring moves nothing


def test_a_likelihood_averaged_over_pixels_lets_the_rate_vanish(images):
    torch.manual_seed(0)
    averaged, plain = AveragedVae(TINY), Vae(TINY)
    assert averaged.weights()["rate"] / averaged.weights()["distortion"] == 4 * 8 * 8
    assert rate_after(averaged, images) < 0.1 < 1 < rate_after(plain, images)


def test_logs_have_an_entry_an_epoch_and_belong_together(images, tmp_path):
    run = Run("any", "averaged", Settings(epochs=3, batch=8), len(images), TINY)
    found = train(run, images, images[:4], tmp_path)
    assert {len(found[name]) for name in (*experiments.LOGGED, *experiments.MEASURED)} == {3}
    for loss, kl, likelihood in zip(found["loss"], found["kl"], found["likelihood"], strict=True):
        assert loss == pytest.approx(kl - likelihood, rel=1e-4)
    assert found["objective"][-1] == pytest.approx(found["kl"][-1] - found["likelihood"][-1] / 256, rel=1e-3)
    assert (tmp_path / "model.safetensors").is_file() and found["beta"] == [256.0] * 3


def test_rows_are_the_means_of_seeds():
    run = Run("any", "fixed", Settings(epochs=2), 5, TINY)
    log = {name: [1.0, 2.0] for name in (*experiments.LOGGED, *experiments.MEASURED)} | dict.fromkeys(experiments.ENDS, 4.0)
    rows = experiments.rows_of(run, [log, log | {"kl": [3.0, 6.0], "psnr": 6.0}])
    assert [(row["epoch"], row["kl"], row["psnr"]) for row in rows] == [(1, 2.0, 5.0), (2, 4.0, 5.0)]
    assert rows[1]["kl_sd"] == pytest.approx(8**0.5) and rows[1]["loss_sd"] == 0
    assert kept(1000)[:3] == [1, 50, 100] and kept(1000)[-1] == 1000 and kept(3) == [1, 2, 3]


def test_principal_directions_keep_what_differs_most():
    means = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 5.0, 0.1, 2.0])
    found = principal(means)
    assert found.shape == (50, 2) and found.var(0).sum() > 0.99 * means.var(0).sum() and found[:, 0].var() > found[:, 1].var()


def test_the_study_from_drawings_to_document(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "train-sample-00000.tar").symlink_to(SAMPLE)
    monkeypatch.setattr(experiments, "CONFIG", replace(CONFIG, width=16))
    places = {
        "results": tmp_path / "results", "figures": tmp_path / "docs" / "pictures", "document": tmp_path / "docs" / "X.md",
    }
    rows = run_all(data, tmp_path / "runs", prompts=["face"], epochs=2, seeds=2, **places)
    assert [(row["arm"], row["epoch"]) for row in rows] == [(a, e) for a in ("fixed", "dynamic", "averaged") for e in (1, 2)]
    (path,) = newest(tmp_path / "results")["experiments"]
    with path.open() as file:
        stored = list(csv.DictReader(file))
    assert tuple(stored[0]) == COLUMNS and float(stored[2]["target"]) == CONTROL.target
    text = (tmp_path / "docs" / "X.md").read_text()
    for number, part in enumerate(text.split("](")[1:]):
        link = part.partition(")")[0]
        assert number == 0 or (tmp_path / "docs" / link).read_bytes()[:4] == b"\x89PNG", link
    assert len(list(places["figures"].iterdir())) == 5
    (tmp_path / "runs" / "face-fixed-0" / "model.safetensors").unlink()  # a second call trains nothing
    with pytest.raises(DataError, match="cannot be read"):
        run_all(data, tmp_path / "runs", prompts=["face"], epochs=2, seeds=2, **places)
    with pytest.raises(OptionError, match="at least one"):
        run_all(data, tmp_path, prompts=[], epochs=2, seeds=1, **places)


def some_rows():
    rows = []
    for prompt, shift in (("bird", 0), ("fruit", 100)):
        for arm in ("fixed", "dynamic"):
            for epoch in kept(1000):
                row = dict.fromkeys(COLUMNS, "1") | {"prompt": prompt, "arm": arm, "epoch": str(epoch), "epochs": "1000"}
                rows.append(row | {"loss": str(shift + epoch), "target": "48.0" if arm == "dynamic" else ""})
    return rows


def test_averages_are_those_of_the_rows_that_are_shown():
    rows = some_rows()
    assert sorted({int(row["epoch"]) for row in shown(rows)}) == [1, *range(100, 1001, 100)]
    lines = training_table(rows, "fruit")
    values = [float(line.split("|")[2]) for line in lines[2:]]
    assert values == [101.0, *range(200, 1101, 100)]
    values += [float(line.split("|")[2]) for line in training_table(rows, "bird")[2:]]
    loss = next(line for line in average_table(rows) if line.startswith("| loss"))
    assert float(loss.split("|")[2]) == pytest.approx(fmean(values), abs=0.01)
    assert len([line for line in experiments_table(rows) if "| bird |" in line or "| fruit |" in line]) == 4


def test_the_papers_rows_are_sums_and_its_averages_are_not_theirs():
    for rows in paper_training.TRAINING:
        assert len(rows) == 10 and all(loss == pytest.approx(kl + fit, abs=2e-4) for loss, kl, fit in rows)
    assert paper_training.averages() == pytest.approx((-37.1101, 25.0420, -62.1520), abs=1e-4)
    assert paper_training.averages()[1] != pytest.approx(paper_training.AVERAGES[1], abs=1)


def test_the_document_is_that_of_the_newest_result(tmp_path):
    committed = ROOT / "docs" / "EXPERIMENTS.md"
    options = ["--document", str(tmp_path / "EXPERIMENTS.md")]
    assert experiment_document.main(options) == 0
    assert (tmp_path / "EXPERIMENTS.md").read_text() == committed.read_text()
    assert experiment_document.main([*options, "--results", str(tmp_path)]) == 2
    with pytest.raises(InputError):
        experiment_document.write_document(tmp_path / "none.csv", tmp_path / "x.md", tmp_path)
    with pytest.raises(DataError, match="no rows"):
        experiment_document.document([], "none.csv")

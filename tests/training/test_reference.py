"""The reference runs: which networks there are, that a killed one goes on, what is measured, and the table."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.data.benchmarks import Labelled, write_benchmark
from mvae.errors import DataError, OptionError
from mvae.evaluate.miniaturisation_tables import ALL_STUDIES
from mvae.models.system import System, SystemConfig
from mvae.models.vae import Vae
from mvae.reproduce import reference, reference_measures, reference_run
from mvae.reproduce.reference_codes import vq_vae
from mvae.reproduce.reference_jobs import jobs
from mvae.reproduce.reference_measures import bits, log_likelihood
from mvae.reproduce.reference_rows import Row, agrees, rows
from mvae.reproduce.reference_run import run_job, trained
from mvae.training.system_loop import Fitted


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("benchmarks"), np.random.default_rng(0)
    for name, side, channels in (("mnist", 28, 1), ("cifar10", 32, 3)):
        split = Labelled(random.integers(0, 256, (40, side, side, channels), np.uint8), np.arange(40) % 10)
        write_benchmark(name, {"train": split, "test": split}, folder / name)
    return folder


def small(name: str):
    """A job of the study with a network and a training of seconds."""
    job = next(job for job in jobs() if job.name == name)
    phases = tuple(replace(phase, batch=20, epochs=1) for phase in job.phases[:2])
    pretraining = job.pretraining and replace(job.pretraining, batch=20, epochs=1)
    cut = {"phases": phases, "samples": min(job.samples, 20), "pretraining": pretraining, "warm_up": min(job.warm_up, 1)}
    if job.system == "vq_vae":
        return replace(job, options=job.options | {"hidden": 16, "codes": 8}, **cut)
    hidden = (24, 16) if job.config.hidden else ()
    return replace(job, config=replace(job.config, hidden=hidden, width=16), **cut)


def test_jobs_have_names_of_their_own_and_every_row_has_some():
    found = jobs()
    assert len({job.name for job in found}) == len(found) == 2 + 5 + 5 + 3 + 15 + 15 + 8
    assert {job.row for job in found} == {row.row for row in rows()}
    for d in (2, 40):
        one, other = (next(job for job in found if job.name == f"{kind}-vae-{d}-s1") for kind in "sn")
        assert one.config.latent == d + 1 and other.config.latent == d and one.phases == other.phases
    for long, brief in zip(found, jobs(short=True), strict=True):
        assert (long.name, long.row, long.seed) == (brief.name, brief.row, brief.seed)
        assert sum(phase.epochs for phase in brief.phases) <= sum(phase.epochs for phase in long.phases)
        assert brief != long


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("vae-s0", {"log_likelihood", "negative_elbo"}), ("s-vae-5-s0", {"log_likelihood", "rate"}), ("gmvae-s0", {"accuracy"}),
        ("vade-s0", {"accuracy"}), ("vq-vae-8x8x10-s0", {"bits", "codes_used"}), ("capacity-10-s0", {"rate", "off_capacity"}),
    ],
)
def test_every_kind_of_job_is_trained_and_measured(data, tmp_path, name, measures):
    found = run_job(small(name), data, tmp_path)
    assert measures | {"epoch_seconds", "device"} <= set(found)
    assert all(np.isfinite(value) for value in found.values() if not isinstance(value, str))
    if "accuracy" in found:
        assert 0.1 <= found["accuracy"] <= 1


def test_a_killed_job_goes_on_after_its_last_phase(tmp_path, monkeypatch):
    job, calls = small("vae-s0"), []

    def once(system, images, settings, **options):
        calls.append(settings.seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        with torch.no_grad():
            system.head.bias.add_(1.0)
        return Fitted([0.5], [0.0], [{}])

    monkeypatch.setattr(reference_run, "fit", once)
    with pytest.raises(KeyboardInterrupt):
        trained(job, torch.zeros(4, 1, 28, 28), tmp_path, torch.device("cpu"))
    system, seconds = trained(job, torch.zeros(4, 1, 28, 28), tmp_path, torch.device("cpu"))
    torch.manual_seed(0)
    fresh = Vae(job.config)
    assert calls == [0, 1, 1] and seconds == 0.5
    assert torch.allclose(system.head.bias, fresh.head.bias + 2)
    other, _ = trained(replace(job, seed=3), torch.zeros(4, 1, 28, 28), tmp_path, torch.device("cpu"))
    assert calls[3:] == [300, 301] and not torch.allclose(other.head.weight, system.head.weight)


def test_the_rates_weight_rises_over_all_phases_and_ends_at_one(tmp_path, monkeypatch):
    job, seen = replace(small("s-vae-2-s0"), warm_up=3), []

    def watched(system, images, settings, *, after_epoch, **options):
        seen.append(system.rate_weight)
        after_epoch(1, system)
        return Fitted([0.0], [0.0], [{}])

    monkeypatch.setattr(reference_run, "fit", watched)
    system, _ = trained(job, torch.zeros(4, 1, 28, 28), tmp_path, torch.device("cpu"))
    assert seen == [0.25, 0.5] and system.rate_weight == 1.0


def test_the_likelihood_of_some_images_stands_for_all(monkeypatch):
    torch.manual_seed(0)
    system = Vae(SystemConfig(side=8, width=16, latent=2)).eval()
    images = (torch.rand(60, 1, 8, 8) > 0.5).float()
    whole = log_likelihood(system, images, 200)
    monkeypatch.setattr(reference_measures, "COUNTED", 12)
    assert log_likelihood(system, images, 200) == pytest.approx(whole, abs=0.5)
    few = -sum(system.terms(images).values()).mean().item()
    assert whole > few - 0.5


def test_bits_count_codes_and_image():
    torch.manual_seed(0)
    system = vq_vae(SystemConfig(side=8, channels=3, latent=8, likelihood="logistic"), codes=16, hidden=16, groups=4).eval()
    images = torch.rand(6, 3, 8, 8)
    found = bits(system, images, images)
    assert found["code_bits"] == pytest.approx(2 * 2 * 4 * 4 / 192)
    distortion = system.terms(images)["distortion"].mean().item() / np.log(2) / 192
    assert found["bits"] == pytest.approx(distortion + found["code_bits"], rel=1e-4)
    assert found["codes_used"] == len(system.encode(images).unique()) and 1 <= found["perplexity"] <= found["codes_used"] + 1e-6


def test_groups_of_codes_are_chosen_apart():
    torch.manual_seed(0)
    system = vq_vae(SystemConfig(side=8, channels=3, latent=6, likelihood="logistic"), codes=5, hidden=16, groups=2)
    grid = torch.randn(3, 6, 2, 2)
    codes = system.codebook.nearest(grid)
    assert codes.shape == (3, 2, 2, 2)
    apart = torch.cdist(grid[1, 3:, 0, 1][None], system.codebook.codes)
    assert codes[1, 1, 0, 1] == apart.argmin()
    assert torch.equal(system.codebook.vectors(codes)[1, 3:, 0, 1], system.codebook.codes[apart.argmin()])
    system.train()
    passed, again = system.codebook(grid)  # the first batch gives unused codes its vectors
    assert again.shape == codes.shape and passed.shape == grid.shape and (system.codebook.codes.abs().amax(1) > 0.2).any()
    with pytest.raises(OptionError, match="multiple"):
        vq_vae(SystemConfig(latent=7), groups=2)


def test_hidden_layers_of_other_widths():
    system = System(SystemConfig(side=8, hidden=(20, 12, 30), width=30, latent=4))
    sizes = [layer.out_features for layer in system.body if isinstance(layer, torch.nn.Linear)]
    back = [layer.out_features for layer in system.generator if isinstance(layer, torch.nn.Linear)]
    assert sizes == [20, 12, 30] and back == [30, 12, 20, 64]
    for wrong in ({"hidden": (20, 12), "width": 30}, {"hidden": (30,), "width": 30, "backbone": "conv"}):
        with pytest.raises(DataError, match="with its width"):
            SystemConfig(**wrong)


def test_what_lies_within_two_standard_deviations():
    row = Row("a", "a", "log_likelihood", "nats", -90.0, 0.3)
    assert agrees(row, -90.9, 0.4, 0) == "yes" and agrees(row, -91.1, 0.4, 0) == "no" and agrees(row, -88.9, 0.4, 0) == "better"
    coded = Row("b", "b", "bits", "bits", 4.67)
    assert agrees(coded, 4.6, 0.0, 0) == "better" and agrees(coded, 5.0, 0.0, 0) == "no"
    assert agrees(Row("c", "c", "accuracy", "share", best=0.94), 0.8, 0.02, 0.93) == "yes"
    assert agrees(Row("d", "d", "accuracy", "share"), 0.8, 0.02, 0.93) == ""


def test_the_study_writes_its_table(data, tmp_path, monkeypatch):
    cut = [small(name) for name in ("vae-s0", "vae-s1", "vade-s0", "beta-4-s0", "vq-vae-8x8-s0")]
    monkeypatch.setattr(reference, "jobs", lambda *options, **more: cut)
    monkeypatch.setattr(
        reference, "run_side_by_side", lambda chosen, out, *rest: [run_job(job, data, out) for job in chosen]
    )
    asked = {"seeds": 2, "clustering_seeds": 1, "workers": 1, "results": tmp_path / "results"}
    found = reference.run_all(data, tmp_path / "out", **asked)
    assert [row["arm"] for row in found] == ["vae", "vade", "vq-vae-8x8", "beta-4"]
    assert found[0]["seeds"] == 2 and found[0]["obtained_sd"] > 0 and found[1]["pretraining_epochs"] == 1
    (path,) = (tmp_path / "results").glob("reference-arms-*.csv")
    lines = ALL_STUDIES["reference"](list(csv.DictReader(path.open(encoding="utf-8"))))
    assert len(lines) == 4 + 2 + 4 and "−86.76" in lines[6] and "codes used" in lines[8]
    assert all(row["command"].endswith("--clustering-seeds 1") for row in found)
    with pytest.raises(OptionError, match="networks"):
        reference.run_all(data, tmp_path / "out", only=["vae-s9"], **asked)
    with pytest.raises(OptionError, match="at least 1"):
        reference.run_all(data, tmp_path / "out", **asked | {"workers": 0})


def test_a_row_shows_its_full_runs_where_it_has_some(data, tmp_path, monkeypatch):
    whole, brief = [small("vae-s0"), small("beta-4-s0")], [small("vae-s0"), small("beta-4-s0")]
    brief = [replace(job, phases=job.phases[:1] * 3) for job in brief]
    monkeypatch.setattr(reference, "jobs", lambda *options, short=False: brief if short else whole)
    monkeypatch.setattr(
        reference, "run_side_by_side", lambda chosen, out, *rest: [run_job(job, data, out) for job in chosen]
    )
    asked = {"seeds": 1, "clustering_seeds": 1, "workers": 1, "results": tmp_path / "results"}

    def lengths(**further) -> list[tuple[int, bool]]:
        found = reference.run_all(data, tmp_path / "out", **asked, **further)
        return [(row["epochs"], row["command"].endswith("--short")) for row in found]

    full, few = sum(phase.epochs for phase in whole[0].phases), 3 * whole[0].phases[0].epochs
    assert lengths(short=True) == [(few, True), (few, True)]
    assert lengths(only=["vae"]) == lengths(short=True) == [(full, False), (few, True)]

"""Training of a system, and the search for its settings: what is better is found, bad trials are given up, a search goes on."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.data.benchmarks import Labelled, write_benchmark
from mvae.errors import OptionError, TrainingError
from mvae.miniaturize.sparse import UNIT_SCALE, SparseVAE
from mvae.models.system import System, SystemConfig
from mvae.reproduce import networks, tuning
from mvae.training.search import counts, given_up, search, search_with_ray
from mvae.training.system_loop import Settings, fit, held_out, rate

TINY = SystemConfig(side=8, latent=3, width=16)


def stripes(count=64):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 8, (count,), generator=generator)
    images = torch.zeros(count, 1, 8, 8)
    images[torch.arange(count), 0, rows] = 1
    return images


def test_training_lowers_what_is_held_out_and_repeats_itself():
    images, losses = stripes(), []
    for _ in range(2):
        torch.manual_seed(0)
        system = System(TINY)
        before = held_out(system, images)["negative_elbo"]
        logged = fit(system, images, Settings(epochs=30, batch=16, optimiser="adam", learning_rate=1e-2, schedule="cosine"))
        losses.append(held_out(system, images)["negative_elbo"])
        assert len(logged.seconds) == len(logged.loss) == 30 and logged.loss[-1] < logged.loss[0]
    assert losses[0] == losses[1] < 0.6 * before
    assert held_out(system, images) == held_out(system, images)


def test_rates_and_settings():
    assert rate(7, 100, "constant") == 1.0 and rate(0, 100, "cosine") == pytest.approx(0.2) and rate(99, 100, "cosine") < 0.01
    for wrong in ({"optimiser": "sgdx"}, {"schedule": "steps"}, {"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}):
        with pytest.raises(OptionError):
            Settings(**wrong)


def test_a_loss_that_is_not_finite_is_an_error():
    system = System(TINY)
    with torch.no_grad():
        system.head.bias.fill_(float("nan"))
    with pytest.raises(TrainingError):
        fit(system, stripes(), Settings(epochs=1, batch=16))


def distance(settings, report):
    """A loss whose best settings are known, falling over the epochs."""
    loss = abs(np.log10(settings.learning_rate) + 3) + (settings.optimiser != "adam")
    for epoch in range(1, settings.epochs + 1):
        if report(epoch, loss + 1 / epoch):
            raise given_up()
    return loss


def test_a_search_finds_gives_up_and_goes_on(tmp_path):
    path = tmp_path / "deep" / "study.db"
    first = Settings(epochs=4)
    search(distance, trials=8, epochs=4, storage=path, first=first)
    assert sum(counts(path).values()) == 8
    best = search(distance, trials=30, epochs=4, storage=path, first=first)
    ended = counts(path)
    assert sum(ended.values()) == 30 and ended["pruned"] > 0
    assert best.optimiser == "adam" and 3e-4 < best.learning_rate < 3e-3 and best.epochs == 4
    assert search(lambda *_: pytest.fail("tried again"), trials=30, epochs=4, storage=path) == best
    with pytest.raises(OptionError):
        search(distance, trials=0, epochs=4, storage=path)


def test_a_search_in_which_all_fails_is_an_error(tmp_path):
    def bad(settings, report):
        raise TrainingError("no")

    with pytest.raises(TrainingError):
        search(bad, trials=2, epochs=1, storage=tmp_path / "study.db")
    assert counts(tmp_path / "study.db") == {"fail": 2} and counts(tmp_path / "none.db") == {}


def test_ray_is_an_option(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match="requirements-ray"):
        search_with_ray(distance, trials=1, epochs=1, folder=tmp_path)


def test_the_penalty_makes_zeros_and_costs_likelihood():
    images, found = stripes(), {}
    for strength in (0.0, 5.0):
        torch.manual_seed(0)
        system = SparseVAE(TINY, strength)
        fit(system, images, Settings(epochs=40, batch=16, optimiser="adam", learning_rate=1e-2))
        found[strength] = (float((system.code(images, 0.1) == 0).float().mean()), held_out(system, images)["negative_elbo"])
    assert found[5.0][0] > found[0.0][0] and found[5.0][1] > found[0.0][1]
    with pytest.raises(OptionError):
        SparseVAE(TINY, -1.0)


def test_a_laplace_prior_is_one():
    torch.manual_seed(0)
    system = SparseVAE(replace(TINY, latent=1), laplace=True)
    z = torch.linspace(-30, 30, 60_001)[:, None]
    assert float(torch.trapezoid(system.prior_log_prob(z).exp(), z[:, 0])) == pytest.approx(1, abs=1e-3)
    drawn = system.sample_prior(200_000)
    assert float(drawn.abs().mean()) == pytest.approx(UNIT_SCALE, rel=0.02) and float(drawn.var()) == pytest.approx(1, rel=0.03)
    x = stripes(8)
    posterior = system.posterior(x)
    many = posterior.rsample((20_000,))
    sampled = (posterior.log_prob(many) - system.prior_log_prob(many)).mean(0)
    assert torch.allclose(system.rate(posterior, many[0]), sampled, atol=0.05)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    split = Labelled(generator.integers(0, 256, (60, 28, 28, 1), np.uint8), np.arange(60) % 10)
    write_benchmark("mnist", {"train": split, "test": split}, folder)
    return folder


def test_fixed_and_tuned_run_for_the_same_epochs(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "IMAGES", 40)
    monkeypatch.setattr(tuning, "CONFIG", SystemConfig(latent=2, width=8))
    rows = tuning.run_all(data, tmp_path, trials=2, search_epochs=1, epochs=2, seeds=2, ray=False, results=tmp_path,
                          plot=tmp_path / "plot.png")
    assert [(row["arm"], row["epoch"]) for row in rows] == [("fixed", 1), ("fixed", 2), ("tuned", 1), ("tuned", 2)]
    assert rows[0]["batch"] == 100 and rows[0]["optimiser"] == "rmsprop" and rows[0]["learning_rate"] == 1e-3
    assert (tmp_path / "plot.png").is_file() and len(list(tmp_path.glob("tuning-arms-*.csv"))) == 1
    assert tuning.epochs_to_reach(rows, "fixed", rows[1]["negative_elbo"]) in (1, 2)
    assert tuning.epochs_to_reach(rows, "tuned", -1e9) is None


def test_networks_differ_in_one_thing(data, tmp_path, monkeypatch):
    assert len({arm.name for arm in networks.networks()}) == len(networks.networks())
    monkeypatch.setattr(networks, "networks", lambda: [
        networks.Network("neurons", 8, SystemConfig(latent=2, width=8)),
        networks.Network("layers", 1, SystemConfig(latent=2, width=8, layers=1)),
    ])
    rows = networks.run_all(data, seeds=2, epochs=1, results=tmp_path)
    assert rows[1]["parameters"] == rows[0]["parameters"] - 2 * (8 * 8 + 8) and rows[0]["macs"] == rows[1]["macs"] + 2 * 64
    assert len(list(tmp_path.glob("networks-arms-*.csv"))) == 1

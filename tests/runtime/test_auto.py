"""The best model that fits a budget."""

import pytest

import mvae
from mvae.engine import auto
from mvae.errors import OptionError, UnknownModelError

BYTES = {"base-int8": 13, "small-int8": 9, "small-fp32": 28, "small-pruned": 7, "nano-int8": 5, "other-fp32": 1}


class Named:
    def __init__(self, name: str):
        self.name = name


@pytest.fixture
def zoo(monkeypatch):
    """Models of which nothing but name, bytes and a time is known."""
    monkeypatch.setattr(auto, "available", lambda folder: BYTES)
    monkeypatch.setattr(auto, "load_named", lambda name, threads, folder: Named(name))
    times = dict(zip(BYTES, (80.0, 40.0, 60.0, 30.0, 20.0, 5.0), strict=True))
    tried: list[str] = []

    def measure(model: Named) -> float:
        tried.append(model.name)
        return times[model.name]

    return lambda **budget: auto.choose(1, None, budget.get("ms"), budget.get("bytes"), measure).name, tried


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        ({}, "base-int8"), ({"ms": 100}, "base-int8"), ({"ms": 50}, "small-pruned"), ({"ms": 35}, "small-pruned"),
        ({"bytes": 9}, "small-pruned"), ({"bytes": 5}, "nano-int8"), ({"ms": 10}, "other-fp32"),
        ({"ms": 20, "bytes": 8}, "nano-int8"),
    ],
)
def test_the_best_size_that_fits_is_taken(zoo, budget, name):
    choose, _ = zoo
    assert choose(**budget) == name  # of one size the level of fewest bytes comes first


def test_without_a_budget_of_time_nothing_is_measured_and_larger_files_are_never_loaded(zoo):
    choose, tried = zoo
    choose(bytes=9)
    assert not tried
    choose(ms=25, bytes=9)
    assert tried == ["small-pruned", "small-int8", "nano-int8"]


def test_what_nothing_fits_is_said_with_what_comes_nearest(zoo):
    choose, _ = zoo
    with pytest.raises(OptionError, match=r"fastest, other-fp32, takes 5.0 ms"):
        choose(ms=1)
    with pytest.raises(OptionError, match=r"smallest here, other-fp32, has 1"):
        choose(bytes=0.5)
    for budget in ({"ms": 0}, {"bytes": -1}):
        with pytest.raises(OptionError, match="expected more than 0"):
            choose(**budget)


def test_it_measures_real_models(tiny_zoo, monkeypatch, tmp_path):
    model = mvae.load("auto", folder=tiny_zoo, max_ms=1e6)
    assert model.name == "tiny-int8" and auto.milliseconds(model) > 0
    assert mvae.load("tiny-fp32", folder=tiny_zoo).name == "tiny-fp32"
    with pytest.raises(OptionError, match="'auto' alone"):
        mvae.load("tiny-fp32", folder=tiny_zoo, max_ms=5)
    with pytest.raises(UnknownModelError):
        mvae.load("auto", folder=tmp_path)

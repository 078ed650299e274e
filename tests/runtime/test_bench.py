"""The benchmark's arithmetic, and that models really take turns with ever new inputs."""

import datetime
import math

import pytest
from PIL import Image

from mvae import bench, machine
from mvae.engine.sticker import Sticker
from mvae.errors import OptionError


class Recorded:
    """Stands for a model; writes down what it is asked."""

    threads = 1

    def __init__(self, name, log):
        self.name, self.bytes, self.log, self.calls = name, 1000, log, 0

    def generate(self, prompt, style, seed):
        self.log.append((self.name, prompt, style, seed))
        self.calls += 1
        return Sticker(Image.new("RGBA", (4, 4)), (0,), "0", {"text": 1.0, "tokens": float(self.calls), "decode": 3.0})

    def encode(self, image):
        return (0,)


@pytest.fixture
def log():
    return []


def test_models_take_turns_and_warm_up_does_not_count(log):
    found = bench.measure([Recorded("a", log), Recorded("b", log)], 5)
    assert [entry[0] for entry in log] == ["a", "b"] * (5 + bench.WARM_UP)
    assert [model["name"] for model in found] == ["a", "b"]
    first = bench.WARM_UP + 1
    assert found[0]["tokens_ms"] == {"p50": first + 2, "p95": pytest.approx(first + 3.8)}
    assert found[0]["text_ms"] == {"p50": 1.0, "p95": 1.0}


def test_no_round_repeats_another(log):
    rounds = math.lcm(len(bench.PROMPTS), len(bench.STYLES))
    bench.measure([Recorded("a", log)], rounds - bench.WARM_UP)
    assert len({entry[1:3] for entry in log}) == len({entry[3] for entry in log}) == rounds


def test_further_measurements_join_the_rounds(log):
    found = bench.measure([Recorded("a", log)], 3, extra=lambda model, turn: {"other_ms": 7.0 + turn})
    assert found[0]["other_ms"] == {"p50": 7.0 + bench.WARM_UP + 1, "p95": pytest.approx(7.0 + bench.WARM_UP + 1.9)}
    assert list(found[0]) == ["name", "bytes", *bench.STAGES, "other_ms"]


@pytest.mark.parametrize("repeat", [0, -1, 1.5, None, 10**6])
def test_repeats_out_of_range(repeat, log):
    with pytest.raises(OptionError, match="repeat"):
        bench.measure([Recorded("a", log)], repeat)
    assert log == []


def test_names_of_results():
    day = datetime.date(2026, 3, 4)
    assert bench.result_name("Intel(R) Xeon(R) CPU @ 2.20GHz", day) == "bench-intel-r-xeon-r-cpu-2-20ghz-2026-03-04.csv"
    assert bench.result_name("", day) == "bench-unknown-2026-03-04.csv"


def test_table(log):
    found = bench.report([Recorded("a", log), Recorded("b", log)], 1)
    header, *rows = bench.to_csv(found, datetime.date(2026, 3, 4), "python -m mvae bench").splitlines()
    columns = header.split(",")
    assert columns[:4] == ["model", "bytes", "text_ms_p50", "text_ms_p95"] and len(rows) == 2
    row = dict(zip(columns, rows[0].split(","), strict=True))
    assert (row["model"], row["bytes"], row["text_ms_p50"], row["date"], row["repeat"]) == ("a", "1000", "1.0", "2026-03-04", "1")
    assert row["command"] == "python -m mvae bench" and row["cpu"]


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx2 fma\nmodel name\t: other\nflags\t: avx512_vnni\n", "AMD EPYC (AVX2)"),
        ("model name : Some CPU @ 2.20GHz\nflags : avx2 avx512f avx512_vnni\n", "Some CPU @ 2.20GHz (AVX512-VNNI)"),
        ("model name : Old CPU\nflags : sse2\n", "Old CPU"),
    ],
)
def test_a_machine_is_named_with_its_arithmetic(cpuinfo, name, monkeypatch):
    monkeypatch.setattr(machine, "_facts", lambda: machine.facts_of(cpuinfo))
    assert machine.cpu_name() == name
    assert machine.slug(name).replace("-", "").isalnum() and machine.slug(name) == machine.slug(name).lower().strip("-")

"""What is read of the processor, and what follows from it."""

import pytest

from mvae import machine
from mvae.engine.sessions import EXACT_INT8, int8_settings


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Pretends that Linux says this of the processor."""

    def pretend(flags: str) -> None:
        path = tmp_path / "cpuinfo"
        path.write_text(f"processor\t: 0\nmodel name\t: Test 9\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\nflags\t\t: none\n")
        monkeypatch.setattr(machine, "CPUINFO", path)
        machine._facts.cache_clear()

    yield pretend
    machine._facts.cache_clear()


@pytest.mark.parametrize(
    ("flags", "name", "exact"),
    [("avx2 avx512f avx512_vnni", "Test 9 (AVX512-VNNI)", True), ("avx2 avx_vnni", "Test 9 (AVX-VNNI)", True),
     ("avx2 avx512f", "Test 9 (AVX512)", False), ("avx2", "Test 9 (AVX2)", False), ("sse2", "Test 9", False)],
)
def test_int8_is_made_exact_where_the_processor_is_not(processor, flags, name, exact):
    processor(flags)
    assert machine.cpu_name() == name and machine.has_int8_products() == exact
    assert int8_settings() == ([] if exact else [EXACT_INT8])


def test_an_unknown_processor_is_not_trusted(processor, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "nothing")
    machine._facts.cache_clear()
    assert not machine.has_int8_products() and int8_settings() == [EXACT_INT8]

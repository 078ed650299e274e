"""What a figure was measured on: the processor's name and the arithmetic it has. Imports neither torch nor numpy."""

import platform
import re
from functools import cache
from pathlib import Path

_ARITHMETIC = (("avx512_vnni", "AVX512-VNNI"), ("avx_vnni", "AVX-VNNI"), ("avx512f", "AVX512"), ("avx2", "AVX2"))
"""Flags and their names, best first: with 8-bit dot products int8 is several times as fast as without, under one product name."""
CPUINFO = Path("/proc/cpuinfo")


def cpu_name() -> str:
    """For example ``AMD EPYC 9B14 (AVX512-VNNI)``."""
    facts = _facts()
    found = next((name for flag, name in _ARITHMETIC if flag in _flags(facts)), None)
    model = facts.get("model name") or platform.processor() or platform.machine()
    return f"{model} ({found})" if found else model


def has_int8_products() -> bool:
    """Whether this processor is known to multiply 8-bit numbers into 32-bit sums: False where nothing says so."""
    return any("VNNI" in name and flag in _flags(_facts()) for flag, name in _ARITHMETIC)


@cache
def _facts() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        return facts_of(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def facts_of(cpuinfo: str) -> dict[str, str]:
    """Field → what it says of the first processor in the text of ``/proc/cpuinfo``."""
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    return facts


def _flags(facts: dict[str, str]) -> list[str]:
    return (facts.get("flags") or facts.get("features") or "").split()


def slug(cpu: str) -> str:
    """A processor's name as a part of file names: ``amd-epyc-9b14-avx512-vnni``."""
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") or "unknown"

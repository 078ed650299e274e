"""What a figure was measured on: the processor's name and the arithmetic it has. Imports neither torch nor numpy."""

import platform
import re
from pathlib import Path

_ARITHMETIC = (("avx512_vnni", "AVX512-VNNI"), ("avx_vnni", "AVX-VNNI"), ("avx512f", "AVX512"), ("avx2", "AVX2"))
"""Flags and their names, best first: with 8-bit dot products int8 is several times as fast as without, under one product name."""


def cpu_name() -> str:
    """For example ``AMD EPYC 9B14 (AVX512-VNNI)``."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []  # not Linux
    facts: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    flags = (facts.get("flags") or facts.get("features") or "").split()
    found = next((name for flag, name in _ARITHMETIC if flag in flags), None)
    model = facts.get("model name") or platform.processor() or platform.machine()
    return f"{model} ({found})" if found else model


def slug(cpu: str) -> str:
    """A processor's name as a part of file names: ``amd-epyc-9b14-avx512-vnni``."""
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") or "unknown"

"""Where a compression level does not keep its promise: it is not smaller than the level before it, or it is slower.

Bytes are the manifests'; times are those of the newest ``python -m mvae bench`` in ``zoo/results``. Nothing is said of what was
not measured.
"""

from collections.abc import Mapping
from pathlib import Path

from zoo.newest import newest_rows, total_times

ORDER = ("fp32", "fp16", "int8", "pruned")
"""From the reference to the smallest."""
RESULTS = Path(__file__).resolve().parent / "results"
SLOWER = 1.05
"""Ratio of medians above which a level counts as slower: medians of one run differ by less by chance."""


def bench_times(folder: Path = RESULTS) -> dict[str, float]:
    """Model → milliseconds from prompt to PNG (median) in the newest bench file, or nothing."""
    return total_times(newest_rows(folder, "bench"))


def shortcomings(sizes: Mapping[str, int], times: Mapping[str, float]) -> dict[str, list[str]]:
    """Model → what is to be said against it, beside the levels of its own size. ``sizes``: model (``small-int8``) → bytes."""
    found: dict[str, list[str]] = {}
    for name in sizes:
        size, level = name.rsplit("-", 1)
        before = [f"{size}-{other}" for other in ORDER[: ORDER.index(level)]] if level in ORDER else []
        before = [other for other in before if other in sizes]
        notes = [f"not smaller than {other}" for other in before if sizes[name] >= sizes[other]]
        slower = [other for other in before if name in times and other in times and times[name] > SLOWER * times[other]]
        notes += [f"slower than {other} ({times[name]:.0f} against {times[other]:.0f} ms)" for other in slower]
        if notes:
            found[name] = notes
    return found

"""What has been measured by commands of this repository: the newest results of each kind, read from their CSV files."""

from dataclasses import dataclass
from pathlib import Path

from zoo.newest import newest_rows, read_rows, total_times


@dataclass(frozen=True)
class Point:
    """One model of the plot."""

    name: str
    bytes: int
    milliseconds: float | None
    """Prompt → PNG, median, one thread; None: not measured."""
    quality: float | None
    """CGA of trained concepts, 0 … 1; None: not measured."""


def qualities(folder: Path) -> dict[str, float]:
    """Model → CGA over all trained concepts, of every model that was evaluated."""
    found = {}
    for path in sorted(folder.glob("evaluate-*.csv"), key=lambda path: path.stem[-10:]):
        rows = read_rows(path)
        name = next((row["value"] for row in rows if row["measure"] == "model"), None)
        for row in rows:
            if name and row["measure"] == "cga" and (row["concepts"], row["style"], row["group"]) == ("trained", "all", "all"):
                found[name] = float(row["value"])
    return found


def latencies(folder: Path) -> tuple[dict[str, float], str]:
    """Model → milliseconds of the newest ``bench``, and the processor that it ran on ("" where there is none)."""
    rows = newest_rows(folder, "bench")
    return total_times(rows), rows[0]["cpu"] if rows else ""

"""What has been measured by commands of this repository: the newest results of each kind, read from their CSV files."""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """One model of the plot."""

    name: str
    bytes: int
    milliseconds: float | None
    """Prompt → PNG, median, one thread; None: not measured."""
    quality: float | None
    """CGA of trained concepts, 0 … 1; None: not measured."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def newest(folder: Path, kind: str) -> Path | None:
    """The file of a kind whose name ends with the latest date, if there is one."""
    return max(folder.glob(f"{kind}-*.csv"), key=lambda path: (path.stem[-10:], path.name), default=None)


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
    path = newest(folder, "bench")
    rows = read_rows(path) if path else []
    return {row["model"]: float(row["total_ms_p50"]) for row in rows}, rows[0]["cpu"] if rows else ""

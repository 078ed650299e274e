"""The newest result of a kind in a folder of result files, read without anything but the standard library."""

import csv
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def newest_rows(folder: Path, kind: str) -> list[dict[str, str]]:
    """Rows of the file of a kind whose name ends with the latest date; none where there is no such file."""
    path = max(folder.glob(f"{kind}-*.csv"), key=lambda path: (path.stem[-10:], path.name), default=None)
    return [] if path is None else read_rows(path)


def total_times(rows: list[dict[str, str]]) -> dict[str, float]:
    """Of rows of ``bench``: model → milliseconds from prompt to PNG (median)."""
    return {row["model"]: float(row["total_ms_p50"]) for row in rows}

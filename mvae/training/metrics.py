"""Training metrics as CSV, one row per logging interval; a resumed run drops rows past its checkpoint and goes on."""

import csv
import io
import math
from pathlib import Path

from mvae.files import write_atomic


class MetricsLog:
    """Averages what it is given and appends rows; every row is flushed at once."""

    def __init__(self, path: Path, first_step: int):
        self.path = path
        self.sums: dict[str, float] = {}
        self.count = 0
        self.columns: list[str] | None = None
        if path.exists():
            with open(path, newline="") as file:
                rows = [row for row in csv.DictReader(file) if row.get("step") and int(row["step"]) <= first_step]
            if first_step and rows:
                self.columns = list(rows[0])
                text = io.StringIO()
                writer = csv.DictWriter(text, self.columns)
                writer.writeheader()
                writer.writerows(rows)
                write_atomic(path, text.getvalue().encode())
            else:
                path.unlink()

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def write(self, step: int, extra: dict[str, float]) -> dict[str, float]:
        """Append the averages since the last row; ``extra`` values are taken as they are. Returns the row."""
        row: dict[str, float] = {"step": step, **{n: v / max(1, self.count) for n, v in self.sums.items()}, **extra}
        self.sums, self.count = {}, 0
        new = self.columns is None
        self.columns = self.columns or list(row)
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore", restval="")
            if new:
                writer.writeheader()
            writer.writerow({n: f"{v:.6g}" if isinstance(v, float) and math.isfinite(v) else v for n, v in row.items()})
        return row


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The rows that :class:`MetricsLog` wrote, oldest first."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))

"""What a run's controllers did: every weight that moved, and every quantity, against steps.

    python -m mvae.training.plot_metrics runs/small/vae --out runs/small/vae/metrics.png
"""

import argparse
import sys
from pathlib import Path

from mvae.errors import DataError, MvaeError
from mvae.files import write_figure
from mvae.training.metrics import read_metrics

LOGARITHMIC = ("beta", "weight_", "learning_rate")
"""Names, or their beginnings, that are shown on a logarithmic axis: weights move by factors."""
LEFT_OUT = ("step", "seconds_per_step")


def draw(folder: Path, out: Path) -> list[str]:
    """One PNG with a panel for each column of ``metrics.csv`` that changes. Returns their names.

    Raises :class:`DataError` where there is no such file, or nothing in it changes.
    """
    from matplotlib.figure import Figure

    path = folder / "metrics.csv"
    if not path.is_file():
        raise DataError(f"{path}: not found; expected the folder of a run's stage")
    rows = read_metrics(path)
    columns = {}
    for name in rows[0] if rows else ():
        values = [float(row[name]) for row in rows if row.get(name)]
        if name not in LEFT_OUT and len(values) == len(rows) and len(set(values)) > 1:
            columns[name] = values
    if not columns:
        raise DataError(f"{path}: {len(rows)} rows in which nothing changes; expected a run of some steps")
    steps, across = [float(row["step"]) for row in rows], 3
    down = -(-len(columns) // across)
    figure = Figure(figsize=(4.2 * across, 2.3 * down), dpi=90, layout="constrained")
    for axes, (name, values) in zip(figure.subplots(down, across, squeeze=False).flat, columns.items(), strict=False):
        axes.plot(steps, values, linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
        if name.startswith(LOGARITHMIC) and min(values) > 0:
            axes.set_yscale("log")
    write_figure(figure, out)
    return list(columns)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.training.plot_metrics", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="OUT/vae or OUT/seq2seq of a run")
    parser.add_argument("--out", type=Path, help="default: metrics.png in the folder")
    args = parser.parse_args(argv)
    try:
        print(", ".join(draw(args.folder, args.out or args.folder / "metrics.png")))
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

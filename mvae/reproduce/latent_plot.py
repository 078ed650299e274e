"""The picture of the latent study: what a judge still recognises against the tokens that a seq2seq must write."""

import io
from pathlib import Path

from mvae.files import write_atomic

WANTED = 0.75
"""Share of the real drawings' score that the latent should keep."""


def draw(rows: list[dict], path: Path) -> None:
    """One PNG: token ceiling over real ceiling, and PSNR, both against tokens an image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=110, layout="constrained")
    for axes, name, title in zip(
        figure.subplots(1, 2), ("of_real_ceiling", "psnr"), ("token ceiling / real ceiling, never-seen concepts", "PSNR, dB"),
        strict=True,
    ):
        axes.scatter([row["tokens"] for row in rows], [row[name] for row in rows], s=28)
        for row in rows:
            axes.annotate(row["arm"], (row["tokens"], row[name]), textcoords="offset points", xytext=(5, 4), fontsize=8)
        axes.set(xlabel="tokens an image", title=title)
        axes.grid(alpha=0.3)
        if name == "of_real_ceiling":
            axes.axhline(WANTED, linestyle="--", linewidth=1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())

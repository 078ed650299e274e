"""The picture of the latent study: what a judge still recognises against the tokens that a seq2seq must write."""

from pathlib import Path

from mvae.files import write_figure

WANTED = 0.75
"""Share of the real drawings' score that the latent should keep."""


def _label(axes, rows: list[dict], name: str) -> None:
    """Names beside their points; where several share a token count, one below the other with a line to the point."""
    values = [row[name] for row in rows]
    apart = 0.052 * (max(values) - min(values))
    for tokens in {row["tokens"] for row in rows}:
        height = -float("inf")
        for row in sorted((row for row in rows if row["tokens"] == tokens), key=lambda row: row[name]):
            height = max(row[name], height + apart)
            axes.annotate(
                row["arm"], (tokens, row[name]), xytext=(tokens + 9, height), fontsize=8, va="center",
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "0.6", "relpos": (0, 0.5)},
            )
    axes.set_xlim(50, max(row["tokens"] for row in rows) * 1.22)


def draw(rows: list[dict], path: Path) -> None:
    """One PNG: token ceiling over real ceiling, and PSNR, both against tokens an image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 5), dpi=110, layout="constrained")
    for axes, name, title in zip(
        figure.subplots(1, 2), ("of_real_ceiling", "psnr"), ("token ceiling / real ceiling, never-seen concepts", "PSNR, dB"),
        strict=True,
    ):
        axes.scatter([row["tokens"] for row in rows], [row[name] for row in rows], s=22, zorder=3)
        _label(axes, rows, name)
        axes.set(xlabel="tokens an image", title=title)
        axes.grid(alpha=0.3)
        if name == "of_real_ceiling":
            axes.axhline(WANTED, linestyle="--", linewidth=1)
    write_figure(figure, path)

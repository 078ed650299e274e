"""Table 9: what was measured of every system, and what the paper claims. A press on a column's head sorts by it."""

from dataclasses import dataclass
from html import escape

from mvae.engine.system_titles import DATA_TITLES, SYSTEM_TITLES


@dataclass(frozen=True)
class Column:
    """One measure."""

    name: str
    """Of the CSV; its standard deviation over seeds is ``<name>_sd``."""
    title: str
    unit_name: str
    tip: str
    digits: int = 2
    unit: float = 1.0
    """What the stored value is divided by before it is shown."""
    better: int = 0
    """1: higher is better, −1: lower is, 0: neither."""


CLAIMED = Column("claimed", "claimed", "%", "What the paper prints; it does not define it. Not measured here.", 1)
COLUMNS = (
    CLAIMED,
    Column("cga", "CGA", "%", "Pictures sampled for a class that an independent classifier gives to that class", 1, 0.01, 1),
    Column("words_cga", "from words", "%", "The same, drawn from words by the system's own seq2seq", 1, 0.01, 1),
    Column("coverage", "coverage", "", "Share of real images with a sampled one among their nearest neighbours", 3, 1, 1),
    Column("density", "density", "", "How densely samples lie where real images are", 3, 1, 1),
    Column("frechet", "Fréchet", "", "Distance of samples and real images in the classifier's features", 2, 1, -1),
    Column("psnr", "PSNR", "dB", "Of reconstructed test images", 2, 1, 1),
    Column("negative_elbo", "−ELBO", "nats", "Bound of the test images' negative log-likelihood, where it is defined", 1, 1, -1),
    Column("bits_per_dim", "bits", "a value", "The same in bits for each value of a pixel", 3, 1, -1),
    Column("latent_accuracy", "latent", "%", "Test images classified right from their frozen latents", 1, 0.01, 1),
    Column("probe_accuracy", "probe", "%", "The same by a linear classifier", 1, 0.01, 1),
    Column("clustering_accuracy", "clusters", "%", "Test images right when every cluster is given its best class", 1, 0.01, 1),
    Column("epoch_seconds", "epoch", "s", "Seconds of training for each epoch", 2, 1, -1),
    Column("parameters", "weights", "k", "Thousands of trained numbers", 0, 1e3, -1),
    Column("bytes", "size", "kB", "Exported graphs", 0, 1e3, -1),
    Column("encode_ms", "encode", "ms", "Image to latent, one at a time, one thread", 2, 1, -1),
    Column("decode_ms", "decode", "ms", "Latent to image, one at a time, one thread", 2, 1, -1),
)


def system_table(rows: list[dict[str, str]], data: str) -> str:
    """Rows of ``reproduce table9`` for one data set; columns that no row has are left out, the best of a column is bold."""
    if not rows:
        return (
            f'<div class="hint">Table 9 has not been measured on {DATA_TITLES.get(data, escape(data))} yet: '
            f"<code>python -m mvae reproduce table9</code>.</div>"
        )
    columns = [column for column in COLUMNS if any(_number(row, column.name) is not None for row in rows)]
    best = {column.name: _best(rows, column) for column in columns}
    heads = '<th aria-sort="none" data-first="ascending"><button type="button">system<small></small></button></th>' + "".join(
        f'<th aria-sort="none" data-first="{"ascending" if column.better < 0 else "descending"}"{_claimed(column)}>'
        f'<button type="button" data-tip="{escape(column.tip)}">{column.title}<small>{column.unit_name}</small></button></th>'
        for column in columns
    )
    body = ""
    for place, row in enumerate(rows):
        title = SYSTEM_TITLES.get(row.get("system", ""), row.get("system", ""))
        cells = "".join(_cell(row, column, best[column.name]) for column in columns)
        body += f'<tr><td data-value="{place}">{escape(title)}</td>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="figures sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
        f"{_note(rows)}"
    )


def _note(rows: list[dict[str, str]]) -> str:
    seeds = sorted({row["seeds"].removesuffix(".0") for row in rows if row.get("seeds")})
    real = [value for value in (_number(row, "real_accuracy") for row in rows) if value is not None]
    ceiling = f" Of real test images it gives {max(real):.1%} to their class: the ceiling." if real else ""
    runs = f"{' or '.join(seeds)} seed{'' if seeds == ['1'] else 's'} a row, mean ± standard deviation" if seeds else ""
    where = f" Measured on {escape(rows[0]['cpu'])}" if rows[0].get("cpu") else ""
    how = f" by <code>{escape(rows[0]['command'])}</code>" if rows[0].get("command") else ""
    return (
        '<div class="hint reading"><p><b>How to read it.</b> All systems have the same network, images and number of epochs'
        f"{'; ' + runs if runs else ''}. CGA is the share of pictures, sampled for a class, that an independent classifier gives "
        f"to that class.{ceiling} A system can score there by drawing the same good picture again and again: coverage says "
        "whether it does. Bold is the best of a column; a dash is a measure that the system does not have. Press a head to "
        "sort.</p>"
        "<p><b>Claimed</b> is the percentage that the paper prints. It does not say how it was measured, and calls it "
        "once the accuracy of generated images and once classification accuracy: it stands beside our figures, and is not "
        f"one of them.</p>{f'<p>{where.strip()}{how}.</p>' if where else ''}</div>"
    )


def _claimed(column: Column) -> str:
    return ' class="claimed"' if column is CLAIMED else ""


def _best(rows: list[dict[str, str]], column: Column) -> float | None:
    """The best value as it is shown; None where there is nothing to win."""
    values = [value for value in (_shown(row, column) for row in rows) if value is not None]
    if not column.better or len(set(values)) < 2:
        return None
    return max(values) if column.better > 0 else min(values)


def _cell(row: dict[str, str], column: Column, best: float | None) -> str:
    value = _shown(row, column)
    if value is None:
        return f"<td{_claimed(column)}>–</td>"
    spread = _number(row, f"{column.name}_sd")
    around = f"<small>± {spread / column.unit:,.{column.digits}f}</small>" if spread else ""
    text = f"{value:,.{column.digits}f}"
    return f'<td data-value="{value}"{_claimed(column)}>{f"<b>{text}</b>" if value == best else text}{around}</td>'


def _shown(row: dict[str, str], column: Column) -> float | None:
    value = _number(row, column.name)
    return None if value is None else round(value / column.unit, column.digits)


def _number(row: dict[str, str], name: str) -> float | None:
    """None where the cell is missing, empty or no number."""
    try:
        value = float(row.get(name) or "nan")
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None

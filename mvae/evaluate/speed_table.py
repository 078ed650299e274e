"""The README's table of ``python -m mvae reproduce speed``, in Markdown. Needs neither torch nor numpy."""

from mvae.evaluate.study_tables import Rows, table


def speed_table(rows: Rows) -> list[str]:
    """A row a system: seconds of an epoch of our loop and of pythae's trainer, and their ratio."""
    first = rows[0]
    loads = sorted({f"{float(row['load_average']):.1f}" for row in rows if row["load_average"]}, key=float)
    load = f", load average {loads[0]} to {loads[-1]}" if loads else ""
    where = f"{first['cpu']}, one thread" if first["device"] == "cpu" else "the GPU"
    about = (
        f"Seconds of an epoch of {int(first['images']):,} binary images of MNIST, batch {first['batch']}, Adam; the same network "
        "(the VQ-VAE's convolutions, two layers of 400 elsewhere), processes that take turns epoch by epoch, on "
        f"{where}{load}; torch {first['torch']}, pythae {first['pythae']}. Medians of {_range(rows, 'epochs')} epochs after one "
        "that is not counted; in brackets the ratios of single turns. Of pythae only the steps are timed, without its progress "
        "bar, evaluation, checkpoints and copy of the best model. vq_vae_bf16 is ours in mixed precision (bfloat16 layers, "
        "float32 weights and losses) beside pythae's, which has none."
    )
    head = ["system", "parameters", "ours, s", "pythae, s", "ratio", "single turns"]
    body = [
        [
            row["arm"], f"{float(row['parameters']) / 1e3:.0f} k", f"{float(row['ours_s']):.3f}", f"{float(row['pythae_s']):.3f}",
            f"{float(row['ratio']):.2f}", f"{float(row['ratio_low']):.2f} … {float(row['ratio_high']):.2f}",
        ]
        for row in rows
    ]
    return ["### An epoch beside pythae", "", about, "", *table(head, body)]


def _range(rows: Rows, name: str) -> str:
    values = sorted({int(row[name]) for row in rows})
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"

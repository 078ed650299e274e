"""The README's tables of the comparison of systems, in Markdown. Needs neither torch nor numpy."""

from mvae.evaluate.study_tables import Rows, table

_WITHIN = {"yes": "yes", "better": "better", "no": "no", "": "–"}


def reference_table(rows: Rows) -> list[str]:
    """``reproduce reference``: published settings, obtained and published figures."""
    about = (
        "Published settings, mean ± standard deviation over seeds; likelihoods in nats of MNIST binarised by chance, accuracies "
        "of clusters matched one to one with classes, on test images. Clustering: median over seeds, mean in brackets; published "
        "is the best run of VaDE, the mean of GMVAE. Within: two standard deviations of both, ours unknown where there is one "
        "seed. Epochs in brackets are those of the autoencoder alone. All runs are shorter than the published ones. Seconds of "
        "an epoch: as it went, other networks being trained beside; they compare nothing."
    )
    head = [
        "system", "units", "obtained", "best", "published", "published best", "within", "seeds", "epochs", "batch", "s an epoch",
        "remarks",
    ]
    body = [
        [
            row["about"], row["network"], _obtained(row), _figure(row, "best") if row["measure"] == "accuracy" else "–",
            _published(row), _figure(row, "reference_best"), _WITHIN[row["within"]], row["seeds"],
            row["epochs"] + (f" ({row['pretraining_epochs']})" if row["pretraining_epochs"] != "0" else ""), row["batch"],
            f"{float(row['epoch_seconds']):.1f}", _remarks(row),
        ]
        for row in rows
    ]
    return ["### Published settings, obtained and published figures", "", about, "", *table(head, body)]


def _digits(row: dict[str, str]) -> int:
    return {"accuracy": 3, "bits": 3}.get(row["measure"], 2)


def _figure(row: dict[str, str], name: str) -> str:
    return f"{float(row[name]):.{_digits(row)}f}".replace("-", "−") if row[name] else "–"


def _spread(row: dict[str, str], name: str) -> str:
    return f" ± {_figure(row, f'{name}_sd')}" if row[f"{name}_sd"] and float(row[f"{name}_sd"]) else ""


def _obtained(row: dict[str, str]) -> str:
    mean = _figure(row, "obtained") + _spread(row, "obtained")
    return f"{_figure(row, 'median')} ({mean})" if row["measure"] == "accuracy" else f"{mean}{_unit(row)}"


def _published(row: dict[str, str]) -> str:
    return _figure(row, "reference") + _spread(row, "reference")


def _unit(row: dict[str, str]) -> str:
    return {"bits": " bits a dimension", "negative_elbo": " (−ELBO)"}.get(row["measure"], "")


def _remarks(row: dict[str, str]) -> str:
    parts = [row["note"]] if row["note"] else []
    if row["images"]:
        parts.append(f"{int(row['images']):,} training images")
    if row["codes_used"]:
        parts.append(f"{float(row['codes_used']):.0f} codes used, perplexity {float(row['perplexity']):.0f}; "
                     f"{float(row['code_bits']):.3f} of the bits are the codes'")
    elif row["rate"]:
        parts.append(f"rate {float(row['rate']):.2f}, distortion {float(row['distortion']):.2f}")
    return "; ".join(parts)


SYSTEM_STUDIES = {"reference": reference_table}
"""By the first word of a result file's name."""

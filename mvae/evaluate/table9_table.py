"""The README's Table 9, in Markdown. Needs neither torch nor numpy."""

from mvae.engine.system_titles import DATA_TITLES, SYSTEM_TITLES
from mvae.evaluate.study_tables import Rows, table

HEAD = [
    "system", "claimed, %", "CGA", "coverage", "density", "Fréchet", "−ELBO, nats", "PSNR, dB", "latent accuracy", "linear probe",
    "clusters", "s an epoch", "claimed, s", "parameters", "kB", "encode, ms", "decode, ms",
]


def table9_table(rows: Rows) -> list[str]:
    """``reproduce table9``: a table a data set, the paper's claims beside."""
    lines = ["### Table 9: nine systems, the same network, images and epochs", ""]
    for data in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == data]
        first = mine[0]
        about = (
            f"{DATA_TITLES[data]}, {first['images']} images, {first['epochs']} epochs, {first['seeds']} "
            f"seed{'s' if first['seeds'] != '1' else ''}. CGA: share of the pictures sampled for a class that an independent "
            f"classifier takes for it, which names {float(first['real_accuracy']):.3f} of real test images rightly. All are "
            "sampled by a mixture of Gaussians a class in latent space; the mVAE in its second row by its own seq2seq, from "
            "words, with guidance, and where classes are much alike as the one of a few candidates that it takes most for "
            "its class. All is measured on the exported graphs, whose weights have eight bits; times are of one picture on one "
            "thread. *Claimed* is what the paper prints, of what is not said."
        )
        body = []
        for row in mine:
            body.append(_line(row))
            if row["words_cga"]:
                body.append(_line(row, "words_"))
        lines += [about, "", *table(HEAD, body), ""]
    return lines[:-1]


def _line(row: dict[str, str], sampler: str = "") -> list[str]:
    """One sampler's line; what does not depend on it stands in the first."""
    title = SYSTEM_TITLES[row["system"]]
    drawn = [_spread(row, f"{sampler}{name}", digits) for name, digits in (("cga", 3), ("coverage", 3), ("density", 2),
                                                                          ("frechet", 1))]
    if sampler:
        return [f"{title}, from words", "", *drawn, *[""] * 11]
    return [
        title, f"*{row['claimed']}*" if row["claimed"] else "–", *drawn,
        _spread(row, "bits_per_dim", 3) + " bits" if row["bits_per_dim"] else _spread(row, "negative_elbo", 1),
        _spread(row, "psnr", 2), _spread(row, "latent_accuracy", 3), _spread(row, "probe_accuracy", 3),
        _spread(row, "clustering_accuracy", 3), f"{float(row['epoch_seconds']):.1f}" if row["epoch_seconds"] else "–",
        f"*{row['claimed_seconds']}*" if row["claimed_seconds"] else "–",
        f"{int(row['parameters']) / 1e3:.0f} k", f"{int(row['bytes']) / 1e3:.0f}", f"{float(row['encode_ms']):.3f}",
        f"{float(row['decode_ms']):.3f}",
    ]


def _spread(row: dict[str, str], name: str, digits: int) -> str:
    if not row[name]:
        return "–"
    spread = float(row[f"{name}_sd"] or 0)
    around = f" ± {spread:.{digits}f}" if row["seeds"] != "1" else ""
    return f"{float(row[name]):.{digits}f}{around}".replace("-", "−")

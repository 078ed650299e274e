"""``python -m mvae.evaluate.experiment_document``: docs/EXPERIMENTS.md, written from the newest result of ``reproduce
experiments``: the paper's Experiments 1-4 rerun, Tables 1-8, Figures 6-14. Needs neither torch nor numpy.
"""

import argparse
import csv
import os
import sys
from math import exp
from pathlib import Path
from statistics import fmean
from textwrap import wrap

from mvae.errors import DataError, InputError, MvaeError
from mvae.evaluate.experiment_tables import (
    ORDINALS,
    arms_of,
    average_table,
    claims_table,
    last_of,
    prompts_of,
    seconds_table,
    settings_table,
    training_table,
)
from mvae.evaluate.paper_training import AVERAGES, TRAINING, averages
from mvae.evaluate.results import ROOT, newest
from mvae.evaluate.study_tables import Rows, table
from mvae.files import write_atomic


def document(rows: Rows, source: str, figures: str = "experiments") -> str:
    """The whole text. ``source``: the CSV's name; ``figures``: folder of the pictures, as seen from the document.

    Raises :class:`DataError` without rows."""
    if not rows:
        raise DataError(f"{source}: no rows; expected those of `python -m mvae reproduce experiments`")
    lines = [
        "# The paper's experiments, rerun", "",
        *_paragraph(
            f"Written by `python -m mvae.evaluate.experiment_document` from [{source}](../zoo/results/{source}), which "
            f"`{rows[0]['command']}` measured on {rows[0]['cpu']}. What the paper says is marked as claimed."
        ), "",
        *_claims(), "", *_protocol(rows), "", *_findings(rows), "",
    ]
    for place, prompt in enumerate(prompts_of(rows)):
        ordinal = ORDINALS[place] if place < len(ORDINALS) else f"{place + 1}."
        lines += [
            f"## {ordinal} experiment: {prompt}", "",
            f"Table {place + 1}. Means of an epoch's training batches, nats an image.", "", *training_table(rows, prompt), "",
            f"![Loss graphs of {prompt}]({figures}/training-{prompt}.png)", "",
            f"![Latent spaces of {prompt}]({figures}/latent-{prompt}.png)", "",
            f"![Drawings and samples of {prompt}]({figures}/pictures-{prompt}.png)", "",
        ]
    return "\n".join([
        *lines, "## Averages", "", "Table 5. Means of all rows of the tables above.", "", *average_table(rows), "",
        f"![All experiments averaged]({figures}/average.png)", "", "## Time", "",
        *_paragraph(
            "Table 6. Seconds of the whole training on one thread, without the measuring after each epoch; in brackets what the "
            "processor spent, measuring included. Other work on the machine lengthens the first more than the second."
        ), "",
        *seconds_table(rows), "", "## Settings", "", "Tables 7 and 8.", "", *settings_table(rows), "",
        f"![β while training]({figures}/settings.png)", "",
    ])


def _claims() -> list[str]:
    """What the paper's numbers say, by arithmetic alone."""
    ends = [rows[-1][1] for rows in TRAINING]
    gains = {name.lower(): rows[-1][2] - rows[0][2] for name, rows in zip(ORDINALS, TRAINING, strict=True)}
    lower, higher = (" and the ".join(name for name, gain in gains.items() if sign * gain > 0) for sign in (-1, 1))
    loss, kl, fit = averages()
    return [
        "## What the paper's numbers show", "",
        *_paragraph(
            "Its Tables 1-4 print as loss the sum of the KL and a likelihood term, in every row. By the text a higher term is "
            "better, so it is log p(x|z); the bound is then the KL *minus* it, and the printed sum cannot tell progress from "
            "its opposite. Or it is −log p(x|z), and the sum is the bound. The tables by both readings:"
        ), "", *claims_table(), "",
        *_paragraph(
            "By either, most of what falls is the KL, and in two of the four experiments the pictures end less well described "
            f"than they began: the {lower} by the first reading, the {higher} by the second. The KL ends at {min(ends):.1f} to "
            f"{max(ends):.1f} nats an image; n nats tell about eⁿ images apart, {exp(min(ends)):.0f} where it is least. The text "
            "calls this a balance between reconstruction and latent space. A KL that goes toward 0 with nothing gained is known "
            "as posterior collapse: the decoder stops reading the latent. How far it went there cannot be said, for neither "
            "active units nor the images, their number or their size are reported."
        ), "",
        *_paragraph(
            f"Table 5 is said to hold the means of these tables. Their KL is {kl:.2f} in the mean (claimed: {AVERAGES[1]:.2f}), "
            f"their likelihood term {fit:.2f} ({AVERAGES[2]:.2f}), their loss {loss:.2f} ({AVERAGES[0]:.2f}); and the two "
            f"claimed terms add up to {AVERAGES[1] + AVERAGES[2]:.2f}, not to the claimed loss."
        ),
    ]


def _protocol(rows: Rows) -> list[str]:
    """What was run, and where it had to be chosen."""
    first, target = rows[0], next((float(row["target"]) for row in rows if row["target"]), 0.0)
    images = {prompt: last_of(rows, arms_of(rows)[0], prompt) for prompt in prompts_of(rows)}
    counts = ", ".join(f"*{prompt}* {row['images']} + {row['images_held_back']}" for prompt, row in images.items())
    seeds = "one seed" if first["seeds"] == "1" else f"means over {first['seeds']} seeds"
    return [
        "## What was run here", "",
        *_paragraph(
            "An experiment is one prompt and its images. The paper names neither. Here a prompt is a word, and its images are "
            "the emoji drawings, in five styles, with that word in their label or tags, people and gestures left out, at 32 px "
            f"with transparency; trained on + held back: {counts}. A drawing held back may be there in another style."
        ), "",
        *_paragraph(
            f"The network is a small convolutional VAE with {first['latent']} latent units; {first['epochs']} epochs, {seeds}. "
            "The likelihood is a Gaussian of variance 1/2π for each channel of a pixel: its constant is 0, so the likelihood "
            "term is −π times the squared error with nothing left out, and −ELBO is the KL minus it. A unit is active if its "
            "posterior mean has a variance above 0.01 over the images."
        ), "",
        *_paragraph("* **fixed**: Table 7 but for the number of epochs; β = 1."),
        *_paragraph(
            f"* **dynamic**: Table 8, and a controller that moves β in every step so that the KL stays at {target:.0f} nats, "
            f"{target / float(first['latent']):.0f} a unit."
        ),
        *_paragraph(
            "* **averaged**: Table 8, and a common mistake: the likelihood is averaged over the pixels while the KL is summed. "
            "Nothing says that the paper did this; it shows what a vanishing KL looks like in such tables."
        ),
    ]


def _findings(rows: Rows) -> list[str]:
    """What came of each kind of run, means over the prompts."""
    head = ["", "minimised", "−ELBO", "KL", "likelihood term", "active units", "PSNR, dB", "−ELBO, held back"]
    body, ends = [], {}
    for arm in arms_of(rows):
        begun = [row for row in rows if row["arm"] == arm and row["epoch"] == "1"]
        ended = [last_of(rows, arm, prompt) for prompt in prompts_of(rows)]
        ends[arm] = {name: _mean(ended, name) for name in ("loss", "held_out")}
        moved = {"objective": 2, "loss": 1, "kl": 3, "likelihood": 1, "active_units": 1}
        body.append([
            f"**{arm}**", *(f"{_mean(begun, name):.{n}f} → {_mean(ended, name):.{n}f}" for name, n in moved.items()),
            f"{_mean(ended, 'psnr'):.1f}", f"{_mean(ended, 'held_out'):.0f}",
        ])
    seen, unseen = (ends["fixed"][name] - ends["dynamic"][name] for name in ("loss", "held_out"))
    return [
        "## What came of it", "", "Means over the prompts, first epoch → last:", "", *table(head, body), "",
        *_paragraph(
            "The averaged run is the one that resembles the paper's: what it minimises falls together with its KL, and nothing "
            "is left in the latent. Without the column of active units its log would pass for progress. Where both terms are "
            "summed the KL does not vanish, nor with the fixed settings; the controller adds that its height is chosen. Fixed "
            "and dynamic differ in batch size as well, hence in steps an epoch, as they do in the paper: the −ELBO of dynamic "
            f"ends {seen:.0f} nats lower on drawings trained on and {unseen:.0f} on those held back. So many epochs over so few "
            "drawings are too many: what lies between trained on and held back is overfitting, and samples from the prior are "
            "blots in all of them."
        ), "",
        *_paragraph(
            "In the pictures below, rows from above: drawings (the right half held back), reconstructions "
            f"({', '.join(arms_of(rows))}), samples from the prior in the same order. In the latent spaces a dot is the "
            "posterior mean of a drawing in the two main directions, the ring two standard deviations of the prior."
        ),
    ]


def _paragraph(text: str) -> list[str]:
    """Lines of a paragraph, or of a list's item."""
    hanging = "  " if text.startswith("* ") else ""
    return wrap(text, 130, subsequent_indent=hanging, break_on_hyphens=False, break_long_words=False)


def _mean(rows: Rows, name: str) -> float:
    return fmean(float(row[name]) for row in rows)


def write_document(results: Path, path: Path, figures: Path) -> None:
    """The document ``path`` of the CSV ``results``. Raises :class:`InputError` where a file cannot be read or written."""
    try:
        with results.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        seen_from = Path(os.path.relpath(figures.resolve(), path.resolve().parent)).as_posix()
        write_atomic(path, document(rows, results.name, seen_from).encode())
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}; expected a readable CSV and a writable folder") from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.evaluate.experiment_document", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "zoo" / "results", help="folder of CSV (default: %(default)s)")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "EXPERIMENTS.md", help="default: %(default)s")
    args = parser.parse_args(argv)
    try:
        found = newest(args.results)["experiments"]
        if not found:
            raise DataError(f"{args.results}: no experiments-arms-*.csv; `python -m mvae reproduce experiments` writes one")
        write_document(found[-1], args.document, args.document.parent / "experiments")
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m mvae reproduce reference``: the systems with their published settings on MNIST and CIFAR-10, beside the published
figures, as pythae's reproducibility page has it.

A process a network and seed; a killed study goes on where it was.
"""

import statistics
from pathlib import Path

from mvae.errors import OptionError
from mvae.evaluate.results import write_study
from mvae.machine import cpu_name
from mvae.reproduce.arms import over_seeds, run_side_by_side, stored_result
from mvae.reproduce.reference_jobs import Job, jobs
from mvae.reproduce.reference_rows import Row, agrees, rows

FURTHER = ("rate", "distortion", "negative_elbo", "code_bits", "codes_used", "perplexity")
"""Shown where they are measured, means over seeds."""
COLUMNS = (
    "arm", "about", "measure", "unit", "obtained", "obtained_sd", "median", "best", "reference", "reference_sd", "reference_best",
    "within", *FURTHER, "network", "seeds", "epochs", "pretraining_epochs", "images", "batch", "epoch_seconds", "device", "note",
    "cpu", "command",
)


def run_all(
    data: Path, out: Path, *, seeds: int, clustering_seeds: int, workers: int, results: Path, only: list[str] | None = None,
    short: bool = False,
) -> list[dict]:
    """Every network that has no result yet, then the table of all that have one. A run of full length takes the place of a
    ``short`` one, never the other way; a row shows the full ones if it has any.

    Raises :class:`OptionError` for an unknown name in ``only``, no seed or no worker, :class:`TrainingError` where a job fails.
    """
    if min(seeds, clustering_seeds, workers) < 1:
        raise OptionError(f"{seeds} and {clustering_seeds} seeds, {workers} workers; expected at least 1 of each")
    whole, brief = (jobs(seeds, clustering_seeds, short=cut) for cut in (False, True))
    chosen = named(whole, only)
    if short:
        names = {job.name for job in chosen if stored_result(job, out) is None}
        chosen = [job for job in brief if job.name in names]
    arguments = [str(data), str(out), str(seeds), str(clustering_seeds), "short" if short else "long"]
    run_side_by_side(chosen, out, "mvae.reproduce.reference_run", arguments, workers)
    command, shown = f"python -m mvae reproduce reference --seeds {seeds} --clustering-seeds {clustering_seeds}", []
    for row in rows():
        full = measured(row, whole, out)
        if done := full or measured(row, brief, out):
            shown.append(summary(row, done) | {"command": command + ("" if full else " --short"), "cpu": cpu_name()})
    write_study(results, "reference", COLUMNS, shown)
    return shown


def named(every: list[Job], only: list[str] | None) -> list[Job]:
    """Jobs called, or of a row called, as in ``only``; all by default. Raises :class:`OptionError` for an unknown name."""
    known = {name for job in every for name in (job.name, job.row)}
    if unknown := sorted(set(only or []) - known):
        raise OptionError(f"networks {unknown}; expected some of {sorted(known)}")
    return [job for job in every if not only or job.name in only or job.row in only]


def measured(row: Row, every: list[Job], out: Path) -> list[tuple[Job, dict]]:
    """The row's jobs that have a result, with it."""
    found = [(job, stored_result(job, out)) for job in every if job.row == row.row]
    return [(job, result) for job, result in found if result is not None]


def summary(row: Row, done: list[tuple[Job, dict]]) -> dict:
    """A line of the table: mean and standard deviation, median and best over seeds, beside the published figure."""
    job, results = done[0][0], [result for _, result in done]
    values = [result[row.value] for result in results]
    best = min(values) if row.value in ("bits", "negative_elbo") else max(values)
    spread = over_seeds("obtained", values)
    further = {name: statistics.fmean(r[name] for r in results) if name in results[0] else "" for name in FURTHER}
    return {
        "arm": row.row, "about": row.about, "measure": row.value, "unit": row.unit, **spread, "median": statistics.median(values),
        "best": best, "reference": _or_nothing(row.reference), "reference_sd": _or_nothing(row.reference_sd),
        "reference_best": _or_nothing(row.best), "within": agrees(row, *spread.values(), best), **further, "network": job.network,
        "seeds": len(values), "epochs": sum(phase.epochs for phase in job.phases),
        "pretraining_epochs": job.pretraining.epochs if job.pretraining else 0, "images": job.images or "",
        "batch": job.phases[0].batch,
        "epoch_seconds": statistics.median(result["epoch_seconds"] for result in results),
        "device": " and ".join(sorted({result["device"] for result in results})), "note": row.note,
    }


def _or_nothing(value: float | None) -> float | str:
    return "" if value is None else value

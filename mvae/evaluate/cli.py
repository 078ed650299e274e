"""The verb ``evaluate``: one model, or two on the same prompts and seeds."""

import argparse
import sys
from pathlib import Path
from time import perf_counter

from mvae.evaluate.cga import Request, evaluate, generated_ranks
from mvae.evaluate.judge import Judge
from mvae.evaluate.paired import bootstrap_difference, mcnemar
from mvae.evaluate.results import write_comparison, write_evaluation


def run(args: argparse.Namespace) -> dict:
    """Evaluate ``args.model``, or compare it with ``args.compare``; writes a CSV into ``args.out`` and returns the report.

    Of ``args``, ``model``, ``samples`` and ``data`` are needed; ``seed``, ``guidance``, ``temperature``, ``top_k``, ``zoo``,
    ``workers``, ``compare``, ``out`` and ``json`` have defaults. The report is also printed as text unless ``json`` is set.
    """
    begun = perf_counter()
    names = ("seed", "guidance", "temperature", "top_k", "zoo", "workers")
    given = {name: getattr(args, name, None) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    request = Request(args.model, args.samples, Path(args.data), **given)
    other = getattr(args, "compare", None)
    if other:
        report = compare(request, other)
        command = command_of(request, other)
    else:
        report = evaluate(request)
        command = command_of(request)
    report["seconds"] = round(perf_counter() - begun, 1)
    if getattr(args, "out", None) is not None:
        path = (write_comparison if other else write_evaluation)(report, command, Path(args.out))
        print(f"wrote {path}", file=sys.stderr)
    if not getattr(args, "json", False):
        for name, value in report.items():
            print(f"{name:28} {value:.4f}" if isinstance(value, float) else f"{name:28} {value}")
    return report


def compare(first: Request, second_model: str, judge: Judge | None = None) -> dict:
    """CGA of two models on the same prompts, seeds and options: the difference with its 95 % interval and McNemar's p."""
    judge = judge or Judge()
    second = Request(**{**vars(first), "model": second_model})
    first_ranks, _, _, options = generated_ranks(first, judge)
    second_ranks, _, _, second_options = generated_ranks(second, judge)
    difference, low, high = bootstrap_difference(first_ranks == 0, second_ranks == 0)
    return {
        "first": first.model,
        "second": second_model,
        "samples": first.samples,
        "seed": first.seed,
        "guidance": options.guidance,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "same_options": options == second_options,
        "cga_first": float((first_ranks == 0).mean()),
        "cga_second": float((second_ranks == 0).mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "only_first": int(((first_ranks == 0) & (second_ranks != 0)).sum()),
        "only_second": int(((first_ranks != 0) & (second_ranks == 0)).sum()),
        "mcnemar_p": mcnemar(first_ranks == 0, second_ranks == 0),
        "judge": judge.digest,
    }


def command_of(request: Request, other: str | None = None) -> str:
    """The command line that repeats a measurement."""
    parts = [f"python -m mvae evaluate --model {request.model}"]
    parts += [f"--compare {other}"] if other else []
    parts += [f"--samples {request.samples} --seed {request.seed}"]
    for name in ("guidance", "temperature", "top_k"):
        value = getattr(request, name)
        parts += [f"--{name.replace('_', '-')} {value:g}"] if value is not None else []
    return " ".join(parts)

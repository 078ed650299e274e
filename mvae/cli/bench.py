"""``python -m mvae bench --models small-int8,small-fp16 --threads 1 --json``"""

import argparse
import datetime
import sys
from pathlib import Path

from mvae import bench
from mvae.cli.output import prepare_output, write_file
from mvae.engine.entry import available
from mvae.engine.model import load
from mvae.errors import OptionError, UnknownModelError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", help="size-level, several separated by commas (default: every model that is there)")
    parser.add_argument("--zoo", type=Path, metavar="FOLDER", help="an entry or a folder of entries to use instead of the zoo")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=30, help="rounds that count (default: %(default)s)")
    parser.add_argument(
        "--reference", action="store_true", help="also time PyTorch's generate() in the same rounds (training environment)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="also write bench-MACHINE-DATE.csv there, for example zoo/results"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> dict:
    """Returns :func:`mvae.bench.report`; with ``--reference`` also ``faster_than_reference``, a ratio of medians."""
    names = list(available(args.zoo)) if args.models is None else [name.strip() for name in args.models.split(",")]
    if not names:
        raise UnknownModelError(f"no models in {args.zoo or 'the zoo'}; export one with python -m export")
    if len(set(names)) < len(names):
        raise OptionError(f"--models is {args.models!r}; expected different models, separated by commas")
    today = datetime.datetime.now(datetime.UTC).date()
    table = None
    if args.out is not None:  # before anything slow
        table = prepare_output(args.out / bench.result_name(bench.machine(args.threads)["cpu"], today))
    models = [load(name, threads=args.threads, folder=args.zoo) for name in names]
    extra = None
    if args.reference:
        from mvae.evaluate.reference_latency import reference_rounds

        extra = reference_rounds(models)
    found = bench.report(models, args.repeat, extra=extra)
    if args.reference:
        for model in found["models"]:
            model["faster_than_reference"] = round(model["reference_generate_ms"]["p50"] / model["engine_generate_ms"]["p50"], 2)
    if table is not None:
        command = f"python -m mvae bench --models {','.join(names)} --threads {args.threads} --repeat {args.repeat}"
        write_file(table, bench.to_csv(found, today, command + " --reference" * args.reference).encode())
        print(table, file=sys.stderr)
    if not args.json:
        _print_table(found)
    return found


def _print_table(found: dict) -> None:
    stages = [stage for stage, value in found["models"][0].items() if isinstance(value, dict)]
    print(f"{'median ms':24s} {'MB':>7s} " + " ".join(f"{stage.removesuffix('_ms'):>10s}" for stage in stages))
    for model in found["models"]:
        print(f"{model['name']:24s} {model['bytes'] / 1e6:7.2f} " + " ".join(f"{model[stage]['p50']:10.2f}" for stage in stages))

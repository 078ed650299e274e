"""Trained weights → a zoo entry with fp32, fp16 and int8 ONNX graphs, checked against PyTorch.

    python -m export --run runs/small --out zoo/models/small     a finished training run
    python -m export --entry zoo/models/small                    an entry, again, from the weights it stores
    python -m export --zoo zoo/models                            every entry that lacks a level

Prints a JSON list with one report for each entry made: bytes by level and graph, and how far each level is from PyTorch. Progress
goes to stderr. Bad input: exit code 2; a graph that does not reproduce the model: exit code 1; in both cases nothing is changed.
"""

import argparse
import json
import sys
from pathlib import Path

from mvae.config import LEVELS
from mvae.engine.entry import levels_of
from mvae.errors import InputError, MvaeError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = found.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="folder of a finished training run")
    what.add_argument("--entry", type=Path, help="zoo entry to make again in place")
    what.add_argument("--zoo", type=Path, help="folder of entries; those with all levels are left alone")
    found.add_argument("--out", type=Path, help="with --run: the entry's folder, whose name is the entry's name")
    found.add_argument("--data", type=Path, help="shards to calibrate int8 with (default: the run's, else the committed sample)")
    found.add_argument("--levels", default=",".join(LEVELS), help="levels to write, comma-separated (default: %(default)s)")
    found.add_argument("--licence", help="with --run: licence of the weights")
    found.add_argument("--credits", type=Path, help="with --run: text file, one line for each source of training pictures")
    found.add_argument("--force", action="store_true", help="with --zoo: make complete entries again, too")
    return found


def run(args: argparse.Namespace) -> list[dict]:
    """Do what the command line says; the reports of all entries made."""
    # Imported here so that --help and usage errors answer at once.
    from export.entry import build_entry
    from export.source import load_entry, load_run

    options = {"data": args.data, "levels": tuple(args.levels.split(",")), "say": lambda line: print(line, file=sys.stderr)}
    if args.run:
        out = args.out or Path("zoo/models") / args.run.resolve().name
        credit = tuple(line for line in args.credits.read_text("utf-8").splitlines() if line) if args.credits else None
        source = load_run(args.run, out.resolve().name, licence=args.licence, credits=credit)
        return [build_entry(source, out, **options).to_dict()]
    reports = []
    for entry in [args.entry] if args.entry else _incomplete(args.zoo, args.force):
        options["say"](f"{entry}: loading the stored weights")
        wanted = options
        if args.zoo:  # of the levels asked for, those that the entry may have
            wanted = options | {"levels": tuple(level for level in options["levels"] if level in levels_of(entry.name))}
        if not wanted["levels"]:
            continue
        reports.append(build_entry(load_entry(entry), entry, again=True, **wanted).to_dict())
    return reports


def _incomplete(folder: Path, force: bool) -> list[Path]:
    from export.sessions import GRAPHS, graph_path
    from zoo import fetch

    def complete(path: Path) -> bool:
        return all(graph_path(path / "onnx", graph, level).is_file() for graph in GRAPHS for level in levels_of(path.name))

    return [path for path in fetch.entries(folder).values() if force or not complete(path)]


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = parser().parse_args(arguments)
    try:
        print(json.dumps(run(args)))
    except (InputError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except MvaeError as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

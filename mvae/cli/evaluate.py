"""``python -m mvae evaluate --model small-int8 --json``"""

import argparse
from pathlib import Path

from mvae.config import DEFAULT_MODEL


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=DEFAULT_MODEL, help="size-level (default: %(default)s)")
    parser.add_argument("--compare", metavar="MODEL", help="instead, judge both models on the same prompts and seeds")
    parser.add_argument("--samples", type=int, default=2000, help="stickers to draw and judge (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data/emoji"), help="folder of shards (default: %(default)s)")
    parser.add_argument("--guidance", type=float, help="default: the model's")
    parser.add_argument("--temperature", type=float, help="default: the model's")
    parser.add_argument("--top-k", type=int, help="default: the model's")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="models that draw side by side (default: %(default)s)")
    parser.add_argument("--zoo", type=Path, metavar="FOLDER", help="an entry or a folder of entries to use instead of the zoo")
    parser.add_argument("--out", type=Path, default=Path("zoo/results"), help="folder of the CSV (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> dict | None:
    """Returns what the evaluation reports."""
    from mvae.evaluate.cli import run as evaluate

    return evaluate(args)

"""``python -m mvae train small --out runs/small --resume`` (also under ``torchrun -m mvae train …``)"""

import argparse
import os
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's name, or a Python file")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/ and the recipe's name)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--stage", choices=("vae", "seq2seq", "all"), default="all", help="default: %(default)s")
    parser.add_argument("--data", type=Path, help="data set to use instead of the recipe's")
    parser.add_argument("--warm-start", type=Path, metavar="ENTRY",
                        help="begin with the weights of a run or zoo entry: its VAE as it is and its seq2seq to be trained on, "
                        "or with --stage vae its VAE to be trained on")
    parser.add_argument("--workers", type=int, default=0, metavar="N",
                        help="processes that make batches ahead; for an accelerator that would wait for them (default: none)")
    parser.add_argument("--minutes", type=float, metavar="M",
                        help="fit each stage's schedule to this time, by the speed measured on the way; never more steps than "
                        "the recipe has")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> dict | None:
    """Returns what the training reports; of several processes under ``torchrun`` only the first does."""
    from mvae.training.cli import run as train

    report = train(args)
    return report if os.environ.get("RANK", "0") == "0" else None

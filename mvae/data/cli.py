"""``python -m mvae data``: build training data.

    python -m mvae data build emoji --out data/emoji
    python -m mvae data build mnist
    python -m mvae data build my-pictures --out data/mine
"""

import argparse
import sys
from pathlib import Path

from mvae.data.benchmarks import CLASSES, build_benchmark
from mvae.errors import DataError

EMOJI = "emoji"
PACKAGES = Path(".cache/packages")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="captioned pictures → tar shards")
    named = ", ".join((EMOJI, *CLASSES))
    build.add_argument("source", metavar="SOURCE", help=f"{named}, or a folder of pictures with metadata.csv or .txt captions")
    build.add_argument("--out", type=Path, help="folder of the shards (default: data/emoji, or data/ and the folder's name)")
    build.add_argument("--size", type=int, default=128, help="side of the pictures in pixels, 16 to 512 (default: %(default)s)")
    build.add_argument("--workers", type=int, default=2, help="processes that draw (default: %(default)s)")
    build.add_argument("--cache", type=Path, default=PACKAGES, help="folder that keeps fetched packages (default: %(default)s)")
    build.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> dict:
    """Build and return a summary: the folder, its shards, samples and bytes by role.

    Raises :class:`DataError` or :class:`ImageError` for bad input, :class:`FetchError` where a package cannot be had.
    """
    if args.workers < 1:
        raise DataError(f"--workers: got {args.workers}, expected 1 or more")
    source = Path(args.source)
    out = args.out or Path("data") / (args.source if args.source in (EMOJI, *CLASSES) else source.resolve().name)
    try:
        if args.source in CLASSES:
            return _summary_of_benchmark(out, build_benchmark(args.source, out, args.cache))
        if args.source == EMOJI:
            from mvae.data.build import build_emoji

            index = build_emoji(out, size=args.size, cache=args.cache, workers=args.workers)
        else:
            from mvae.data.folder import build_folder

            index = build_folder(source, out, size=args.size, workers=args.workers)
    except OSError as error:
        raise DataError(f"{error.filename or out}: cannot be read or written ({error.strerror or error})") from error
    roles = {shard["role"] for shard in index["shards"]}
    samples = {role: sum(shard["samples"] for shard in index["shards"] if shard["role"] == role) for role in sorted(roles)}
    print(f"{out}: {', '.join(f'{count} {role} samples' for role, count in samples.items())}", file=sys.stderr)
    return {
        "out": str(out),
        "size": index["size"],
        "concepts": index["concepts"],
        "shards": len(index["shards"]),
        "samples": samples,
        "bytes": sum(shard["bytes"] for shard in index["shards"]),
    }


def _summary_of_benchmark(out: Path, index: dict) -> dict:
    samples = {split: about["images"] for split, about in index["splits"].items()}
    print(f"{out}: {', '.join(f'{count} {split} samples' for split, count in samples.items())}", file=sys.stderr)
    return {"out": str(out), "samples": samples, "classes": index["classes"]}

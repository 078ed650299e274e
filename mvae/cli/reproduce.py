"""``python -m mvae reproduce latent``"""

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    studies = parser.add_subparsers(dest="study", required=True, metavar="STUDY", parser_class=type(parser))
    latent = studies.add_parser("latent", help="grids, levels, rates and losses at equal size and budget")
    latent.add_argument("--data", type=Path, default=Path("data/emoji"), help="folder of shards (default: %(default)s)")
    latent.add_argument("--out", type=Path, default=Path("runs/latent"), help="one folder an arm (default: %(default)s)")
    latent.add_argument("--steps", type=int, default=900, help="of every arm (default: %(default)s)")
    latent.add_argument("--batch", type=int, default=16, help="pictures a step (default: %(default)s)")
    latent.add_argument("--workers", type=int, default=2, help="arms side by side, one thread each (default: %(default)s)")
    latent.add_argument("--only", metavar="ARM", nargs="+", help="these arms alone (default: all)")
    latent.add_argument("--results", type=Path, default=Path("zoo/results"), help="folder of the CSV (default: %(default)s)")
    latent.add_argument("--plot", type=Path, default=Path("docs/latent.png"), help="default: %(default)s")
    latent.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> dict:
    """Returns the table's rows."""
    from mvae.reproduce.latent import run_all

    rows = run_all(
        args.data, args.out, steps=args.steps, batch=args.batch, workers=args.workers, only=args.only, results=args.results,
        plot=args.plot,
    )
    if not args.json:
        for row in rows:
            share = f"{row['of_real_ceiling']:.3f} of the real ceiling"
            print(f"{row['arm']:16} {row['tokens']:4} tokens  {share}  {row['psnr']:.2f} dB")
    return {"rows": rows}

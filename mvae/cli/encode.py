"""``python -m mvae encode in.png out.mvae``: the layout of the file is in :mod:`mvae.engine.container`."""

import argparse
import sys
from pathlib import Path

from mvae.cli.output import add_model_options, load_model, prepare_output, write_file
from mvae.engine.container import pack
from mvae.engine.images import open_image


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE", help="PNG, JPEG, WebP or GIF, not animated")
    parser.add_argument("out", type=Path, metavar="OUT.mvae")
    add_model_options(parser)


def run(args: argparse.Namespace) -> dict:
    """Returns model, output path, its bytes, the latent's name and the tokens of each picture."""
    prepare_output(args.out)
    pictures = [open_image(path) for path in args.pictures]
    model = load_model(args)
    tokens = [model.encode(picture) for picture in pictures]
    content = pack(tokens, model.latent)
    write_file(args.out, content)
    print(f"{args.out}: {len(content)} bytes", file=sys.stderr)
    return {
        "model": model.name,
        "out": str(args.out),
        "bytes": len(content),
        "latent_id": model.latent.latent_id,
        "tokens": [list(row) for row in tokens],
    }

"""``python -m mvae decode out.mvae back.png``"""

import argparse
import sys
from pathlib import Path

from mvae.cli.output import add_model_options, load_model, numbered, prepare_output, read_file, write_file
from mvae.engine.container import unpack
from mvae.engine.images import png_bytes
from mvae.errors import InputError, TokensError

FILE_MAX_BYTES = 16 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="IN.mvae")
    parser.add_argument("out", type=Path, metavar="PNG", help="several pictures get -0, -1, … before the suffix")
    add_model_options(parser)


def run(args: argparse.Namespace) -> dict:
    """Returns model, latent's name and the paths written. Raises TokensError if the file belongs to another latent."""
    if args.out.suffix.lower() != ".png":
        raise InputError(f"{args.out}: pictures are written as PNG; expected a name that ends in .png")
    try:
        latent, grids = unpack(read_file(args.file, FILE_MAX_BYTES))
    except TokensError as error:
        raise TokensError(f"{args.file}: {error}") from None
    paths = [prepare_output(path) for path in numbered(args.out, len(grids))]
    model = load_model(args)
    if latent != model.latent:
        raise TokensError(f"{args.file}: its tokens belong to {latent}; {model.name} decodes {model.latent}")
    for path, tokens in zip(paths, grids, strict=True):
        write_file(path, png_bytes(model.decode(tokens)))
        print(path, file=sys.stderr)
    return {"model": model.name, "latent_id": latent.latent_id, "out": [str(path) for path in paths]}

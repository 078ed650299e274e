"""``python -m mvae remember cat.png "my cat Felix" --model base-int8 --memory mine.npz``: a picture of your own to redraw.

Nothing is trained: the picture's tokens are kept under its words, and ``generate --memory mine.npz`` reads them when a prompt
comes near.
"""

import argparse
import sys
from pathlib import Path

from mvae.cli.output import add_model_options, load_model, prepare_output, write_file
from mvae.config import STYLES
from mvae.engine.images import open_image
from mvae.engine.memory import read_memory


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="PNG, JPEG, WebP or GIF, not animated")
    parser.add_argument("label", help="the words that it is found by")
    parser.add_argument("--tags", default="", help="other words for it, separated by commas")
    parser.add_argument("--style", help=f"the style it is drawn in, if one of {', '.join(STYLES)}")
    parser.add_argument(
        "--memory", type=Path, default=Path("memory.npz"), metavar="NPZ", help="file to add it to (default: %(default)s)"
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> dict:
    """Returns model, memory file, the latent's name, the stickers that it holds now and the tokens of the new one."""
    prepare_output(args.memory)
    own = read_memory(args.memory) if args.memory.exists() else None
    picture = open_image(args.picture)
    model = load_model(args)
    tags = [word.strip() for word in args.tags.split(",") if word.strip()]
    own = model.remember(picture, args.label, tags=tags, style=args.style, own=own)
    write_file(args.memory, own.to_bytes())
    print(f"{args.memory}: {len(own)} pictures", file=sys.stderr)
    return {
        "model": model.name,
        "memory": str(args.memory),
        "latent_id": own.latent_id,
        "pictures": len(own),
        "tokens": own.tokens[-1].tolist(),
    }

"""``python -m mvae generate "a red apple" --style noto --model small-int8 --n 4 --seed 0 --out apple.png``"""

import argparse
import sys
from pathlib import Path

from mvae.cli.output import add_model_options, load_model, numbered, prepare_output, write_file
from mvae.config import MAX_IMAGES_PER_CALL, STYLES
from mvae.engine.images import png_bytes
from mvae.engine.memory import read_memory
from mvae.engine.options import whole
from mvae.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what to draw")
    parser.add_argument("--style", help=f"one of {', '.join(STYLES)} (default: the model chooses)")
    parser.add_argument("--n", type=int, default=1, help="number of stickers (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--guidance", type=float, help="how strictly to follow the prompt, 1 is plain (default: the model's)")
    parser.add_argument("--temperature", type=float, help="0 takes the likeliest token (default: the model's)")
    parser.add_argument("--top-k", type=int, help="draw from the k likeliest tokens, 0 from all (default: the model's)")
    parser.add_argument("--memory", type=Path, metavar="NPZ", help="pictures of your own (made by remember) to redraw from")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("sticker.png"),
        metavar="PNG",
        help="several stickers get -0, -1, … before the suffix (default: %(default)s)",
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> dict:
    """Returns model, prompt, options and, for each sticker, its path, seed, index, tokens and milliseconds."""
    if args.out.suffix.lower() != ".png":
        raise InputError(f"{args.out}: stickers are written as PNG; expected a name that ends in .png")
    count = whole("n", args.n, 1, MAX_IMAGES_PER_CALL)
    paths = [prepare_output(path) for path in numbered(args.out, count)]
    own = None if args.memory is None else read_memory(args.memory)
    model = load_model(args)
    images, memory = [], model.memory_with(own)
    for index, path in enumerate(paths):
        sticker = model.generate(
            args.prompt,
            style=args.style,
            seed=args.seed,
            guidance=args.guidance,
            temperature=args.temperature,
            top_k=args.top_k,
            index=index,
            own=own,
        )
        if sticker.prompt_was_cut and index == 0:
            print("mvae generate: the prompt is longer than the model reads; its end was left out", file=sys.stderr)
        write_file(path, png_bytes(sticker.image))
        print(f"{path}: {sum(sticker.timings.values()):.1f} ms", file=sys.stderr)
        images.append(
            {
                "path": str(path),
                "seed": sticker.seed,
                "index": index,
                "tokens": list(sticker.tokens),
                "timings": sticker.timings,
                "prompt_was_cut": sticker.prompt_was_cut,
                "recalled": [memory.shown(*read)[0] for read in zip(sticker.recalled, sticker.colours, strict=True)],
            }
        )
    options = sticker.options
    return {
        "model": model.name,
        "prompt": args.prompt,
        "style": args.style,
        "guidance": options.guidance,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "images": images,
    }

"""The command line: ``python -m mvae VERB``.

With ``--json`` one JSON object goes to stdout and nothing else; logs and progress go to stderr. Exit codes: 0 done; 2 bad input,
with one line on stderr; 1 anything else that stops a verb, with one line, too; 130 interrupted.
"""

import argparse
import json
import os
import sys
from importlib import import_module

from mvae import __version__
from mvae.errors import InputError, MvaeError

VERBS = {
    "data": "build a data set",
    "train": "train a recipe",
    "generate": "prompt → sticker (PNG)",
    "remember": "pictures of your own for a model to redraw",
    "encode": "pictures → .mvae file",
    "decode": ".mvae file → pictures (PNG)",
    "bench": "latency, bytes and memory of models",
    "evaluate": "judge a model's stickers and reconstructions",
    "reproduce": "run a study again and write its table",
}
TRAINING_PACKAGES = {"torch", "transformers", "safetensors", "optimum", "resvg_py", "efficientnet_lite_pytorch"}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is what --help is for."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _Parser(
        prog="python -m mvae",
        description="Text-to-image VAEs small enough for a phone.",
        epilog="python -m mvae VERB --help says more about a verb.",
    )
    parser.add_argument("--version", action="version", version=f"mvae {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    module = None
    for verb, summary in VERBS.items():
        verb_parser = verbs.add_parser(verb, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if verb == asked:
            module = import_module(f"mvae.cli.{verb}")
            module.configure(verb_parser)
    args = parser.parse_args(arguments)
    try:
        result = module.run(args)
        if getattr(args, "json", False) and result is not None:
            print(json.dumps(result))
        sys.stdout.flush()
        return 0
    except (InputError, MvaeError) as error:
        return _fail(args.verb, str(error), 2 if isinstance(error, InputError) else 1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAINING_PACKAGES:
            raise
        return _fail(
            args.verb,
            f"needs {error.name}, which is not installed here; run it in the training environment (requirements-train.txt)",
            2,
        )
    except KeyboardInterrupt:
        return _fail(args.verb, "interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone, as in "… | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _fail(verb: str, message: str, code: int) -> int:
    print(f"mvae {verb}: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

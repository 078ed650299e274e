"""A prompt for visitors without one: something a model knows, as it is, in another colour, or beside something else."""

import secrets
from collections.abc import Sequence

from mvae.engine.memory import Memory
from ui.names import EXAMPLES

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
PATTERNS = ("{0}", "{0}", "{colour} {0}", "{0} on a {colour} background", "{0} next to {1}")
"""Drawn alike often; ``{0}`` and ``{1}`` are labels."""
LONGEST = 2
"""Words of a label that is put together with others: what is longer reads badly."""


def surprise(memory: Memory | None) -> str:
    """A random prompt of what ``memory`` holds; one of the examples where there is none."""
    if memory is None:
        return secrets.choice(EXAMPLES)
    pattern = secrets.choice(PATTERNS)
    labels = [caption.label for caption in memory.captions if pattern == "{0}" or _is_simple(caption.label)]
    if not labels:
        return secrets.choice(memory.captions).label
    return pattern.format(*_two(labels), colour=secrets.choice(COLOURS))


def _is_simple(label: str) -> bool:
    """One thing in a few plain words, which may be coloured."""
    words = label.split()
    return len(words) <= LONGEST and all(word.isalpha() for word in words) and not {*words} & {*COLOURS}


def _two(labels: Sequence[str]) -> tuple[str, str]:
    return secrets.choice(labels), secrets.choice(labels)

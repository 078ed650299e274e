"""Sampling options: their ranges, the values a model recommends, and the checks."""

import math
import operator
from dataclasses import dataclass

from mvae.config import STYLES
from mvae.errors import OptionError

SEED_MAX = 2**63 - 1
IMAGE_INDEX_MAX = 2**32 - 1
"""The sampler's counter has 32 bits for the image index."""
GUIDANCE_MAX = 20.0
TEMPERATURE_MAX = 5.0


@dataclass(frozen=True)
class Options:
    """How tokens are drawn; the meaning of each number is in :mod:`mvae.engine.sampler`."""

    guidance: float = 1.25
    """1 is no guidance, and half the work."""
    temperature: float = 0.3
    top_k: int = 256

    @classmethod
    def usual(cls, memory: int) -> "Options":
        """What is recommended for a model that reads ``memory`` stickers beside the text.

        Guidance is against an empty text *and* no memory: it is what says "as in the memory", so it is stronger there. At 3
        labels are drawn as well as at 2, but int8 loses more: differences of logits are what rounding spoils.
        """
        return cls(guidance=2.0, temperature=0.3) if memory else cls()


def check_options(defaults: Options, guidance, temperature, top_k, codebook: int) -> Options:
    """``defaults`` with every value that is not None replaced. Raises OptionError outside the ranges:
    guidance 0 … 20, temperature 0 … 5 (both finite), top-k 0 (all) … ``codebook``."""
    return Options(
        defaults.guidance if guidance is None else _number("guidance", guidance, GUIDANCE_MAX),
        defaults.temperature if temperature is None else _number("temperature", temperature, TEMPERATURE_MAX),
        min(defaults.top_k, codebook) if top_k is None else whole("top-k", top_k, 0, codebook),
    )


def whole(name: str, value, low: int, high: int) -> int:
    """``value`` as an int within ``low`` … ``high``, else OptionError. Takes what is an integer, not floats or booleans."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not low <= number <= high:
        raise OptionError(f"{name} is {value!r:.60}; expected a whole number from {low} to {high}")
    return number


def check_style(style: str | None) -> str | None:
    """A style's name, or None for the model's choice. Raises OptionError listing the styles."""
    if style is not None and style not in STYLES:
        raise OptionError(f"unknown style {style!r:.60}; expected one of {', '.join(STYLES)}, or none")
    return style


def _number(name: str, value, high: float) -> float:
    try:
        number = math.nan if isinstance(value, (bool, str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= high:
        raise OptionError(f"{name} is {value!r:.60}; expected a number from 0 to {high:g}")
    return number

"""What a visitor reads in place of the identifiers that the library uses."""

from mvae.config import STYLES

STYLE_NAMES = {
    "noto": "Noto",
    "twemoji": "Twemoji",
    "fluent": "Fluent",
    "fluent-flat": "Fluent flat",
    "fluent-3d": "Fluent 3D",
}
NO_STYLE = "No preference"

EXAMPLES = (
    "a red apple",
    "smiling cat face",
    "a purple octopus",
    "three bananas",
    "a robot beside a rocket",
    "a cat on a blue background",
    "pizza",
    "sunflower",
)
"""Prompts on the chips; the first one also stands in the field when the page opens."""
FOREIGN_EXAMPLES = ("pomme rouge", "Rakete", "gato", "太陽", "사과", "пицца")
"""Prompts in French, German, Spanish, Japanese, Korean and Russian: six of the 28 languages."""

LEVEL_HINTS = {"fp32": "reference", "fp16": "half precision", "int8": "quantised", "pruned": "channels removed"}


def style_choices() -> list[tuple[str, str]]:
    """``(name to show, value)`` of every style; the empty value lets the model choose."""
    return [(NO_STYLE, ""), *((STYLE_NAMES[style], style) for style in STYLES)]


def model_title(name: str) -> str:
    """``"small-int8"`` → ``"small int8"``."""
    return name.replace("-", " ")


def megabytes(count: int) -> str:
    """Bytes as decimal megabytes with one digit behind the point."""
    return f"{count / 1e6:.1f} MB"

"""mVAE: text-to-image VAEs small enough for a phone's web page.

``mvae.load("small-int8").generate("a red apple", style="noto")`` draws a sticker. What is named here is imported when it is first
used: the training code, which needs no engine, imports this package, too.
"""

from importlib import import_module

__version__ = "0.1.0"
_LAZY = {
    "load": "mvae.engine.auto",
    "Model": "mvae.engine.model",
    "available": "mvae.engine.entry",
    "Options": "mvae.engine.options",
    "Sticker": "mvae.engine.sticker",
    "open_image": "mvae.engine.images",
    "Memory": "mvae.engine.memory",
    "read_memory": "mvae.engine.memory",
    **dict.fromkeys(
        (
            "MvaeError",
            "InputError",
            "PromptError",
            "OptionError",
            "ImageError",
            "TokensError",
            "DataError",
            "ZooError",
            "UnknownModelError",
            "IntegrityError",
            "FetchError",
            "ExportError",
            "TrainingError",
        ),
        "mvae.errors",
    ),
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

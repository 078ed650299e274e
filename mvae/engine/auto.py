"""``mvae.load("auto", max_ms=…, max_bytes=…)``: the best model that this machine can afford (resource-aware design).

Nothing is assumed of the machine: candidates draw a few stickers here, and their median time decides.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

from mvae.config import DEFAULT_MODEL, LEVELS
from mvae.engine.entry import PRUNED, available
from mvae.engine.model import Model
from mvae.engine.model import load as load_named
from mvae.errors import OptionError, UnknownModelError

AUTO = "auto"
SIZES = ("base", "small", "nano")
"""Best first."""
PROMPTS = ("a red apple", "a cat next to a house", "three purple hearts")
"""Drawn once to warm up, then once each to measure."""


def load(
    name: str = DEFAULT_MODEL, threads: int = 1, folder: str | Path | None = None, *, max_ms: float | None = None,
    max_bytes: float | None = None,
) -> Model:
    """Load the model ``size-level`` (``small-int8``), a pruned entry (``small-pruned``), or the best within a budget (``auto``).

    ``folder``: a zoo entry, or a folder of entries, to use instead of the committed zoo and the Hub. ``threads`` 1 … 256; one is
    usually fastest for models of this size. ``max_ms``: milliseconds from prompt to picture, the median of three drawn now;
    ``max_bytes``: of the ONNX files and the memory; both with ``auto`` alone. Raises UnknownModelError listing what exists,
    IntegrityError if a file is not what its manifest says, OptionError for ``threads`` or a budget that nothing here fits.
    """
    if name != AUTO:
        if max_ms is not None or max_bytes is not None:
            raise OptionError(f"a budget for {name!r:.60}; expected one with {AUTO!r} alone")
        return load_named(name, threads, folder)
    return choose(threads, folder, max_ms, max_bytes)


def choose(
    threads: int, folder: str | Path | None, max_ms: float | None, max_bytes: float | None,
    measure: Callable[[Model], float] | None = None,
) -> Model:
    """The first model, best size first and within a size fewest bytes first, that fits both budgets. See :func:`load`.

    ``measure``: model → milliseconds; by default :func:`milliseconds`.
    """
    for what, budget in (("max_ms", max_ms), ("max_bytes", max_bytes)):
        if budget is not None and not budget > 0:
            raise OptionError(f"{what} is {budget}; expected more than 0")
    known = available(None if folder is None else Path(folder))
    if not known:
        raise UnknownModelError("no model here; expected at least one to choose from")
    best_first = sorted(known, key=lambda name: rank(name, known))
    small_enough = [name for name in best_first if max_bytes is None or known[name] <= max_bytes]
    if not small_enough:
        raise OptionError(f"no model of at most {max_bytes:.0f} bytes; the smallest here, {min(known, key=known.get)}, has "
                          f"{min(known.values())}")
    times: dict[str, float] = {}
    for name in small_enough:
        model = load_named(name, threads, folder)
        if max_ms is None:
            return model
        times[name] = (measure or milliseconds)(model)
        if times[name] <= max_ms:
            return model
    fastest = min(times, key=times.get)
    raise OptionError(f"no model within {max_ms:g} ms here; the fastest, {fastest}, takes {times[fastest]:.1f} ms")


def rank(name: str, known: dict[str, int]) -> tuple[int, int]:
    """Best size first; within it fewest bytes first: the levels of one size draw alike (the README's tables say how much so)."""
    size = name.removesuffix(f"-{PRUNED}")
    for level in LEVELS:
        size = size.removesuffix(f"-{level}")
    return SIZES.index(size) if size in SIZES else len(SIZES), known[name]


def milliseconds(model: Model) -> float:
    """Median time from prompt to picture of :data:`PROMPTS`, after one that is not counted."""
    model.generate(PROMPTS[0])
    return median(sum(model.generate(prompt, seed=seed).timings.values()) for seed, prompt in enumerate(PROMPTS))

"""What nothing else beats in two measures at once."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def front(items: Iterable[Item], cost: Callable[[Item], float], gain: Callable[[Item], float]) -> list[Item]:
    """Those that no other beats in both: less ``cost`` and more ``gain``; in order of cost."""
    best, kept = -float("inf"), []
    for item in sorted(items, key=lambda item: (cost(item), -gain(item))):
        if gain(item) > best:
            best = gain(item)
            kept.append(item)
    return kept

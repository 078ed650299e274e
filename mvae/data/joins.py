"""Join the drawings of an icon set to concepts: by its own code points where it has them, by spelling where it has only names."""

import json
import re

from mvae.data.concepts import Concept, drop_variation, slug
from mvae.data.spellings import BY_STYLE, OLDER_NAMES
from mvae.errors import DataError

_SHORTCODES = ("cldr", "emojibase", "github", "joypixels")
_VARIANT = re.compile(r"-\d$")
"""``man-cook-2``: a second drawing of the same concept."""


def name_index(concepts: dict[str, Concept], emojibase: dict[str, bytes], chars: list[dict[str, str]]) -> dict[str, str]:
    """Every spelling under which an icon set may name a concept → its code. Earlier, more reliable spellings win.

    ``chars`` are the code point → icon name maps of the sets that have one: their names serve the sets that have none.
    """
    index: dict[str, str] = {}

    def add(name: str, code: str) -> None:
        name = slug(name)
        if name:
            index.setdefault(name, code)

    for code, concept in concepts.items():
        add(concept.label, code)
    for mapping in chars:
        for code, name in mapping.items():
            if drop_variation(code) in concepts:
                add(name, drop_variation(code))
    for table in _SHORTCODES:
        for code, names in json.loads(emojibase[f"en/shortcodes/{table}.json"]).items():
            if drop_variation(code) in concepts:
                for name in [names] if isinstance(names, str) else names:
                    add(name, drop_variation(code))
    for name, code in list(index.items()):
        index.setdefault(name.replace("-", ""), code)
        if name.startswith("flag-"):
            index.setdefault("flag-for-" + name.removeprefix("flag-"), code)
    return index


def corrections(style: str, concepts: dict[str, Concept]) -> dict[str, str | None]:
    """Icon name → code for the names of ``style`` that spelling alone joins wrongly; None says that no concept fits.

    Raises :class:`DataError` if a table names a label that no concept has.
    """
    codes = {concept.label: code for code, concept in concepts.items()}
    table = OLDER_NAMES | BY_STYLE.get(style, {})
    unknown = sorted({label for label in table.values() if label is not None and label not in codes})
    if unknown:
        raise DataError(f"spellings of {style}: got labels {unknown}, expected labels of the {len(codes)} concepts")
    return {name: None if label is None else codes[label] for name, label in table.items()}


def join_icons(icons: dict, mapping: dict[str, str], aliases: dict, concepts: dict[str, Concept]) -> list[tuple[str, str]]:
    """(concept code, icon name) pairs by a package's own code point map; hidden icons are duplicates and skipped."""
    joined: dict[str, str] = {}
    for code, name in sorted(mapping.items()):
        code = drop_variation(code)
        while name not in icons and name in aliases:
            name = aliases[name]["parent"]
        if code in concepts and name in icons and not icons[name].get("hidden"):
            joined.setdefault(code, name)
    return sorted(joined.items())


def join_names(icons: dict, index: dict[str, str], corrected: dict[str, str | None]) -> list[tuple[str, str]]:
    """(concept code, icon name) pairs by spelling, for packages without a code point map. ``corrected`` wins over ``index``.

    A concept may come more than once: numbered names are further drawings of it.
    """
    joined = []
    for name, icon in icons.items():
        spelling = slug(name)
        spellings = (spelling, _VARIANT.sub("", spelling))
        code = next(
            (table[spelling] for spelling in spellings for table in (corrected, index) if spelling in table),
            None,
        )
        if code is not None and not icon.get("hidden"):
            joined.append((code, name))
    return sorted(joined)

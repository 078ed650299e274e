"""Concepts (what a drawing shows), their words, and the join of icon names to concepts."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass

UNSEEN_SHARE = 20
"""One base concept in twenty (5 %) is never trained on."""

_PERSON_WORDS = {"man", "woman", "person", "men", "women", "people", "boy", "girl", "prince", "princess", "mr", "mrs"}


@dataclass(frozen=True)
class Concept:
    """One base emoji, without skin tones."""

    code: str
    """Code points in hexadecimal, joined by hyphens, U+FE0F dropped."""
    label: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    split: str
    """``train`` or ``unseen``."""


def drop_variation(code: str) -> str:
    """``2764-FE0F`` → ``2764``: the emoji presentation mark is written by some sets and left out by others."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def slug(text: str) -> str:
    """``"Côte d’Ivoire"`` → ``"cote-divoire"``: how icon sets spell labels."""
    plain = unicodedata.normalize("NFKD", text.replace("&", "and")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"['’.“”!]", "", plain)).strip("-")


def base_key(label: str) -> str:
    """What is the same in "man cook", "woman cook" and "cook": related drawings never straddle the split."""
    words = [word for word in re.findall(r"[a-z0-9]+", label.lower()) if word not in _PERSON_WORDS]
    return " ".join(words) or label.lower()


def split_of(label: str) -> str:
    """Deterministic split by the hash of the base concept."""
    digest = hashlib.sha256(base_key(label).encode()).digest()
    return "unseen" if int.from_bytes(digest[:4], "big") % UNSEEN_SHARE == 0 else "train"


def load_concepts(emojibase: dict[str, bytes], emojilib: dict[str, bytes]) -> dict[str, Concept]:
    """Read labels and tags; both arguments map a path inside the package to its bytes."""
    entries = json.loads(emojibase["en/data.json"])
    names = json.loads(emojibase["meta/groups.json"])
    extra = {emoji.replace("\ufe0f", ""): words for emoji, words in json.loads(emojilib["dist/emoji-en-US.json"]).items()}
    concepts = {}
    for entry in entries:
        code = drop_variation(entry["hexcode"])
        words = [tag.lower() for tag in entry.get("tags", [])]
        words += [word.replace("_", " ").lower() for word in extra.get(entry["emoji"].replace("\ufe0f", ""), [])]
        label = entry["label"].lower().replace("’", "'")
        tags = tuple(dict.fromkeys(word for word in words if word != label and re.search(r"[^\W_]{2}", word)))
        group = names["groups"].get(str(entry.get("group")), "component")
        subgroup = names["subgroups"].get(str(entry.get("subgroup")), "component")
        concepts[code] = Concept(code, label, tags, group, subgroup, split_of(label))
    return concepts


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
    for path in ("en/shortcodes/cldr.json", "en/shortcodes/emojibase.json", "en/shortcodes/github.json", "en/shortcodes/joypixels.json"):
        for code, names in json.loads(emojibase[path]).items():
            if drop_variation(code) in concepts:
                for name in [names] if isinstance(names, str) else names:
                    add(name, drop_variation(code))
    for name, code in list(index.items()):
        index.setdefault(name.replace("-", ""), code)
        if name.startswith("flag-"):
            index.setdefault("flag-for-" + name.removeprefix("flag-"), code)
    return index


def join_icons(icons: dict, mapping: dict[str, str], aliases: dict, concepts: dict[str, Concept]) -> dict[str, str]:
    """Concept code → icon name by a package's own code point map; hidden icons are duplicates and skipped."""
    joined = {}
    for code, name in sorted(mapping.items()):
        code = drop_variation(code)
        while name not in icons and name in aliases:
            name = aliases[name]["parent"]
        if code in concepts and name in icons and not icons[name].get("hidden"):
            joined.setdefault(code, name)
    return joined


def join_names(icons: dict, index: dict[str, str]) -> dict[str, str]:
    """Concept code → icon name by spelling, for packages without a code point map."""
    joined = {}
    for name, icon in sorted(icons.items()):
        code = index.get(slug(name)) or index.get(re.sub(r"-\d$", "", slug(name)))
        if code and not icon.get("hidden"):
            joined.setdefault(code, name)
    return joined

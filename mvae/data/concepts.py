"""Concepts: what a drawing shows, the words for it, and whether it is ever trained on."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, replace

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
"""Skin tones of Unicode, in the order of their modifiers."""
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
    tone: str | None = None
    """A skin tone of :data:`TONES`; ``code`` is then that of the variant, the rest that of the base emoji."""
    base: str | None = None
    """With a tone: the base emoji's code."""


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
    """The split of an emoji's base concept."""
    return split_of_key(base_key(label))


def split_of_key(key: str) -> str:
    """``unseen`` for one key in ``UNSEEN_SHARE``, else ``train``: by the key's hash, so always the same."""
    digest = hashlib.sha256(key.encode()).digest()
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


def load_tones(emojibase: dict[str, bytes], concepts: dict[str, Concept]) -> dict[str, Concept]:
    """Variants of one skin tone, by their code; those of two persons with a tone each are left out."""
    found = {}
    for entry in json.loads(emojibase["en/data.json"]):
        base = concepts.get(drop_variation(entry["hexcode"]))
        for skin in entry.get("skins", []) if base else []:
            if isinstance(skin.get("tone"), int):
                code = drop_variation(skin["hexcode"])
                found[code] = replace(base, code=code, tone=TONES[skin["tone"] - 1], base=base.code)
    return found


def load_names(emojibase: dict[str, bytes], concepts: dict[str, Concept]) -> dict[str, dict[str, list[str]]]:
    """Locale → code → label, then tags, in lower case, for every locale but English (``en``)."""
    names: dict[str, dict[str, list[str]]] = {}
    for path in sorted(emojibase):
        locale, _, file = path.partition("/")
        if file != "data.json" or locale == "en":
            continue
        names[locale] = {}
        for entry in json.loads(emojibase[path]):
            code = drop_variation(entry["hexcode"])
            if code in concepts and entry.get("label"):
                words = [entry["label"], *entry.get("tags", [])]
                names[locale][code] = list(dict.fromkeys(word.lower().replace("’", "'") for word in words))
    return names

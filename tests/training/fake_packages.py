"""A complete set of packages in miniature, laid out as the real ones are, so that the data build runs its real code on it."""

import base64
import dataclasses
import hashlib
import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from mvae.data import build, joins
from mvae.data.fetch import archive_name
from mvae.data.sources import Package

CIRCLE = '<circle cx="8" cy="8" r="6" fill="{}"/>'
COLOURS = {"1f34e": "red", "1f34f": "lime", "2764": "crimson", "1f408": "orange", "1f431": "gold", "1f3f4": "black"}
LABELS = {
    "1F34E": "red apple",
    "1F34F": "green apple",
    "2764-FE0F": "red heart",
    "1F408": "cat",
    "1F431": "cat face",
    "1F3F4": "black flag",
}
NAMES = {code: label.replace(" ", "-") for code, label in LABELS.items()}


def icons(names: dict[str, str], **extra: dict) -> str:
    """An iconify icons.json; ``names`` maps an icon name to its colour."""
    table = {name: {"body": CIRCLE.format(colour)} for name, colour in names.items()}
    return json.dumps({"prefix": "fake", "icons": table, "width": 16, "height": 16} | extra)


def webp(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64), colour).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def mapped() -> dict[str, str | bytes]:
    """A set with code points: every concept, one hidden duplicate, one alias."""
    names = {NAMES[code]: COLOURS[code.lower().removesuffix("-fe0f")] for code in LABELS}
    table = json.loads(icons(names, aliases={"flag-alias": {"parent": "black-flag"}}))
    table["icons"]["cat"]["hidden"] = True
    table["icons"]["cat-face-dark"] = {"body": CIRCLE.format("sienna")}
    chars = {code.lower().removesuffix("-fe0f"): name for code, name in NAMES.items()} | {
        "1f3f4": "flag-alias",
        "1faaa": "unknown",
        "1f431-1f3ff": "cat-face-dark",
    }
    return {"icons.json": json.dumps(table), "chars.json": json.dumps(chars)}


def contents() -> dict[str, dict[str, str | bytes]]:
    """Package name → path below package/ → content, for every package that the build reads."""
    data = [
        {
            "hexcode": code,
            "label": label,
            "emoji": "".join(chr(int(p, 16)) for p in code.split("-")),
            "tags": ["Tag"],
            "group": 4,
            "subgroup": 9,
        }
        for code, label in LABELS.items()
    ]
    skin = {"hexcode": "1F431-1F3FF", "label": "cat face: dark skin tone", "tone": 5}
    couple = {"hexcode": "1F431-1F3FF-1F3FB", "label": "cat face: two tones", "tone": [5, 1]}
    for entry in data:
        if entry["label"] == "cat face":
            entry["skins"] = [skin, couple]
    german = [{"hexcode": "1F34E", "label": "Roter Apfel", "tags": ["Obst", "roter apfel"]}, {"hexcode": "1FAAA", "label": "neu"}]
    shortcodes = {
        f"en/shortcodes/{table}.json": json.dumps({"1F431": "kitty"}) for table in ("cldr", "emojibase", "github", "joypixels")
    }
    groups = {"groups": {"4": "things"}, "subgroups": {"9": "few-things"}}
    packages: dict[str, dict[str, str | bytes]] = {
        "emojibase-data": {
            "en/data.json": json.dumps(data), "de/data.json": json.dumps(german), "meta/groups.json": json.dumps(groups),
            **shortcodes,
        },
        "emojilib": {"dist/emoji-en-US.json": json.dumps({"🍎": ["red_fruit", "red apple", "!"]})},
    }
    for source in build.SOURCES:
        if source.layout == "webp":
            # 1f600 has no counterpart in the vector sets: its origin would be unclear.
            files = {f"assets/{code}.webp": webp("blue") for code in ("1f34e", "2764-fe0f", "1f600")}
        elif source.join == "chars":
            files = mapped()
        elif source.join == "flat":
            files = {"icons.json": icons({"red-apple": "red", "cat-face": "gold", "only-here": "pink"})}
        else:
            files = {
                "icons.json": icons(
                    {"kitty": "gold", "black-flag-1": "black", "black-flag-2": "gray", "cat": "tan", "gun": "blue"}
                )
            }
        packages[source.package.name] = files
    return packages


def pack(path: Path, files: dict[str, str | bytes]) -> str:
    """Write an npm tarball and return its integrity string."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def install(monkeypatch, cache: Path) -> None:
    """Put the miniature packages into ``cache`` and make the build expect exactly them."""
    cache.mkdir(parents=True, exist_ok=True)
    files = contents()

    def packed(package: Package) -> Package:
        return dataclasses.replace(package, integrity=pack(cache / archive_name(package), files[package.name]))

    monkeypatch.setattr(build, "CAPTION_PACKAGES", tuple(packed(package) for package in build.CAPTION_PACKAGES))
    sources = tuple(dataclasses.replace(source, package=packed(source.package)) for source in build.SOURCES)
    monkeypatch.setattr(build, "SOURCES", sources)
    monkeypatch.setattr(joins, "OLDER_NAMES", {"gun": None})
    monkeypatch.setattr(joins, "BY_STYLE", {"fxemoji": {"cat": "cat face"}})

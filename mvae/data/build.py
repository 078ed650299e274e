"""Build the emoji data set: pinned packages → concepts → RGBA drawings → tar shards and an index.

    python -m mvae data build emoji --out data/emoji

writes ``train-STYLE-NNNNN.tar``, ``judge-STYLE-NNNNN.tar`` and ``tone-STYLE-NNNNN.tar`` (skin tones; at most 500 drawings each),
``names.json`` (labels in other languages), ``index.json`` and ``CREDITS.md``. The same bytes come out every time. A stopped build
goes on where it was: finished shards are kept.
"""

import io
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from mvae.config import caption
from mvae.data.concepts import Concept, drop_variation, load_concepts, load_names, load_tones
from mvae.data.dataset import NAMES
from mvae.data.fetch import fetch_package, read_members
from mvae.data.joins import corrections, join_icons, join_names, name_index
from mvae.data.render import fit_square, lossless_webp, render_icon
from mvae.data.shards import (
    SHARD_SIZE,
    Sample,
    check_size,
    index_entry,
    read_plan,
    read_shard,
    shard_name,
    shard_paths,
    write_shard,
)
from mvae.data.sources import CAPTION_PACKAGES, SOURCES, Source
from mvae.errors import DataError
from mvae.files import write_atomic

FORMAT = 3
"""Raised whenever other bytes come out for the same packages."""


@dataclass(frozen=True)
class _Drawing:
    concept: Concept
    name: str
    """What the package calls it."""
    artwork: object
    """An iconify entry with the defaults of its set, or the bytes of an image."""
    variant: int = 1
    """2 and above: a further drawing of the same concept in the same style."""


@dataclass(frozen=True)
class _Job:
    path: Path
    role: str
    source: Source
    size: int
    drawings: tuple[_Drawing, ...]


def _draw(source: Source, artwork, size: int) -> Image.Image:
    if source.layout == "webp":
        return fit_square(Image.open(io.BytesIO(artwork)), size)
    icon, defaults = artwork
    return render_icon(icon, defaults, size)


def _sample(source: Source, drawing: _Drawing, size: int) -> Sample:
    concept = drawing.concept
    meta = {
        "caption": caption(concept.label, source.style),
        "concept": concept.base or concept.code,
        "group": concept.group,
        "label": concept.label,
        "licence": source.licence,
        "name": drawing.name,
        "role": "tone" if concept.tone else source.role,
        "source": f"{source.package.name}@{source.package.version}",
        "split": concept.split,
        "style": source.style,
        "subgroup": concept.subgroup,
        "tags": list(concept.tags),
    }
    if concept.tone:
        meta |= {"tone": concept.tone, "caption": caption(f"{concept.label}, {concept.tone} skin tone", source.style)}
    key = f"{source.style}_{concept.code}" + (f"_{drawing.variant}" if drawing.variant > 1 else "")
    return Sample(key, lossless_webp(_draw(source, drawing.artwork, size)), meta["caption"], meta)


def _run_job(job: _Job) -> int:
    write_shard(job.path, [_sample(job.source, drawing, job.size) for drawing in job.drawings])
    return len(job.drawings)


def _joined(
    archives: dict[str, dict[str, bytes]], concepts: dict[str, Concept], sources: tuple[Source, ...]
) -> dict[str, list[_Drawing]]:
    """Per style the drawings that show one of the concepts, in code order."""
    base = archives[CAPTION_PACKAGES[0].name]
    chars = {s.style: json.loads(archives[s.package.name]["chars.json"]) for s in SOURCES if s.join == "chars"}
    index = name_index(concepts, base, [chars[style] for style in ("fluent-flat", "twemoji", "noto", "openmoji")])
    drawings: dict[str, list[_Drawing]] = {}
    for source in sources:
        files = archives[source.package.name]
        if source.layout == "webp":
            # Drawings without a counterpart in the other Fluent sets have an unclear origin (flags, some people): dropped.
            known = {drawing.concept.code for style in ("fluent", "fluent-flat") for drawing in drawings[style]}
            codes = {drop_variation(Path(name).stem): name for name in sorted(files)}
            drawings[source.style] = [
                _Drawing(concepts[code], Path(name).stem, files[name]) for code, name in sorted(codes.items()) if code in known
            ]
            continue
        table = json.loads(files["icons.json"])
        icons, aliases = table["icons"], table.get("aliases", {})
        if source.join == "flat":
            pairs = join_icons(icons, {code: n for code, n in chars["fluent-flat"].items() if n in icons}, aliases, concepts)
        elif source.join == "chars":
            pairs = join_icons(icons, chars[source.style], aliases, concepts)
        else:
            pairs = join_names(icons, index, corrections(source.style, concepts))
        defaults = {key: table[key] for key in ("width", "height") if key in table}
        seen = Counter()
        drawings[source.style] = []
        for code, name in pairs:
            seen[code] += 1
            drawings[source.style].append(_Drawing(concepts[code], name, (icons[name], defaults), seen[code]))
    return drawings


def _planned(archives: dict, base: dict[str, bytes], concepts: dict[str, Concept]) -> list[tuple[str, Source, list[_Drawing]]]:
    """Role, source and drawings: every source's own, then the skin tones of those that are trained on."""
    trained = tuple(source for source in SOURCES if source.role == "train")
    drawn, toned = _joined(archives, concepts, SOURCES), _joined(archives, load_tones(base, concepts), trained)
    return [(source.role, source, drawn[source.style]) for source in SOURCES] + [
        ("tone", source, toned[source.style]) for source in trained
    ]


def _archives(cache: Path, progress: bool) -> dict[str, dict[str, bytes]]:
    packages = [(p, (".json",)) for p in CAPTION_PACKAGES]
    packages += [(s.package, (".webp",) if s.layout == "webp" else ("icons.json", "chars.json")) for s in SOURCES]
    bar = tqdm(packages, desc="packages", disable=not progress)
    return {package.name: read_members(fetch_package(package, cache), suffixes) for package, suffixes in bar}


def credits_text() -> str:
    """The credits that travel with the data and with every model trained on it."""
    lines = ["# Credits of the artwork", "", "| style | use | licence | work | package |", "|---|---|---|---|---|"]
    lines += [
        f"| {s.style} | {'training' if s.role == 'train' else 'judge only'} | {s.licence} | {s.credit} | "
        f"`{s.package.name}` {s.package.version} |"
        for s in SOURCES
    ]
    lines += [
        "",
        "Labels and tags: emojibase-data (MIT) and emojilib (MIT).",
        "",
        "The drawings were rendered to bitmaps and are otherwise unchanged; the licences above hold for the bitmaps too.",
        "",
        "The weights of the zoo's models were trained on the training sets alone. The judge's weights (`zoo/judge`) were trained",
        "on the judge sets, share-alike artwork among them, and are shared under CC-BY-SA-4.0.",
    ]
    return "\n".join(lines) + "\n"


def build_emoji(out: Path, *, size: int = 128, cache: Path | None = None, workers: int = 2, progress: bool = True) -> dict:
    """Build the data set into ``out`` and return its index.

    ``cache`` keeps the fetched packages (default: ``out/packages``). Raises :class:`FetchError` if a package cannot be had and
    :class:`DataError` if ``out`` holds shards of another format or image size.
    """
    check_size(size)
    out.mkdir(parents=True, exist_ok=True)
    plan_path = out / "plan.json"
    packages = (*CAPTION_PACKAGES, *(source.package for source in SOURCES))
    plan = {
        "format": FORMAT,
        "size": size,
        "shard_size": SHARD_SIZE,
        "packages": sorted(f"{package.name}@{package.version}" for package in packages),
    }
    if read_plan(plan_path) not in (None, plan):
        raise DataError(f"{out}: holds a build with other settings ({plan_path.name}); choose another folder or delete it")
    write_atomic(plan_path, json.dumps(plan, indent=1).encode())

    archives = _archives(cache or out / "packages", progress)
    base, lib = (archives[package.name] for package in CAPTION_PACKAGES)
    concepts = load_concepts(base, lib)
    jobs = []
    for role, source, found in _planned(archives, base, concepts):
        for number, start in enumerate(range(0, len(found), SHARD_SIZE)):
            path = out / shard_name(role, source.style, number)
            jobs.append(_Job(path, role, source, size, tuple(found[start : start + SHARD_SIZE])))
    waiting = [job for job in jobs if not job.path.exists()]
    total = sum(len(job.drawings) for job in jobs)
    with tqdm(total=total, desc="drawings", disable=not progress) as bar:
        bar.update(total - sum(len(job.drawings) for job in waiting))
        with ProcessPoolExecutor(workers) as pool:
            for count in pool.map(_run_job, waiting):
                bar.update(count)
    shards = [index_entry(job.path, job.role, job.source.style, len(job.drawings)) for job in jobs]
    index = {"format": FORMAT, "size": size, "concepts": len(concepts), "shards": shards}
    names = json.dumps(load_names(base, concepts), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    write_atomic(out / NAMES, names.encode())
    write_atomic(out / "CREDITS.md", credits_text().encode())
    write_atomic(out / "index.json", json.dumps(index, indent=1).encode())
    return index


def extract_sample(data: Path, out: Path, count: int = 200) -> None:
    """Write the small committed sample: ``count`` training drawings spread over all styles and concepts, as one shard."""
    styles = [s.style for s in SOURCES if s.role == "train"]
    chosen = []
    for style in styles:
        pool = [sample for path in shard_paths(data, "train", style) for sample in read_shard(path)]
        step = len(pool) / (count / len(styles))
        chosen += [pool[int(i * step)] for i in range(count // len(styles))]
    write_shard(out, chosen)

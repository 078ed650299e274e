"""Build the emoji data set: pinned packages → concepts → RGBA drawings → tar shards and an index.

    python -m mvae data build emoji --out data/emoji

writes ``train-STYLE-NNNNN.tar`` and ``judge-STYLE-NNNNN.tar`` (at most 500 drawings each), ``index.json`` and ``CREDITS.md``. The same bytes
come out every time. A stopped build goes on where it was: finished shards are kept. About 4 minutes on 2 cores.
"""

import hashlib
import io
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from mvae.config import caption
from mvae.data.concepts import Concept, join_icons, join_names, load_concepts, name_index
from mvae.data.fetch import fetch_package, read_members
from mvae.data.render import fit_square, lossless_webp, render_icon
from mvae.data.shards import Sample, read_shard, write_atomic, write_shard
from mvae.data.sources import CAPTION_PACKAGES, SOURCES, Source
from mvae.errors import DataError

SHARD_SIZE = 500
FORMAT = 1


@dataclass(frozen=True)
class _Job:
    path: Path
    source: Source
    size: int
    drawings: tuple[tuple[Concept, str, object], ...]
    """(concept, icon name, artwork): artwork is an iconify entry with its defaults, or the bytes of an image."""


def _draw(source: Source, artwork, size: int) -> Image.Image:
    if source.layout == "webp":
        return fit_square(Image.open(io.BytesIO(artwork)), size)
    icon, defaults = artwork
    return render_icon(icon, defaults, size)


def _sample(source: Source, concept: Concept, name: str, artwork, size: int) -> Sample:
    meta = {
        "caption": caption(concept.label, source.style),
        "concept": concept.code,
        "group": concept.group,
        "label": concept.label,
        "licence": source.licence,
        "name": name,
        "role": source.role,
        "source": f"{source.package.name}@{source.package.version}",
        "split": concept.split,
        "style": source.style,
        "subgroup": concept.subgroup,
        "tags": list(concept.tags),
    }
    image = lossless_webp(_draw(source, artwork, size))
    return Sample(f"{source.style}_{concept.code}", image, meta["caption"], meta)


def _run_job(job: _Job) -> int:
    write_shard(job.path, [_sample(job.source, *drawing, job.size) for drawing in job.drawings])
    return len(job.drawings)


def _joined(archives: dict[str, dict[str, bytes]]) -> tuple[dict[str, Concept], dict[str, list[tuple[Concept, str, object]]]]:
    """All concepts, and per style the drawings that have one, in code order."""
    base, lib = (archives[package.name] for package in CAPTION_PACKAGES)
    concepts = load_concepts(base, lib)
    tables = {s.style: json.loads(archives[s.package.name]["icons.json"]) for s in SOURCES if s.layout == "iconify"}
    chars = {s.style: json.loads(archives[s.package.name]["chars.json"]) for s in SOURCES if s.join == "chars"}
    index = name_index(concepts, base, [chars["fluent-flat"], chars["twemoji"], chars["noto"], chars["openmoji"]])
    # Fluent's two vector sets share their names, and one of them carries the code points.
    flat_names = {name: code for code, name in chars["fluent-flat"].items()}
    drawings: dict[str, dict[str, tuple[str, object]]] = {}
    for source in SOURCES:
        if source.layout == "webp":
            # Drawings without a counterpart in the other Fluent sets have an unclear origin (flags, some people): dropped.
            known = set(drawings["fluent"]) | set(drawings["fluent-flat"])
            files = {Path(name).stem: data for name, data in archives[source.package.name].items()}
            codes = {"-".join(p for p in stem.split("-") if p != "fe0f"): stem for stem in sorted(files)}
            drawings[source.style] = {c: (s, files[s]) for c, s in codes.items() if c in concepts and c in known}
            continue
        table = tables[source.style]
        icons, aliases = table["icons"], table.get("aliases", {})
        if source.style == "fluent":
            own = {code: name for name, code in flat_names.items() if name in icons}
            joined = join_icons(icons, own, aliases, concepts)
        elif source.join == "chars":
            joined = join_icons(icons, chars[source.style], aliases, concepts)
        else:
            joined = join_names(icons, index)
        defaults = {key: table[key] for key in ("width", "height") if key in table}
        drawings[source.style] = {code: (name, (icons[name], defaults)) for code, name in joined.items()}
    return concepts, {
        style: [(concepts[code], *found[code]) for code in sorted(found)] for style, found in drawings.items()
    }


def _archives(cache: Path, progress: bool) -> dict[str, dict[str, bytes]]:
    packages = [(p, (".json",)) for p in CAPTION_PACKAGES]
    packages += [(s.package, (".webp",) if s.layout == "webp" else ("icons.json", "chars.json")) for s in SOURCES]
    bar = tqdm(packages, desc="packages", disable=not progress)
    return {package.name: read_members(fetch_package(package, cache), suffixes) for package, suffixes in bar}


def credits_text() -> str:
    """The credits that travel with the data and with every model trained on it."""
    lines = ["# Credits of the artwork", "", "| style | use | licence | work | package |", "|---|---|---|---|---|"]
    lines += [
        f"| {s.style} | {'training' if s.role == 'train' else 'judge only'} | {s.licence} | {s.credit} | `{s.package.name}` {s.package.version} |"
        for s in SOURCES
    ]
    lines += [
        "",
        "Labels and tags: emojibase-data (MIT) and emojilib (MIT). The drawings were rendered to bitmaps; the licences above hold for them.",
    ]
    return "\n".join(lines) + "\n"


def build_emoji(out: Path, *, size: int = 128, cache: Path | None = None, workers: int = 2, progress: bool = True) -> dict:
    """Build the data set into ``out`` and return its index.

    ``cache`` keeps the fetched packages (default: ``out/packages``). Raises :class:`FetchError` if a package cannot be had and
    :class:`DataError` if ``out`` holds shards of another format or image size.
    """
    if not 16 <= size <= 512:
        raise DataError(f"image size: got {size}, expected 16 to 512 pixels")
    out.mkdir(parents=True, exist_ok=True)
    plan_path = out / "plan.json"
    plan = {"format": FORMAT, "size": size, "shard_size": SHARD_SIZE, "packages": sorted(
        f"{p.name}@{p.version}" for p in (*CAPTION_PACKAGES, *(s.package for s in SOURCES)))}
    if plan_path.exists() and json.loads(plan_path.read_text()) != plan:
        raise DataError(f"{out}: holds a build with other settings ({plan_path.name}); choose another folder or delete it")
    write_atomic(plan_path, json.dumps(plan, indent=1).encode())

    concepts, drawings = _joined(_archives(cache or out / "packages", progress))
    jobs = []
    for source in SOURCES:
        found = drawings[source.style]
        for number, start in enumerate(range(0, len(found), SHARD_SIZE)):
            path = out / f"{source.role}-{source.style}-{number:05d}.tar"
            jobs.append(_Job(path, source, size, tuple(found[start : start + SHARD_SIZE])))
    waiting = [job for job in jobs if not job.path.exists()]
    total = sum(len(job.drawings) for job in jobs)
    with tqdm(total=total, desc="drawings", disable=not progress) as bar:
        bar.update(total - sum(len(job.drawings) for job in waiting))
        with ProcessPoolExecutor(workers) as pool:
            for count in pool.map(_run_job, waiting):
                bar.update(count)
    index = {"format": FORMAT, "size": size, "concepts": len(concepts), "shards": []}
    for job in jobs:
        content = job.path.read_bytes()
        index["shards"].append({
            "file": job.path.name, "role": job.source.role, "style": job.source.style, "samples": len(job.drawings),
            "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        })
    write_atomic(out / "CREDITS.md", credits_text().encode())
    write_atomic(out / "index.json", json.dumps(index, indent=1).encode())
    return index


def extract_sample(data: Path, out: Path, count: int = 200) -> None:
    """Write the small committed sample: ``count`` training drawings spread over all styles and concepts, as one shard."""
    styles = [s.style for s in SOURCES if s.role == "train"]
    chosen = []
    for style in styles:
        pool = [s for path in sorted(data.glob(f"train-{style}-*.tar")) for s in read_shard(path)]
        step = len(pool) / (count / len(styles))
        chosen += [pool[int(i * step)] for i in range(count // len(styles))]
    write_shard(out, chosen)

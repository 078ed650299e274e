"""Captioned pictures of your own: a folder of images and captions → the same tar shards that the emoji build writes.

    python -m mvae data build my-pictures --out data/mine

Captions stand either in ``metadata.csv`` at the top of the folder (columns ``file_name`` and ``text``, optionally ``style``), or
beside each picture as ``NAME.txt``. A style is a word that prompts can begin with, as ``noto`` in "noto red apple". One caption
in twenty, always the same ones, is kept apart as ``unseen``. Building again after a change draws only the shards that changed.
"""

import csv
import hashlib
import io
import json
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from mvae.config import caption
from mvae.data.concepts import split_of_key
from mvae.data.render import fit_square, lossless_webp
from mvae.data.shards import SHARD_SIZE, Sample, check_size, index_entry, read_plan, shard_name, write_shard
from mvae.engine.images import open_image
from mvae.errors import DataError
from mvae.files import write_atomic

FORMAT = "folder-1"
METADATA = "metadata.csv"
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
NO_STYLE = "pictures"
"""Names the shards of pictures without a style."""
_STYLE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Picture:
    """One picture and what it shows."""

    file: str
    """Path below the folder, with forward slashes."""
    text: str
    style: str
    """"" where none was given."""
    sha256: str


def read_folder(folder: Path, *, progress: bool = False) -> list[Picture]:
    """All captioned pictures of ``folder``, sorted by style and path; hidden files and folders are left out.

    Raises :class:`DataError` naming the file for: no pictures, a missing, empty or undecodable caption, two captions of one
    picture or two pictures of one caption file, a row whose file is absent or leads out of the folder, a bad table or style;
    and :class:`ImageError` naming the file for a picture that is unreadable, animated, or of more than ``IMAGE_MAX_PIXELS``.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; expected images with captions, or the word emoji")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if _is_picture(path.relative_to(folder)))
    if not files:
        raise DataError(f"{folder}: no pictures; expected files ending in {', '.join(sorted(PICTURE_SUFFIXES))}")
    table = folder / METADATA
    texts = _captions_of_table(table, set(files)) if table.exists() else _captions_beside(folder, files)
    pictures = []
    for file in tqdm(files, desc="checking pictures", disable=not progress):
        if file not in texts:
            raise DataError(f"{folder / file}: no caption; expected a row for it in {table}")
        open_image(folder / file)
        text, style = texts[file]
        pictures.append(Picture(file, text, style, hashlib.sha256((folder / file).read_bytes()).hexdigest()))
    return sorted(pictures, key=lambda picture: (picture.style, picture.file))


def build_folder(folder: Path, out: Path, *, size: int = 128, workers: int = 2, progress: bool = True) -> dict:
    """Build ``out`` from the pictures of ``folder``, scaled to fit ``size`` × ``size`` on transparency, and return its index.

    Raises what :func:`read_folder` raises, before anything is written, and :class:`DataError` if ``out`` holds another kind of
    build.
    """
    check_size(size)
    plan_path = out / "plan.json"
    plan = read_plan(plan_path) or {"format": FORMAT, "shards": {}}
    if plan.get("format") != FORMAT:
        raise DataError(f"{out}: holds a build of another kind ({plan_path.name}); choose another folder")
    pictures = read_folder(folder, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    shards = {}
    for style in dict.fromkeys(picture.style for picture in pictures):
        chosen = [picture for picture in pictures if picture.style == style]
        for number, start in enumerate(range(0, len(chosen), SHARD_SIZE)):
            shards[shard_name("train", style or NO_STYLE, number)] = chosen[start : start + SHARD_SIZE]
    digests = {name: _digest(chosen, size) for name, chosen in shards.items()}
    for name in plan["shards"].keys() - shards.keys():
        (out / name).unlink(missing_ok=True)
    # The plan lists a shard only while the file is what the plan says: a stopped build goes on where it was.
    done = {name: digest for name, digest in digests.items() if plan["shards"].get(name) == digest and (out / name).exists()}
    _write_json(plan_path, {"format": FORMAT, "shards": done})
    waiting = [name for name in shards if name not in done]
    with (
        tqdm(total=len(pictures), initial=sum(len(shards[name]) for name in done), desc="pictures", disable=not progress) as bar,
        ProcessPoolExecutor(workers) as pool,
    ):
        jobs = [pool.submit(_write_pictures, folder, out / name, shards[name], size) for name in waiting]
        for name, job in zip(waiting, jobs, strict=True):
            job.result()
            done[name] = digests[name]
            _write_json(plan_path, {"format": FORMAT, "shards": done})
            bar.update(len(shards[name]))
    index = {
        "format": FORMAT,
        "size": size,
        "concepts": len({picture.text for picture in pictures}),
        "shards": [index_entry(out / name, "train", chosen[0].style, len(chosen)) for name, chosen in shards.items()],
    }
    _write_json(out / "index.json", index)
    return index


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _captions_beside(folder: Path, files: list[str]) -> dict[str, tuple[str, str]]:
    owners: dict[Path, str] = {}
    texts = {}
    for file in files:
        path = (folder / file).with_suffix(".txt")
        if path in owners:
            raise DataError(f"{folder / file}: shares {path.name} with {owners[path]}; expected one picture a caption file")
        owners[path] = file
        if not path.is_file():
            raise DataError(f"{folder / file}: no caption; expected {path.name} beside it, or {METADATA} in {folder}")
        texts[file] = (_clean(_read_text(path), str(path)), "")
    return texts


def _captions_of_table(table: Path, files: set[str]) -> dict[str, tuple[str, str]]:
    reader = csv.DictReader(io.StringIO(_read_text(table), newline=""), strict=True)
    columns = reader.fieldnames or []
    if not {"file_name", "text"} <= set(columns):
        raise DataError(f"{table}: got columns {columns}, expected file_name and text, optionally style")
    texts: dict[str, tuple[str, str]] = {}
    try:
        for row in reader:
            where = f"{table}, line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{where}: expected {len(columns)} fields, as in the first line")
            name = PurePosixPath(row["file_name"])
            if name.is_absolute() or ".." in name.parts or "\\" in row["file_name"]:
                raise DataError(f"{where}: {row['file_name']!r} leads out of the folder; expected a path below it, with / only")
            if str(name) not in files:
                raise DataError(f"{where}: {row['file_name']!r} is not a picture in {table.parent}")
            if str(name) in texts:
                raise DataError(f"{where}: {row['file_name']!r} has a row already; expected one row a picture")
            style = (row.get("style") or "").strip()
            if style and not _STYLE.fullmatch(style):
                raise DataError(f"{where}: style {style!r}; expected lower-case letters, digits and single hyphens")
            texts[str(name)] = (_clean(row["text"], where), style)
    except csv.Error as error:
        raise DataError(f"{table}, after line {reader.line_num}: not valid CSV ({error})") from None
    return texts


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _clean(text: str, where: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise DataError(f"{where}: the caption is empty")
    return text


def _digest(pictures: list[Picture], size: int) -> str:
    return hashlib.sha256(json.dumps([size, *map(asdict, pictures)], sort_keys=True).encode()).hexdigest()


def _write_pictures(folder: Path, path: Path, pictures: list[Picture], size: int) -> None:
    write_shard(path, [_sample(folder, picture, size) for picture in pictures])


def _sample(folder: Path, picture: Picture, size: int) -> Sample:
    key = picture.text.lower()
    meta = {
        "caption": caption(picture.text, picture.style),
        "concept": hashlib.sha256(key.encode()).hexdigest()[:16],
        "group": "pictures",
        "label": picture.text,
        "licence": "",
        "name": picture.file,
        "role": "train",
        "source": folder.name,
        "split": split_of_key(key),
        "style": picture.style,
        "subgroup": "pictures",
        "tags": [],
    }
    image = lossless_webp(fit_square(open_image(folder / picture.file), size))
    # Named by the path, not by a running number: a picture keeps its key when others are added.
    return Sample(hashlib.sha256(picture.file.encode()).hexdigest()[:20], image, meta["caption"], meta)


def _write_json(path: Path, content: dict) -> None:
    write_atomic(path, json.dumps(content, indent=1).encode())

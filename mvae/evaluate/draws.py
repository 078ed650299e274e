"""Which stickers are drawn for an evaluation, and drawing them so that a killed evaluation goes on where it was.

Tokens are kept in one ``.jsonl`` file whose name is a digest of everything they depend on: the entry's manifest (which fixes
every byte of the model), the level, the options, and the engine's own source. Another model, option or sampler therefore
never finds them.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import local

import numpy as np
from tqdm import tqdm

from mvae.config import PROMPT_MAX_CHARACTERS
from mvae.engine.entry import split_name
from mvae.engine.model import Model, load
from mvae.engine.options import Options
from mvae.errors import DataError, OptionError
from mvae.evaluate.drawings import Stored
from zoo import fetch, manifest


@dataclass(frozen=True)
class Draw:
    """One sticker to ask for."""

    label: str
    style: str
    seed: int


def choose_pairs(stored: Sequence[Stored], split: str, samples: int, seed: int) -> list[int]:
    """Indices into ``stored``: (concept, style) pairs of one split that have a real drawing, in an order fixed by ``seed``.

    Every pair comes once before any comes twice. Raises :class:`DataError` if there is none.
    """
    there = [
        number for number, drawing in enumerate(stored) if drawing.split == split and len(drawing.label) <= PROMPT_MAX_CHARACTERS
    ]
    if not there:
        raise DataError(f"no drawings of split {split!r} among {len(stored)}; expected some")
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(there))
    return [there[order[number % len(there)]] for number in range(samples)]


def digest_of(name: str, folder: Path | None, options: Options) -> str:
    """Identifies everything that the tokens of a prompt, style and seed depend on."""
    entry, level = split_name(name)
    digest = hashlib.sha256(json.dumps([entry, level, asdict(options)], sort_keys=True).encode())
    digest.update((fetch.locate(entry, folder) / manifest.MANIFEST).read_bytes())
    for path in sorted(Path(__file__).resolve().parents[1].glob("engine/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _read_cache(path: Path) -> dict[Draw, tuple[int, ...]]:
    """What is there; a last line that a kill cut short is dropped from the file too, so that the next one starts afresh."""
    if not path.is_file():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    found = {}
    for line in whole.splitlines():
        row = json.loads(line)
        found[Draw(row["label"], row["style"], row["seed"])] = tuple(row["tokens"])
    return found


def draw_tokens(
    name: str, folder: Path | None, options: Options, draws: Sequence[Draw], cache: Path, workers: int = 1
) -> np.ndarray:
    """Tokens of every draw, int64 [N, positions]; only what ``cache`` (a folder) does not hold is drawn.

    ``workers`` models of one thread each run side by side; the tokens don't depend on their number. Raises what the engine
    raises, and :class:`OptionError` for ``workers``.
    """
    if not 1 <= workers <= 64:
        raise OptionError(f"workers is {workers}; expected 1 to 64")
    path = cache / f"{name}-{digest_of(name, folder, options)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = _read_cache(path)
    wanted = [draw for draw in dict.fromkeys(draws) if draw not in known]
    if wanted:
        with path.open("a", encoding="utf-8") as file:
            progress = tqdm(
                _drawn(name, folder, options, wanted, workers), total=len(wanted), desc=f"drawing with {name}", unit="sticker"
            )
            for draw, tokens in progress:
                known[draw] = tokens
                file.write(json.dumps(asdict(draw) | {"tokens": tokens}, ensure_ascii=False) + "\n")
                file.flush()
    return np.array([known[draw] for draw in draws], np.int64)


def _drawn(
    name: str, folder: Path | None, options: Options, wanted: list[Draw], workers: int
) -> Iterator[tuple[Draw, tuple[int, ...]]]:
    """Pairs as they are ready. A worker takes one chunk after the other with a model of its own."""
    own = local()

    def work(chunk: list[Draw]) -> list[tuple[Draw, tuple[int, ...]]]:
        if not hasattr(own, "model"):
            own.model = load(name, threads=1, folder=folder)
        model: Model = own.model
        chosen = asdict(options)
        return [(draw, model.generate(draw.label, style=draw.style, seed=draw.seed, **chosen).tokens) for draw in chunk]

    chunks = [wanted[start : start + 8] for start in range(0, len(wanted), 8)]
    pool = ThreadPoolExecutor(workers)
    try:
        for future in as_completed([pool.submit(work, chunk) for chunk in chunks]):
            yield from future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""``python -m mvae reproduce prompts``: what one model makes of people's words, other languages and combinations in no data set.

Everything is drawn by the engine with the model's own options, what it recalls included. Each score stands beside the same
measure of real pictures, as they are and through the model's tokens; what is asked for in other words stands beside the same
drawings asked for by label.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mvae.data.compose import Composer
from mvae.data.dataset import Pictures, load_pictures
from mvae.engine.model import Model, load
from mvae.errors import OptionError
from mvae.evaluate.cga import decode_all, roundtrip_of
from mvae.evaluate.draws import Draw, draw_tokens
from mvae.evaluate.judge import Judge
from mvae.evaluate.probes import SCENE_KINDS, Probe, check, scene_probes, straight, word_probes
from mvae.evaluate.results import write_study

COLUMNS = (
    "model", "set", "asked", "stickers", "object", "object_5", "attribute", "token_object", "token_attribute", "real_object",
    "real_attribute", "label_object", "of_label", "tokens_as_nearest", "recited", "command",
)
ATTRIBUTES = ("colour", "background", "count", "place")
RECITED = 0.95
"""A sticker that shares more of its tokens with one training drawing has been recited."""
SEEDS = 4
"""Stickers of each prompt that variety is measured on."""
CACHE = Path(".cache/evaluate")


def run_all(
    name: str, data: Path, zoo: Path | None, *, samples: int, workers: int, results: Path, seed: int = 0
) -> list[dict]:
    """Draw, measure and write the table. Raises :class:`OptionError` for numbers out of range, and what the engine raises."""
    if samples < 2 or seed < 0:
        raise OptionError(f"samples is {samples}, seed is {seed}; expected at least 2 and at least 0")
    model, judge = load(name, threads=1, folder=zoo), Judge()
    pictures = load_pictures(data, size=model.image_size, split="train")
    # One at a time: all of them in floating point would take gigabytes.
    drawings = (Image.fromarray(straight(picture[None])[0]) for picture in tqdm(pictures.pixels, desc="encoding"))
    known = np.array([model.encode(drawing) for drawing in drawings])

    def drawn(probes: Sequence[Probe], first_seed: int = seed) -> np.ndarray:
        draws = [Draw(probe.prompt, probe.style, first_seed + number) for number, probe in enumerate(probes)]
        return draw_tokens(name, zoo, model.defaults, draws, CACHE, workers)

    # What is in the memory was encoded in full precision, and is what a model recites.
    stored = known if model.memory is None else np.concatenate([known, model.memory.tokens])
    rows = _words(model, judge, pictures, known, stored, drawn, samples, seed)
    composer = Composer(pictures.pixels, pictures.meta, seed)
    for kind in SCENE_KINDS:
        probes, real = scene_probes(composer, kind, samples)
        tokens = drawn(probes)
        found = check(judge, decode_all(model, tokens, "decoding"), probes)
        through = check(judge, roundtrip_of(model, "through tokens")(real), probes)
        row = {"set": "composition", "asked": kind, "stickers": len(probes), **_recited(tokens, stored)}
        for prefix, measured in (("", found), ("token_", through), ("real_", check(judge, real, probes))):
            row |= {f"{prefix}object": float(measured["object"].mean())}
            row |= {f"{prefix}attribute": float(measured[name].mean()) for name in ATTRIBUTES if name in measured}
        rows.append(row | {"object_5": float(found["object_5"].mean())})
    command = f"python -m mvae reproduce prompts --model {name} --samples {samples} --seed {seed} --workers {workers}"
    rows = [dict.fromkeys(COLUMNS, "") | {"model": name, "command": command} | row for row in rows]
    write_study(results, f"prompts-{name}", COLUMNS, rows, digits=4)
    return rows


def _words(
    model: Model, judge: Judge, pictures: Pictures, known: np.ndarray, stored: np.ndarray, drawn, samples: int, seed: int
) -> list[dict]:
    """Labels, other words for them and other languages; then how much the stickers of one label differ.

    ``known``: tokens of the pictures; ``stored``: all drawings that may be recited.
    """
    rows, by_label = [], {}
    sets = word_probes(pictures, samples, seed)
    for way, (probes, numbers) in sets.items():
        if not probes:
            continue
        tokens = drawn(probes)
        found = check(judge, decode_all(model, tokens, "decoding"), probes)
        kind = "label" if way == "label" else "language" if way in pictures.meta[0].get("names", {}) else "other words"
        row = {"set": kind, "asked": way, "stickers": len(probes), **_recited(tokens, stored)}
        row |= {name: float(found[name].mean()) for name in ("object", "object_5")}
        if way == "label":
            by_label = dict(zip(numbers, found["object"].tolist(), strict=True))
            real = straight(pictures.pixels[numbers])
            row["real_object"] = float(check(judge, real, probes)["object"].mean())
            row["token_object"] = float(check(judge, decode_all(model, known[numbers], "decoding"), probes)["object"].mean())
        else:
            row["label_object"] = float(np.mean([by_label[number] for number in numbers]))
            row["of_label"] = row["object"] / max(row["label_object"], 1e-9)
        rows.append(row)
    probes = sets["label"][0][: max(2, samples // SEEDS)]
    seeds = np.stack([drawn(probes, seed + 1000 * (1 + turn)) for turn in range(SEEDS)])
    same = [np.mean(seeds[a] == seeds[b]) for a in range(SEEDS) for b in range(a)]
    about = {"set": "variety", "asked": f"equal tokens of {SEEDS} seeds", "stickers": len(probes)}
    return [*rows, about | {"attribute": float(np.mean(same))}]


def _recited(tokens: np.ndarray, stored: np.ndarray) -> dict[str, float]:
    """``tokens_as_nearest``: mean share of a sticker's tokens that its nearest training drawing has at the same place;
    ``recited``: share of stickers that are nearly a training drawing."""
    nearest = np.array([(stored == row).mean(1).max() for row in tokens])
    return {"tokens_as_nearest": float(nearest.mean()), "recited": float((nearest >= RECITED).mean())}

"""Prompts beyond labels: what is asked, what should be seen, and whether it is.

A probe is a prompt with everything that can be checked of the answer: which objects a judge should name in which part of the
sticker, and what pixels should say (:mod:`mvae.evaluate.attributes`). The same checks on the real composition are its ceiling.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch

from mvae.data.compose import PLACES, Composer, Scene, plural
from mvae.data.dataset import Pictures
from mvae.data.paraphrase import TEST_SENTENCES, in_a_sentence, in_other_order, mistyped
from mvae.engine.pages import SMALL
from mvae.evaluate.attributes import background_of, components, extent_of, is_coloured, part_of, place_of
from mvae.evaluate.ceilings import recognition
from mvae.evaluate.judge import Judge
from mvae.models.export_wrappers import straight_pixels

WHOLE = (0.0, 0.0, 1.0, 1.0)
HALVES = {"beside": ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)), "above": ((0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0))}
"""Where the first and the second object are looked for: left and right, or above and below."""
SCENE_KINDS = ("colour", "shade", "background", "place", "count", "beside", "above")
FAR = 1_000_000
"""Numbers of test scenes that hold out no pair begin here: no training run goes so far."""


@dataclass(frozen=True)
class Probe:
    """One prompt."""

    prompt: str
    style: str
    objects: tuple[tuple[str, tuple[float, float, float, float]], ...]
    """Concept and the part of the sticker where it should be."""
    colour: str | None = None
    background: str | None = None
    count: int | None = None
    place: tuple[int, int] | None = None
    small: bool = False


def held_out_scenes(composer: Composer, kind: str, count: int) -> list[Scene]:
    """``count`` compositions of one kind that no model was trained on: of held-out pairs, or of numbers beyond training.

    Of things to be counted those alone whose real pictures hang together: others have more parts than there are things.
    """
    held_out = kind in ("colour", "shade", "beside", "above")
    scenes = (composer.plan(number, kind, testing=held_out) for number in itertools.count(0 if held_out else FAR))
    if kind == "count":
        scenes = (scene for scene in scenes if len(components(straight(composer.draw(scene)[None])[0])) == len(scene.parts))
    return list(itertools.islice(scenes, count))


def scene_probes(composer: Composer, kind: str, count: int) -> tuple[list[Probe], np.ndarray]:
    """What to ask for ``count`` of :func:`held_out_scenes`, and their real pictures, straight alpha [N, S, S, 4]."""
    scenes = held_out_scenes(composer, kind, count)
    drawn = np.stack([composer.draw(scene) for scene in scenes])
    return [_probe_of(composer, scene) for scene in scenes], straight(drawn)


def _probe_of(composer: Composer, scene: Scene) -> Probe:
    concepts = [composer.metas[part.picture]["concept"] for part in scene.parts]
    parts = {"beside": scene.parts, "above": scene.parts[::-1]}.get(scene.kind)
    if parts is None:
        objects = ((concepts[0], WHOLE),)
    else:
        objects = tuple(
            (composer.metas[part.picture]["concept"], half) for part, half in zip(parts, HALVES[scene.kind], strict=True)
        )
    found = {"prompt": scene.words, "style": composer.metas[scene.parts[0].picture]["style"], "objects": objects}
    if scene.kind in ("colour", "shade"):
        found["colour"] = scene.parts[0].colour
    elif scene.kind == "background":
        found["background"] = scene.background
    elif scene.kind == "count":
        found |= {"count": len(scene.parts), "objects": ((concepts[0], _box_of(scene)),)}
    elif scene.kind == "place":
        said = next((tuple(map(int, step)) for words, step in PLACES.items() if scene.words.endswith(words)), (0, 0))
        found |= {"place": said, "small": True, "objects": ((concepts[0], _box_of(scene)),)}
    return Probe(**found)


def _box_of(scene: Scene) -> tuple[float, float, float, float]:
    """The square of a scene's first small copy, a little widened."""
    part = scene.parts[0]
    reach = SMALL / 2 + 0.02
    return max(0.0, part.x - reach), max(0.0, part.y - reach), min(1.0, part.x + reach), min(1.0, part.y + reach)


def word_probes(pictures: Pictures, count: int, seed: int = 0) -> dict[str, tuple[list[Probe], list[int]]]:
    """The same drawings asked for by label and in other words: set → probes and the pictures they ask for.

    Drawings for which a way to say it does not exist (no plural, no word of their own) are left out of that set.
    """
    random = Random(seed)
    chosen = random.sample(range(len(pictures)), min(count, len(pictures)))
    owners: dict[str, set[str]] = {}
    for meta in pictures.meta:
        for tag in meta.get("tags", []):
            owners.setdefault(tag, set()).add(meta["concept"])

    def own_word(meta: dict) -> str | None:
        found = [tag for tag in meta.get("tags", []) if len(owners[tag]) == 1]
        return random.choice(found) if found else None

    ways: dict[str, Callable[[dict], str | None]] = {
        "label": lambda meta: meta["label"],
        "sentence": lambda meta: in_a_sentence(meta["label"], random, TEST_SENTENCES),
        "typing error": lambda meta: mistyped(meta["label"], random),
        "other order": lambda meta: in_other_order(meta["label"]),
        "plural": lambda meta: plural(meta["label"]),
        "keyword": own_word,
    }
    for locale in sorted({locale for meta in pictures.meta for locale in meta.get("names", {})}):
        ways[locale] = lambda meta, locale=locale: meta.get("names", {}).get(locale, [None])[0]
    sets = {}
    for way, say in ways.items():
        said = [(number, say(pictures.meta[number])) for number in chosen]
        kept = [(number, words) for number, words in said if words]
        sets[way] = [_asked(pictures.meta[number], words) for number, words in kept], [number for number, _ in kept]
    return sets


def _asked(meta: dict, words: str) -> Probe:
    return Probe(words, meta["style"], ((meta["concept"], WHOLE),))


def straight(premultiplied: np.ndarray) -> np.ndarray:
    """uint8 premultiplied pictures [N, S, S, 4] → straight alpha."""
    return straight_pixels(torch.from_numpy(np.array(premultiplied)).permute(0, 3, 1, 2).double() / 255).numpy()


def check(judge: Judge, stickers: np.ndarray, probes: Sequence[Probe]) -> dict[str, np.ndarray]:
    """What is as it should be, by probe: ``object`` and ``object_5`` (all objects named first, or among five) and, where it was
    asked for, ``colour``, ``background``, ``count``, ``place``; bool [N] each."""
    cuts, concepts, owner = [], [], []
    for number, (sticker, probe) in enumerate(zip(stickers, probes, strict=True)):
        for concept, part in probe.objects:
            cuts.append(sticker if part == WHOLE else part_of(sticker, part))
            concepts.append(concept)
            owner.append(number)
    ranks, _ = recognition(judge, np.stack(cuts), np.array(concepts), "judging")
    found = {}
    for name, top in (("object", 1), ("object_5", 5)):
        missed = np.bincount(owner, ranks >= top, minlength=len(probes))
        found[name] = missed == 0
    read: dict[str, Callable[[np.ndarray, Probe], bool]] = {
        "colour": lambda sticker, probe: is_coloured(sticker, probe.colour),
        "background": lambda sticker, probe: background_of(sticker) == probe.background,
        "count": lambda sticker, probe: len(components(sticker)) == probe.count,
        "place": lambda sticker, probe: place_of(sticker) == probe.place and (extent_of(sticker) < 0.65 or not probe.small),
    }
    for name, seen in read.items():
        if any(getattr(probe, name) is not None for probe in probes):
            found[name] = np.array([seen(sticker, probe) for sticker, probe in zip(stickers, probes, strict=True)])
    return found

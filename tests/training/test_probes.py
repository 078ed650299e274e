"""Prompts beyond labels, and the checks of what is drawn for them."""

import numpy as np
import pytest

from mvae.data.compose import Composer
from mvae.data.dataset import Pictures
from mvae.evaluate import probes
from mvae.evaluate.probes import HALVES, SCENE_KINDS, WHOLE, check, scene_probes, straight, word_probes

SIDE = 64
LABELS = ("ball", "kite", "egg", "bus", "drum", "cup", "shirt", "key", "red lamp", "map of japan")


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Squares, each of a height of its own."""
    pixels, metas = [], []
    for number, label in enumerate(LABELS):
        picture = np.zeros((SIDE, SIDE, 4), np.uint8)
        picture[10 : 34 + 2 * number, 12:52] = (220, 30, 30, 255)
        pixels.append(picture)
        metas.append({
            "label": label, "concept": label, "style": "noto", "group": "objects", "tags": ["thing", f"my {label}"],
            "names": {"de": [f"der {label}"], "fr": [f"le {label}", "chose"]},
        })
    return Pictures(np.stack(pixels), list(LABELS), metas)


class Named:
    """A judge that names every object by its shape: the squares' heights differ."""

    def __init__(self, monkeypatch, wrong: tuple[int, ...] = ()):
        self.asked: list[np.ndarray] = []

        def recognition(judge, cuts, concepts, *_):
            self.asked.append(cuts)
            return np.array([3 * (number in wrong) for number in range(len(cuts))]), None

        monkeypatch.setattr(probes, "recognition", recognition)


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_real_compositions_pass_their_own_checks(pictures, kind, monkeypatch):
    judge = Named(monkeypatch)
    asked, real = scene_probes(Composer(pictures.pixels, pictures.meta, 0), kind, 12)
    found = check(judge, real, asked)
    measured = {"shade": "colour"}.get(kind, kind)
    assert set(found) == {"object", "object_5", *({measured} & {"colour", "background", "count", "place"})}
    assert all(values.all() for values in found.values()), found
    parts = [part for probe in asked for _, part in probe.objects]
    assert len(judge.asked[0]) == len(parts) == (24 if kind in HALVES else 12)
    assert kind in ("count", "place") or set(parts) == set(HALVES.get(kind, (WHOLE,)))


def test_a_pair_counts_only_if_both_are_named(pictures, monkeypatch):
    asked, real = scene_probes(Composer(pictures.pixels, pictures.meta, 0), "beside", 4)
    found = check(Named(monkeypatch, wrong=(1, 4)), real, asked)
    assert found["object"].tolist() == [False, True, False, True] and found["object_5"].all()


def test_what_is_not_as_asked_is_found_out(pictures, monkeypatch):
    composer = Composer(pictures.pixels, pictures.meta, 0)
    for kind in ("colour", "background", "count", "place"):
        asked, _ = scene_probes(composer, kind, 6)
        plain = straight(pictures.pixels[np.zeros(6, int)])
        found = check(Named(monkeypatch), plain, asked)[kind].tolist()
        assert found == [getattr(probe, kind) is None for probe in asked], kind  # nothing behind it is what these have


def test_the_same_drawings_in_other_words(pictures):
    sets = word_probes(pictures, 8, seed=1)
    assert set(sets) == {"label", "sentence", "typing error", "other order", "plural", "keyword", "de", "fr"}
    labels, numbers = sets["label"]
    assert [probe.prompt for probe in labels] == [LABELS[number] for number in numbers] and len(set(numbers)) == 8
    for way, (asked, chosen) in sets.items():
        assert set(chosen) <= set(numbers) and [probe.objects[0][0] for probe in asked] == [LABELS[n] for n in chosen], way
    assert all(probe.prompt.startswith("my ") for probe in sets["keyword"][0])
    assert sets["fr"][0][0].prompt == f"le {LABELS[numbers[0]]}"
    assert all("map" not in probe.prompt for probe in sets["plural"][0])


def test_straight_alpha():
    made = straight(np.array([[[[100, 50, 0, 128], [0, 0, 0, 0]]]], np.uint8))
    assert made.tolist() == [[[[199, 100, 0, 128], [0, 0, 0, 0]]]]

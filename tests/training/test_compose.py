"""Compositions: pictures that show what their words say."""

import numpy as np
import pytest

from mvae.data.captions import HUES, SHADES, dominant_hue, shade_of
from mvae.data.compose import BACKGROUNDS, COUNTS, KINDS, Composer, held_out, plural

SIDE = 64
STYLES = ("noto", "twemoji")
LABELS = ("ball", "kite", "egg", "bus", "drum", "cup", "shirt", "key")


@pytest.fixture(scope="module")
def composer() -> Composer:
    """Squares of one colour and, the last two, of three; a third of the picture wide."""
    pixels, metas = [], []
    for style in STYLES:
        for number, label in enumerate(LABELS):
            picture = np.zeros((SIDE, SIDE, 4), np.uint8)
            picture[20:42, 16:48] = (220, 30, 30, 255)
            if number > 5:
                picture[20:26, 16:48], picture[30:36, 16:48] = (40, 170, 60, 255), (60, 60, 220, 255)
            pixels.append(picture)
            metas.append({"label": label, "concept": label, "style": style, "group": "objects", "tags": []})
    return Composer(np.stack(pixels), metas, seed=3)


def boxes(alpha: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) of what is opaque and hangs together."""
    left, found = {tuple(place) for place in np.argwhere(alpha > 128).tolist()}, []
    while left:
        group, waiting = [], [left.pop()]
        while waiting:
            y, x = waiting.pop()
            group.append((y, x))
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        ys, xs = zip(*group, strict=True)
        found.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return found


def test_the_same_number_is_the_same_scene_and_all_kinds_come(composer):
    scenes = [composer.plan(number) for number in range(300)]
    assert scenes == [composer.plan(number) for number in range(300)]
    shares = {kind: sum(scene.kind == kind for scene in scenes) / 300 for kind in KINDS}
    assert all(abs(shares[kind] - share) < 0.1 for kind, share in KINDS.items())
    assert len({scene.words for scene in scenes}) > 100


def test_what_is_kept_for_testing_is_never_trained_on(composer):
    for kind in ("colour", "shade", "beside", "above"):
        trained = {frozenset(composer.plan(number, kind).pair) for number in range(200)}
        tested = {frozenset(composer.plan(number, kind, testing=True).pair) for number in range(50)}
        assert trained and tested and not trained & tested
        assert all(held_out(*pair) for pair in tested) and not any(held_out(*pair) for pair in trained)
    assert held_out("a", "b") == held_out("b", "a")
    assert 0.05 < np.mean([held_out(str(i), "x") for i in range(1000)]) < 0.15


def test_colours_are_what_the_words_say(composer):
    for number in range(40):
        scene = composer.plan(number, "colour")
        word, *_ = scene.words.split()
        hue = dominant_hue(composer.draw(scene))
        assert hue is not None and abs((hue - HUES[word] + 180) % 360 - 180) < 8, scene
        assert not (word == "red" and composer.metas[scene.parts[0].picture]["label"] in LABELS[:6])  # that is no change


def test_shades_are_what_the_words_say(composer):
    seen = set()
    for number in range(40):
        scene = composer.plan(number, "shade")
        word, *_ = scene.words.split()
        seen.add(word)
        assert shade_of(composer.draw(scene)) == word, scene
    assert seen == set(SHADES)


def test_backgrounds_fill_the_picture_behind_the_object(composer):
    for number in range(30):
        scene = composer.plan(number, "background")
        drawn = composer.draw(scene)
        if scene.background is None:
            assert "transparent" in scene.words and not drawn[0, 0].any() and drawn[SIDE // 2, SIDE // 2, 3] == 255
            continue
        assert scene.background in scene.words and (drawn[..., 3] == 255).all()
        assert drawn[0, 0].tolist() == [*BACKGROUNDS[scene.background], 255] == drawn[-1, -1].tolist()
        assert drawn[SIDE // 2, SIDE // 2].tolist() != drawn[0, 0].tolist()
        assert " a orange" not in scene.words


def test_objects_are_where_the_words_say(composer):
    for number in range(80):
        scene = composer.plan(number, "place")
        ((left, top, right, bottom),) = boxes(composer.draw(scene)[..., 3])
        assert max(right - left, bottom - top) <= 0.52 * SIDE
        x, y = (left + right) / 2 / SIDE, (top + bottom) / 2 / SIDE
        assert ("left" in scene.words) == (x < 0.4) and ("right" in scene.words) == (x > 0.6), scene
        assert ("top" in scene.words) == (y < 0.4) and ("bottom" in scene.words) == (y > 0.6), scene


def test_counts_and_pairs_are_as_many_objects_apart(composer):
    for number in range(40):
        scene = composer.plan(number, "count")
        found = boxes(composer.draw(scene)[..., 3])
        assert COUNTS[len(found)] == scene.words.split()[0] and scene.words.endswith("s")
        scene = composer.plan(number, "beside")
        first, second = sorted(boxes(composer.draw(scene)[..., 3]))
        assert first[2] <= second[0]
        names = [composer.metas[part.picture]["label"] for part in scene.parts]
        assert scene.words.find(names[0]) < scene.words.rfind(names[1]) and scene.parts[0].x < scene.parts[1].x


def test_what_is_above_stands_above(composer):
    for number in range(40):
        scene = composer.plan(number, "above")
        lower, upper = scene.parts
        assert upper.y < lower.y
        names = [composer.metas[part.picture]["label"] for part in (upper, lower)]
        turned = " under " in scene.words or " below " in scene.words
        assert (scene.words.find(names[0]) < scene.words.find(names[1])) != turned
        assert scene.named == ((upper.picture, lower.picture) if not turned else (lower.picture, upper.picture))
        top, *_, bottom = sorted(boxes(composer.draw(scene)[..., 3]), key=lambda box: box[1])
        assert top[3] <= bottom[1]


def test_a_mirrored_picture_is_the_picture_from_behind(composer):
    scene = composer.plan(0, "mirrored")
    (part,) = scene.parts
    assert np.array_equal(composer.draw(scene), composer.pixels[part.picture][:, ::-1])


@pytest.mark.parametrize(
    ("label", "many"),
    [("red apple", "red apples"), ("mouse", "mice"), ("wolf", "wolves"), ("box", "boxes"), ("woman", "women"), ("grapes", None),
     ("slice of pizza", None), ("woman cook", None), ("keycap: 3", None), ("sun behind cloud", None)],
)
def test_plurals(label, many):
    assert plural(label) == many

"""Colour, background, number and place of objects, read from pixels."""

import numpy as np
import pytest

from mvae.data.compose import BACKGROUNDS
from mvae.evaluate.attributes import background_of, colour_of, components, extent_of, part_of, place_of

SIDE = 128


def sticker(*boxes: tuple[int, int, int, int], colour=(220, 30, 30)) -> np.ndarray:
    made = np.zeros((SIDE, SIDE, 4), np.uint8)
    for left, top, right, bottom in boxes:
        made[top:bottom, left:right] = (*colour, 255)
    return made


@pytest.mark.parametrize("word", BACKGROUNDS)
def test_backgrounds(word):
    made = sticker((0, 0, SIDE, SIDE), colour=BACKGROUNDS[word])
    made[40:90, 40:90, :3] = 128 - made[40:90, 40:90, :3] // 2
    assert background_of(made) == word
    made[:, :10, 3] = 0
    assert background_of(made) is None and background_of(sticker((30, 30, 90, 90))) is None


def test_colours():
    assert colour_of(sticker((20, 20, 100, 100))) == "red"
    assert colour_of(sticker((20, 20, 100, 100), colour=(40, 80, 220))) == "blue"
    assert colour_of(sticker((20, 20, 100, 100), colour=(120, 120, 120))) is None


def test_objects_that_do_not_touch_are_counted_and_crumbs_are_not():
    one, two, crumb = (5, 40, 55, 90), (70, 40, 120, 80), (60, 5, 63, 8)
    assert components(sticker(one, two, crumb)) == [one, two]
    assert components(sticker(one, (54, 40, 120, 80))) == [(5, 40, 120, 90)] and components(sticker()) == []
    winding = sticker((10, 10, 110, 14), (106, 10, 110, 110), (10, 106, 110, 110), (10, 30, 14, 110), (10, 30, 90, 34))
    assert len(components(winding)) == 1


@pytest.mark.parametrize(
    ("box", "place"),
    [((5, 5, 50, 50), (-1, -1)), ((40, 40, 88, 88), (0, 0)), ((80, 40, 120, 88), (1, 0)), ((40, 90, 88, 126), (0, 1))],
)
def test_places(box, place):
    assert place_of(sticker(box)) == place and place_of(sticker()) is None
    assert extent_of(sticker(box)) == max(box[2] - box[0], box[3] - box[1]) / SIDE and extent_of(sticker()) == 0


def test_a_part_fills_the_picture():
    made = part_of(sticker((5, 50, 45, 70), (80, 20, 100, 100), colour=(10, 200, 30)), (0.5, 0, 1, 1))
    ((left, top, right, bottom),) = components(made)
    assert bottom - top >= 116 and 27 <= right - left <= 33 and abs(left + right - SIDE) <= 2
    assert made[64, 64].tolist() == [10, 200, 30, 255]
    assert not part_of(sticker((5, 50, 45, 70)), (0.5, 0, 1, 1)).any()

"""Pictures in memory, what augmentation may do to them, and the words that must stay true when it does."""

import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvae.data import captions
from mvae.data.dataset import augment, load_pictures, rotate_hue, scale, shift
from mvae.errors import DataError


@pytest.fixture(scope="module")
def pictures(pytestconfig):
    return load_pictures(pytestconfig.rootpath / "tests" / "data" / "emoji-sample.tar", size=32, progress=False)


def stickers(count: int = 6, side: int = 16) -> torch.Tensor:
    """Random premultiplied RGBA [count, 4, side, side]."""
    generator = torch.Generator().manual_seed(3)
    alpha = torch.rand(count, 1, side, side, generator=generator)
    return torch.cat([torch.rand(count, 3, side, side, generator=generator) * alpha, alpha], 1)


def test_pictures_are_premultiplied_and_split(pictures, pytestconfig):
    assert pictures.pixels.shape == (len(pictures), 32, 32, 4) and pictures.pixels.dtype == np.uint8
    assert (pictures.pixels[..., :3] <= pictures.pixels[..., 3:]).all()
    batch = pictures.batch([3, 1])
    assert batch.shape == (2, 4, 32, 32) and batch.min() >= 0 and batch.max() <= 1
    assert torch.equal((batch[1] * 255).round().byte().permute(1, 2, 0), torch.from_numpy(pictures.pixels[1]))
    path = pytestconfig.rootpath / "tests" / "data" / "emoji-sample.tar"
    parts = [load_pictures(path, size=16, split=split, progress=False) for split in ("train", "unseen")]
    assert sum(map(len, parts)) == len(pictures) and all(parts)
    assert not {m["concept"] for m in parts[0].meta} & {m["concept"] for m in parts[1].meta}


def test_nothing_to_read_is_an_error_that_names_the_folder(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        load_pictures(tmp_path, size=16, progress=False)


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_shift_moves_whole_pixels(dx, dy):
    image = stickers(1)
    moved = shift(image, dx, dy)
    assert moved.shape == image.shape
    back = shift(moved, -dx, -dy)
    rows, columns = slice(max(-dy, 0), 16 - max(dy, 0)), slice(max(-dx, 0), 16 - max(dx, 0))
    assert torch.equal(back[..., rows, columns], image[..., rows, columns])
    assert moved.sum() <= image.sum() + 1e-3


def test_scale_by_one_is_the_identity_and_smaller_leaves_a_transparent_border():
    image = torch.ones(1, 4, 16, 16)
    assert torch.allclose(scale(image, 1.0), image, atol=1e-5)
    small = scale(image, 0.5)
    assert not small[..., 0, :].any() and torch.allclose(small[..., 8, 8], torch.ones(1, 4))
    assert float(small.sum()) == pytest.approx(4 * 64, rel=0.02)


def test_hue_turns_red_to_green_to_blue_and_all_the_way_round():
    red, green, blue = (torch.tensor([*colour, 1.0]).view(1, 4, 1, 1) for colour in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)))
    third = 2 * math.pi / 3
    assert torch.allclose(rotate_hue(red, third), green, atol=1e-6)
    assert torch.allclose(rotate_hue(green, third), blue, atol=1e-6)
    assert torch.allclose(rotate_hue(stickers(), 2 * math.pi), stickers(), atol=1e-5)


@given(st.floats(-10, 10))
def test_hue_keeps_greys_alpha_and_premultiplication(angle):
    image = stickers()
    turned = rotate_hue(image, angle)
    assert torch.equal(turned[:, 3], image[:, 3])
    assert (turned[:, :3] >= 0).all() and (turned[:, :3] <= turned[:, 3:]).all()
    grey = torch.full((1, 4, 1, 1), 0.5)
    assert torch.allclose(rotate_hue(grey, angle), grey, atol=1e-6)


def test_augmentation_depends_on_the_generator_alone_and_stays_premultiplied():
    image = stickers()
    once, twice, other = (augment(image, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, twice) and not torch.equal(once, other)
    assert once.shape == image.shape and once.min() >= 0
    assert (once[:, :3] <= once[:, 3:] + 1e-5).all()


@pytest.mark.parametrize(
    ("label", "group", "allowed"),
    [
        ("red apple", "food-drink", True),
        ("left arrow", "objects", False),
        ("flag: chile", "flags", False),
        ("alarm clock", "objects", False),
        ("bright moon", "travel", False),
        ("cleft", "objects", True),
    ],
)
def test_mirroring_is_refused_where_it_would_lie(label, group, allowed):
    assert captions.may_mirror({"label": label, "group": group}) is allowed


@pytest.mark.parametrize("word", captions.HUES)
def test_dominant_hue_finds_the_colour_that_the_word_names(word):
    colour = [round(255 * part) for part in colorsys.hsv_to_rgb(captions.HUES[word] / 360, 0.9, 0.9)]
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[4:16, 4:16] = [*colour, 255]
    assert captions.nearest_colour(captions.dominant_hue(pixels)) == word


def test_grey_many_coloured_and_tiny_pictures_have_no_dominant_hue():
    grey = np.full((20, 20, 4), 255, np.uint8)
    half = np.zeros((20, 20, 4), np.uint8)
    half[:10], half[10:] = (255, 0, 0, 255), (0, 255, 255, 255)
    tiny = np.zeros((20, 20, 4), np.uint8)
    tiny[:3, :3] = (255, 0, 0, 255)
    assert [captions.dominant_hue(pixels) for pixels in (grey, half, tiny)] == [None] * 3


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("red apple", "green apple"),
        ("cat", "green cat"),
        ("blue book", None),
        ("red and white flag", None),
        ("red red rose", None),
    ],
)
def test_recoloured_label_tells_the_truth_or_nothing(label, expected):
    assert captions.recoloured_label(label, "red", "green") == expected


def test_rewording_keeps_to_the_label_and_its_tags():
    assert captions.reworded("cat", [], [0.5, 0.1]) == "cat"
    said = {captions.reworded("cat", ["pet", "kitty"], [a / 10, b / 10]) for a in range(10) for b in range(10)}
    assert said == {"pet", "kitty", "cat pet", "cat kitty", "pet cat", "kitty cat"}
    assert [captions.with_article(label, 0.9) for label in ("apple", "cat")] == ["an apple", "a cat"]
    assert captions.with_article("apple", 0.1) == "apple"

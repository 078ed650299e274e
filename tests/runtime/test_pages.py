"""What is read of recalled stickers: pages, and small copies on the last one."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import mvae
from mvae.config import LatentConfig, recalled_at_most
from mvae.engine.memory import Caption, Memory
from mvae.engine.pages import SMALL, lay_out, small_page, small_places
from mvae.errors import DataError, OptionError

LATENT = LatentConfig(grid=4)
WHOLE, COPIES = np.arange(48).reshape(3, 16), 100 + np.arange(12).reshape(3, 4)


def test_without_small_copies_a_page_is_a_sticker():
    ids, there = lay_out(WHOLE[:1], None, 2, LATENT)
    assert np.array_equal(ids[0], WHOLE[0]) and there.tolist() == [[True] * 16, [False] * 16]
    ids, there = lay_out(WHOLE, None, 2, LATENT)
    assert np.array_equal(ids, WHOLE[:2]) and there.all()


def test_small_copies_stand_in_the_upper_quarters_of_the_last_page():
    ids, there = lay_out(WHOLE[:2], COPIES[:2], 2, LATENT)
    assert np.array_equal(ids[0], WHOLE[0]) and there[0].all()
    assert ids[1].reshape(4, 4)[:2].tolist() == [[100, 101, 104, 105], [102, 103, 106, 107]]
    assert there[1].reshape(4, 4).tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
    assert not lay_out(WHOLE[:1], COPIES[:1], 2, LATENT)[1][1].reshape(4, 4)[:, 2:].any()
    assert (recalled_at_most(1, False), recalled_at_most(2, True), recalled_at_most(0, False)) == (1, 2, 0)


def test_a_grid_without_whole_quarters_has_no_small_copies():
    assert small_places(LATENT).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    for latent in (LatentConfig(grid=5), LatentConfig(grid=4, columns=3), LatentConfig(grid=4, depth=2)):
        with pytest.raises(DataError, match="even sides"):
            small_places(latent)


def test_a_small_copy_is_the_whole_picture_in_a_frame():
    picture = Image.new("RGBA", (64, 64), (200, 30, 30, 255))
    page = small_page(picture)
    assert page.mode == "RGBA" and page.size == (64, 64)
    left, top, right, bottom = page.getbbox()
    assert (right - left, bottom - top) == (SMALL * 64, SMALL * 64) and (left, top) == (2, 2)
    assert page.getpixel((16, 16)) == (200, 30, 30, 255)
    half = Image.new("RGBA", (64, 64))
    half.paste((10, 250, 10, 255), (32, 0, 64, 64))
    colours = np.asarray(small_page(half))[np.asarray(small_page(half))[..., 3] > 20][:, :3]
    assert np.abs(colours.astype(int) - (10, 250, 10)).max() < 12, "what is transparent does not darken the edge"


def test_a_memory_keeps_small_copies_in_its_file_and_refuses_others():
    captions, styles = [Caption(str(number)) for number in range(3)], ["noto"] * 3
    memory = Memory.build(captions, styles, WHOLE, "test", COPIES)
    again = Memory.from_bytes(memory.to_bytes())
    assert np.array_equal(again.small, COPIES) and again.small.dtype == np.uint16
    plain = Memory.build(captions, styles, WHOLE, "test")
    assert Memory.from_bytes(plain.to_bytes()).small is None and memory.joined(plain).small is None
    larger = memory.with_stickers([Caption("new")], [""], WHOLE[:1], COPIES[2:])
    assert np.array_equal(larger.small, COPIES[[0, 1, 2, 2]])
    for wrong in (COPIES[:2], COPIES[:, 0], -COPIES):
        with pytest.raises(DataError):
            Memory.build(captions, styles, WHOLE, "test", wrong)
    with pytest.raises(DataError, match="small copies"):
        Memory.from_bytes(Memory.build(captions, styles, WHOLE, "test", COPIES[:, :3]).to_bytes())


def test_a_model_that_reads_small_copies_makes_and_wants_them(memory_zoo):
    model = mvae.load("tiny-memory-int8", folder=memory_zoo)
    assert model.memory.small is not None
    picture = Image.new("RGBA", (64, 64), (30, 60, 200, 255))
    own = model.remember(picture, "blue box", own=model.remember(picture, "box"))
    copy = np.array(model.encode(small_page(picture)))[small_places(model.latent)[0]]
    assert np.array_equal(own.small, [copy, copy])
    with pytest.raises(OptionError, match="small copies"):
        model.generate("box", own=dataclasses.replace(own, small=None))


def test_two_things_are_read_as_two_small_copies(memory_zoo):
    model = mvae.load("tiny-memory-int8", folder=memory_zoo)
    asked = {"seed": 1, "temperature": 3.0}
    sticker = model.generate("red apple blue car", **asked)
    assert [model.memory.label(number) for number in sticker.recalled] == ["red apple", "blue car"]
    model.memory = dataclasses.replace(model.memory, small=model.memory.small[::-1])
    assert model.generate("red apple blue car", **asked).tokens != sticker.tokens

"""From one picture to another, and animations."""

import io

import numpy as np
import pytest
from PIL import Image

from mvae.config import LatentConfig
from mvae.engine.morph import FRAMES_MAX, animation, between
from mvae.errors import OptionError, TokensError

LATENT = LatentConfig("test", grid=2, levels=4, coordinates=2)


def test_every_coordinate_goes_straight_and_at_its_own_time():
    way = between([0, 15, 5, 3], [15, 15, 6, 0], 4, LATENT)
    assert way[0].tolist() == [0, 15, 5, 3] and way[-1].tolist() == [15, 15, 6, 0]
    assert way[:, 0].tolist() == [0, 5, 10, 15]  # cells (0, 0) → (3, 3)
    assert way[:, 1].tolist() == [15] * 4 and way[:, 3].tolist() == [3, 2, 1, 0]
    cells = np.stack([way // 4, way % 4], -1)
    assert (np.abs(np.diff(between([0] * 4, [15] * 4, 31, LATENT) // 4, axis=0)) <= 1).all() and cells.max() == 3


@pytest.mark.parametrize("frames", [1, 0, FRAMES_MAX + 1, 2.0, True, None])
def test_numbers_of_frames(frames):
    with pytest.raises(OptionError, match="frames"):
        between([0] * 4, [0] * 4, frames, LATENT)


@pytest.mark.parametrize("tokens", [[0] * 3, [16, 0, 0, 0], [-1, 0, 0, 0], [0.5] * 4, "abcd"])
def test_tokens_must_be_a_whole_picture(tokens):
    for ends in ((tokens, [0] * 4), ([0] * 4, tokens)):
        with pytest.raises(TokensError):
            between(*ends, 3, LATENT)


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_an_animation_goes_there_and_back(kind):
    images = [Image.new("RGBA", (16, 16), (40 * step, 0, 200, 255 if step else 0)) for step in range(4)]
    read = Image.open(io.BytesIO(animation(images, kind, 40)))
    assert read.n_frames == 6 and read.info["loop"] == 0
    seen = []
    for frame in range(6):
        read.seek(frame)
        seen.append(read.convert("RGBA").getpixel((8, 8)))
        assert read.info["duration"] == 40
    assert seen[0][3] == (0 if kind == "webp" else 255)
    assert [abs(pixel[0] - red) < 12 for pixel, red in zip(seen[1:], (40, 80, 120, 80, 40), strict=True)] == [True] * 5
    with pytest.raises(OptionError, match="kind"):
        animation(images, "png")
    with pytest.raises(OptionError, match="0 pictures"):
        animation([], kind)

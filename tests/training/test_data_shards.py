"""Shards and drawing: round trips, damage, alpha, and the committed sample."""

import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mvae.config import STYLES, caption
from mvae.data.render import fit_square, lossless_webp, render_icon
from mvae.data.shards import Sample, read_shard, shard_name, shard_paths, write_shard
from mvae.errors import DataError
from mvae.files import write_atomic

names = st.text("abcdef0123456789_-", min_size=1, max_size=12)


@settings(max_examples=30)
@given(st.dictionaries(names, st.tuples(st.binary(min_size=1), st.text(st.characters(exclude_categories=("Cs", "Cc", "Z"))))))
def test_round_trip_whatever_the_order(tmp_path_factory, content):
    samples = [Sample(key, image, text, {"caption": text, "tags": [text]}) for key, (image, text) in content.items()]
    folder = tmp_path_factory.mktemp("shards")
    write_shard(folder / "a.tar", samples)
    write_shard(folder / "b.tar", reversed(samples))
    assert (folder / "a.tar").read_bytes() == (folder / "b.tar").read_bytes()
    assert list(read_shard(folder / "a.tar")) == sorted(samples, key=lambda sample: sample.key)


def test_reads_other_writers_layout_without_metadata(tmp_path):
    with tarfile.open(tmp_path / "laion.tar", "w") as tar:
        for name, content in (
            ("000.jpg", b"picture"),
            ("000.txt", b" a cat \n"),
            ("001.png", b"other"),
            ("001.json", b'{"caption": "a dog"}'),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    first, second = read_shard(tmp_path / "laion.tar")
    assert (first.caption, first.suffix, first.meta) == ("a cat", ".jpg", {})
    assert (second.caption, second.suffix) == ("a dog", ".png")


@pytest.mark.parametrize("keep", [0, 100, 700])
def test_damaged_shard_is_named(tmp_path, keep):
    path = tmp_path / "broken.tar"
    write_shard(path, [Sample("a", b"x" * 2000, "text", {})])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"broken\.tar"):
        list(read_shard(path))


def test_sample_without_picture_is_named(tmp_path):
    write_shard(tmp_path / "a.tar", [Sample("lonely", b"x", "text", {}, suffix=".bmp")])
    with pytest.raises(DataError, match="lonely"):
        list(read_shard(tmp_path / "a.tar"))


def test_style_names_do_not_swallow_each_other(tmp_path):
    for style in ("fluent", "fluent-3d", "fluent-flat"):
        for number in (0, 1):
            (tmp_path / shard_name("train", style, number)).touch()
    assert [path.name for path in shard_paths(tmp_path, "train", "fluent")] == [
        "train-fluent-00000.tar",
        "train-fluent-00001.tar",
    ]


def test_write_atomic_replaces_whole_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_scaling_lets_no_hidden_colour_bleed_into_edges():
    picture = Image.new("RGBA", (64, 64), (0, 255, 0, 0))  # green, but invisible
    picture.paste((255, 0, 0, 255), (0, 0, 32, 64))
    pixels = np.array(fit_square(picture, 20)).astype(int)
    visible = pixels[..., 3] > 8
    assert pixels[visible][:, 1].max() <= 8


@given(st.integers(1, 90), st.integers(1, 90), st.integers(16, 48))
@settings(max_examples=40)
def test_fit_square_keeps_the_proportions_centred(width, height, size):
    fitted = fit_square(Image.new("RGBA", (width, height), "blue"), size)
    assert fitted.size == (size, size)
    left, top, right, bottom = fitted.getbbox()
    assert max(right - left, bottom - top) == size
    assert abs((right - left) / (bottom - top) - width / height) <= 1.5 * max(width, height) / size * max(1, width / height)
    assert abs(left - (size - right)) <= 1 and abs(top - (size - bottom)) <= 1


def test_webp_is_lossless_where_visible_and_empty_elsewhere():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 4), dtype=np.uint8)
    pixels[..., 3] |= 1
    pixels[:4, :, 3] = 0
    stored = np.array(Image.open(io.BytesIO(lossless_webp(Image.fromarray(pixels)))))
    pixels[:4] = 0
    assert np.array_equal(stored, pixels)


def test_icons_use_their_own_view_box_and_keep_alpha():
    icon = {"body": '<rect x="10" y="20" width="8" height="4" fill="#00f"/>', "left": 10, "top": 20, "width": 8, "height": 4}
    pixels = np.array(render_icon(icon, {"width": 16, "height": 16}, 32))
    assert pixels.shape == (32, 32, 4)
    assert (pixels[8:24] == (0, 0, 255, 255)).all() and not pixels[:8].any() and not pixels[24:].any()


def test_committed_sample(pytestconfig):
    path = pytestconfig.rootpath / "tests" / "data" / "emoji-sample.tar"
    samples = list(read_shard(path))
    assert path.stat().st_size < 1.5 * 2**20
    assert Counter(sample.meta["style"] for sample in samples) == dict.fromkeys(STYLES, 40)
    assert {sample.meta["split"] for sample in samples} == {"train", "unseen"}
    assert {sample.meta["licence"] for sample in samples} <= {"Apache-2.0", "MIT", "CC-BY-4.0"}
    for sample in samples:
        assert sample.caption == sample.meta["caption"] == caption(sample.meta["label"], sample.meta["style"])
        image = Image.open(io.BytesIO(sample.image))
        assert (image.size, image.mode) == ((128, 128), "RGBA")

"""The emoji build, run whole on miniature packages: joins, splits, bytes, restart, refusals."""

import io
import json
import multiprocessing
import os
import signal
import time
from collections import Counter

import fake_packages
import numpy as np
import pytest
from PIL import Image

from mvae.config import STYLES
from mvae.data import build, joins
from mvae.data.dataset import NAMES, load_pictures
from mvae.data.shards import read_shard
from mvae.errors import DataError, FetchError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    fake_packages.install(monkeypatch, folder)
    return folder


def make(out, cache, **options):
    return build.build_emoji(out, size=32, cache=cache, workers=1, progress=False, **options)


def samples(out, role):
    return [sample for path in sorted(out.glob(f"{role}-*.tar")) for sample in read_shard(path)]


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_build_joins_draws_and_indexes(tmp_path, cache):
    out = tmp_path / "emoji"
    index = make(out, cache)
    assert index == json.loads((out / "index.json").read_text())
    assert (out / "CREDITS.md").read_text() == build.credits_text()

    train = {sample.key: sample for sample in samples(out, "train")}
    assert {sample.meta["style"] for sample in train.values()} == set(STYLES)
    assert sum(shard["samples"] for shard in index["shards"] if shard["role"] == "train") == len(train)
    # By code points: the presentation mark is ignored, an alias is followed, what is hidden or unknown is left out.
    noto = {sample.meta["label"]: sample.meta["name"] for sample in train.values() if sample.meta["style"] == "noto"}
    assert noto == {
        "red apple": "red-apple",
        "green apple": "green-apple",
        "red heart": "red-heart",
        "cat face": "cat-face",
        "black flag": "black-flag",
    }
    # By fluent-flat's map; an icon of no concept is left out.
    assert {key for key in train if key.startswith("fluent_")} == {"fluent_1f34e", "fluent_1f431"}
    # A bitmap without counterpart in the vector sets is left out.
    assert {key for key in train if key.startswith("fluent-3d_")} == {"fluent-3d_1f34e", "fluent-3d_2764"}

    apple = train["noto_1f34e"]
    assert apple.caption == apple.meta["caption"] == "noto red apple"
    assert apple.meta["tags"] == ["tag", "red fruit"]  # lower-case, no label, no mere punctuation
    assert (apple.meta["group"], apple.meta["subgroup"]) == ("things", "few-things")
    pixels = np.array(Image.open(io.BytesIO(apple.image)))
    assert pixels.shape == (32, 32, 4)
    assert pixels[16, 16].tolist() == [255, 0, 0, 255]
    assert not pixels[0, 0].any()


def test_skin_tones_are_drawings_of_the_same_concept(tmp_path, cache):
    out = tmp_path / "emoji"
    index = make(out, cache)
    toned = samples(out, "tone")
    assert {shard["style"] for shard in index["shards"] if shard["role"] == "tone"} == {"noto", "twemoji", "fluent-flat"} & {
        sample.meta["style"] for sample in toned
    }
    noto = next(sample for sample in toned if sample.meta["style"] == "noto")
    assert (noto.meta["concept"], noto.meta["label"], noto.meta["tone"]) == ("1f431", "cat face", "dark")
    assert noto.key == "noto_1f431-1f3ff" and noto.caption == "noto cat face, dark skin tone" and noto.meta["role"] == "tone"
    assert all(sample.meta["tone"] == "dark" for sample in toned)  # two persons with a tone each are left out
    assert not {sample.key for sample in samples(out, "train")} & {sample.key for sample in toned}


def test_names_in_other_languages_are_read_with_the_pictures(tmp_path, cache):
    out = tmp_path / "emoji"
    make(out, cache)
    assert json.loads((out / NAMES).read_text("utf-8")) == {"de": {"1f34e": ["roter apfel", "obst"]}}
    loaded = load_pictures(out, size=32, progress=False)
    known = {meta["label"]: meta["names"] for meta in loaded.meta}
    assert known["red apple"] == {"de": ["roter apfel", "obst"]} and known["cat face"] == {}
    assert {meta["tone"] for meta in load_pictures(out, size=32, role="tone", progress=False).meta} == {"dark"}


def test_sets_without_code_points_join_by_name_and_correction(tmp_path, cache):
    out = tmp_path / "emoji"
    make(out, cache)
    judged = [sample for sample in samples(out, "judge") if sample.meta["style"] in ("fxemoji", "streamline")]
    names = {style: {s.key: s.meta["name"] for s in judged if s.meta["style"] == style} for style in ("fxemoji", "streamline")}
    # "gun" is in no set; a numbered name is a further drawing; "cat" means the face in one set alone.
    assert names["streamline"] == {
        "streamline_1f3f4": "black-flag-1",
        "streamline_1f3f4_2": "black-flag-2",
        "streamline_1f408": "cat",
        "streamline_1f431": "kitty",
    }
    assert names["fxemoji"] == {
        "fxemoji_1f3f4": "black-flag-1",
        "fxemoji_1f3f4_2": "black-flag-2",
        "fxemoji_1f431": "cat",
        "fxemoji_1f431_2": "kitty",
    }


def test_same_bytes_twice(tmp_path, cache):
    make(tmp_path / "one", cache)
    make(tmp_path / "two", cache)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_killed_build_goes_on_and_gives_the_same_bytes(tmp_path, cache, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    make(whole, cache)
    write = build.write_shard

    def write_two_then_hang(path, drawings):
        if len(list(killed.glob("*.tar"))) == 2:
            time.sleep(600)
        write(path, drawings)

    def build_in_own_session():
        os.setsid()
        make(killed, cache)

    monkeypatch.setattr(build, "write_shard", write_two_then_hang)
    process = multiprocessing.get_context("fork").Process(target=build_in_own_session)
    process.start()
    while len(list(killed.glob("*.tar"))) < 2:
        assert process.is_alive()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    monkeypatch.setattr(build, "write_shard", write)
    assert not (killed / "index.json").exists()

    kept = {path.name: path.stat().st_ino for path in killed.glob("*.tar")}
    make(killed, cache)
    assert contents(killed) == contents(whole)
    assert all((killed / name).stat().st_ino == inode for name, inode in kept.items())


def test_other_settings_in_the_same_folder_are_refused(tmp_path, cache):
    make(tmp_path / "emoji", cache)
    with pytest.raises(DataError, match="other settings"):
        build.build_emoji(tmp_path / "emoji", size=64, cache=cache, progress=False)


@pytest.mark.parametrize("size", [0, 15, 513])
def test_image_size_is_limited(tmp_path, size):
    with pytest.raises(DataError, match="expected 16 to 512"):
        build.build_emoji(tmp_path, size=size, progress=False)


def test_damaged_package_stops_the_build(tmp_path, cache):
    package = next(iter(sorted(cache.glob("*.tgz"))))
    package.write_bytes(package.read_bytes() + b"x")
    with pytest.raises(FetchError, match="checksum"):
        make(tmp_path / "emoji", cache)


def test_correction_to_an_unknown_label_is_an_error(tmp_path, cache, monkeypatch):
    monkeypatch.setitem(joins.BY_STYLE, "streamline", {"cat": "no such label"})
    with pytest.raises(DataError, match="no such label"):
        make(tmp_path / "emoji", cache)


def test_sample_is_spread_over_styles_and_concepts(tmp_path, cache):
    out = tmp_path / "emoji"
    make(out, cache)
    build.extract_sample(out, tmp_path / "sample.tar", count=10)
    chosen = list(read_shard(tmp_path / "sample.tar"))
    assert Counter(sample.meta["style"] for sample in chosen) == dict.fromkeys(STYLES, 2)
    assert len({sample.key for sample in chosen}) == 10

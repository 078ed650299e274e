"""Pictures of one's own: captions beside them or in a table, every refusal by name, incremental and repeatable builds."""

import argparse
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mvae.data import cli
from mvae.data.dataset import load_pictures
from mvae.data.folder import build_folder, read_folder
from mvae.data.shards import read_shard
from mvae.errors import DataError, ImageError


def picture(path, colour="red", size=(20, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def beside(tmp_path):
    """Three pictures with a caption file each, one of them in a folder of its own; a note and a hidden file are no pictures."""
    folder = tmp_path / "mine"
    for name, text in (("a.png", "a red box\n"), ("b.jpg", "  a  wide\tbox "), ("deep/c.webp", "ein roter Kasten, größer")):
        picture(folder / name)
        (folder / name).with_suffix(".txt").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text("not a picture")
    (folder / ".thumbnail.png").write_text("hidden")
    return folder


@pytest.fixture
def table(tmp_path):
    """A folder with ``metadata.csv``; the function replaces its text."""
    folder = tmp_path / "mine"
    picture(folder / "a.png")
    picture(folder / "deep" / "b.png")

    def write(text: str):
        (folder / "metadata.csv").write_text(text, encoding="utf-8")
        return folder

    return write


GOOD = 'file_name,text,style\na.png,a red box,paper\ndeep/b.png,"a box, deep",\n'


def build(folder, out, **options):
    return build_folder(folder, out, size=16, workers=1, progress=False, **options)


def samples(out):
    return [sample for path in sorted(out.glob("*.tar")) for sample in read_shard(path)]


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_captions_beside_the_pictures(beside, tmp_path):
    index = build(beside, tmp_path / "out")
    found = {sample.meta["name"]: sample for sample in samples(tmp_path / "out")}
    assert {name: sample.caption for name, sample in found.items()} == {
        "a.png": "a red box",
        "b.jpg": "a wide box",
        "deep/c.webp": "ein roter Kasten, größer",
    }
    assert index == json.loads((tmp_path / "out" / "index.json").read_text())
    assert [(shard["file"], shard["samples"], shard["style"]) for shard in index["shards"]] == [
        ("train-pictures-00000.tar", 3, "")
    ]
    pixels = np.array(Image.open(io.BytesIO(found["a.png"].image)))
    assert pixels.shape == (16, 16, 4)
    assert pixels[8, 8].tolist() == [255, 0, 0, 255] and not pixels[0].any()  # 20 × 12 is centred on transparency


def test_table_with_styles(table, tmp_path):
    build(table("\ufeff" + GOOD), tmp_path / "out")
    found = {sample.meta["name"]: sample for sample in samples(tmp_path / "out")}
    assert found["a.png"].caption == "paper a red box" and found["a.png"].meta["label"] == "a red box"
    assert found["deep/b.png"].caption == "a box, deep" and found["deep/b.png"].meta["style"] == ""
    assert {path.name for path in (tmp_path / "out").glob("*.tar")} == {"train-paper-00000.tar", "train-pictures-00000.tar"}


def test_training_reads_what_was_built(beside, tmp_path):
    build(beside, tmp_path / "out")
    pictures = load_pictures(tmp_path / "out", size=8, progress=False)
    assert pictures.pixels.shape == (3, 8, 8, 4)
    assert "a red box" in pictures.captions


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda f: (f / "a.txt").unlink(), r"a\.png: no caption.*a\.txt"),
        (lambda f: (f / "a.txt").write_text(" \n"), r"a\.txt: the caption is empty"),
        (lambda f: (f / "a.txt").write_bytes(b"caf\xe9"), r"a\.txt: not UTF-8"),
        (lambda f: picture(f / "a.jpeg"), r"a\.png: shares a\.txt with a\.jpeg"),
        (lambda f: [path.unlink() for path in f.rglob("*.*")], "no pictures"),
    ],
)
def test_captions_beside_are_checked(beside, change, named):
    change(beside)
    with pytest.raises(DataError, match=named):
        read_folder(beside)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("file,caption\na.png,box\n", r"got columns \['file', 'caption'\], expected file_name and text"),
        ("", r"got columns \[\]"),
        ("file_name,text\na.png,box\n", r"deep/b\.png: no caption"),
        (GOOD + "a.png,again,\n", r"line 4: 'a\.png' has a row already"),
        (GOOD + "./a.png,again,\n", r"line 4: '\./a\.png' has a row already"),
        (GOOD + "../secret.png,x,\n", r"line 4: '\.\./secret\.png' leads out"),
        (GOOD + "deep/../../secret.png,x,\n", "leads out"),
        (GOOD + "/etc/passwd,x,\n", "leads out"),
        (GOOD + "deep\\b.png,x,\n", "leads out"),
        (GOOD + "gone.png,x,\n", r"line 4: 'gone\.png' is not a picture"),
        (GOOD + "metadata.csv,x,\n", "is not a picture"),
        (GOOD + "a.png,x\n", "line 4: expected 3 fields"),
        (GOOD + "a.png,x,y,z\n", "line 4: expected 3 fields"),
        (GOOD.replace("a red box", " "), "line 2: the caption is empty"),
        (GOOD.replace("paper", "Fine Paper"), r"line 2: style 'Fine Paper'"),
        (GOOD.replace("paper", "../up"), "line 2: style"),
        (GOOD + '"a.png,x', "after line 3: not valid CSV"),
    ],
)
def test_table_is_checked(table, text, named):
    with pytest.raises(DataError, match=named):
        read_folder(table(text))


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises more pixels than anyone should decode."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"not a picture"),
        ("a.png", b""),
        ("a.png", png_of(50_000, 50_000)),
        ("a.png", animation()),
        ("a.png", b"BM" + bytes(100)),
        ("a.png", png_of(8, 8)),
    ],
)
def test_pictures_are_checked_before_anything_is_written(beside, tmp_path, name, content):
    (beside / name).write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png"):
        build(beside, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_same_bytes_twice_and_only_changed_shards_are_drawn_again(table, tmp_path):
    folder = table(GOOD)
    build(folder, tmp_path / "one")
    build(folder, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")

    before = {path.name: path.stat().st_ino for path in (tmp_path / "one").glob("*.tar")}
    picture(folder / "a.png", "blue")
    build(folder, tmp_path / "one")
    after = {path.name: path.stat().st_ino for path in (tmp_path / "one").glob("*.tar")}
    assert after["train-pictures-00000.tar"] == before["train-pictures-00000.tar"]
    assert after["train-paper-00000.tar"] != before["train-paper-00000.tar"]

    table(GOOD.replace("paper", "glass"))
    build(folder, tmp_path / "one")
    assert not (tmp_path / "one" / "train-paper-00000.tar").exists()
    build(folder, tmp_path / "fresh")
    assert contents(tmp_path / "one") == contents(tmp_path / "fresh")


def test_a_deleted_shard_is_drawn_again(beside, tmp_path):
    build(beside, tmp_path / "out")
    whole = contents(tmp_path / "out")
    (tmp_path / "out" / "train-pictures-00000.tar").unlink()
    build(beside, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_split_goes_by_caption_and_holds_out_about_one_in_twenty(tmp_path):
    folder = tmp_path / "many"
    rows = ["file_name,text"]
    for number in range(120):
        picture(folder / f"{number}.png", size=(4, 4))
        rows.append(f"{number}.png,thing {number // 2}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    build(folder, tmp_path / "out")
    found = samples(tmp_path / "out")
    by_caption = {}
    for sample in found:
        by_caption.setdefault(sample.caption, set()).add(sample.meta["split"])
    assert all(len(splits) == 1 for splits in by_caption.values())
    assert 0 < sum(splits == {"unseen"} for splits in by_caption.values()) < 12


def test_another_kind_of_build_is_not_overwritten(beside, tmp_path):
    (tmp_path / "out").mkdir()
    for plan, named in (
        ('{"format": 2}', "another kind"),
        ("{", r"plan\.json: not readable"),
        ("[]", r"plan\.json: not readable"),
    ):
        (tmp_path / "out" / "plan.json").write_text(plan)
        with pytest.raises(DataError, match=named):
            build(beside, tmp_path / "out")


def parse(*arguments):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_command_builds_and_sums_up(beside, tmp_path):
    summary = cli.run(parse("build", beside, "--out", tmp_path / "out", "--size", 32, "--workers", 1))
    assert summary["samples"] == {"train": 3} and summary["shards"] == 1 and summary["size"] == 32
    assert summary["bytes"] == (tmp_path / "out" / "train-pictures-00000.tar").stat().st_size
    json.dumps(summary)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nowhere",), "nowhere: not a folder"),
        (("{folder}", "--workers", "0"), "--workers"),
        (("{folder}", "--size", "8"), "image size"),
        (("{folder}", "--out", "{folder}/a.png"), r"a\.png.*cannot be read or written"),
    ],
)
def test_command_refuses(beside, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=named):
        cli.run(parse("build", *(argument.format(folder=beside) for argument in arguments)))

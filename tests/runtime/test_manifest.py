"""The manifest lets nothing through that was not listed, and nothing lead out of its folder."""

import json
import os

import pytest

from mvae.errors import IntegrityError
from zoo import manifest
from zoo.manifest import Manifest


@pytest.fixture
def entry(tmp_path):
    folder = tmp_path / "small"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "onnx" / "a.onnx").write_bytes(bytes(range(256)) * 9000)
    manifest.write(folder, Manifest("small", "0", 18, {"torch": "2"}, {"steps": 3}, "Apache-2.0", ("Noto — Google",)))
    return folder


def change(folder, **values):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_round_trip(entry):
    found = manifest.verify(entry)
    assert found == manifest.read(entry)
    assert (found.name, found.credits, found.training) == ("small", ("Noto — Google",), {"steps": 3})
    assert sorted(found.files) == ["config.json", "onnx/a.onnx"]
    assert found.files["onnx/a.onnx"].bytes == 256 * 9000
    assert manifest.read_verified(entry, found, "config.json") == b"{}"


def test_empty_file_has_the_well_known_sha256(tmp_path):
    (tmp_path / "empty").touch()
    found = manifest.write(tmp_path, Manifest("x", "0", 18, {}, {}, "MIT", ()))
    assert found.files["empty"].sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_refresh_keeps_everything_but_the_files(entry):
    (entry / "config.json").write_text('{"a": 1}')
    with pytest.raises(IntegrityError):
        manifest.verify(entry)
    before = manifest.read(entry)
    after = manifest.refresh(entry)
    assert manifest.verify(entry) == after
    assert after.training == before.training and after.files != before.files


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: path.write_bytes(b"\x01" + path.read_bytes()[1:]),
        lambda path: path.unlink(),
    ],
)
def test_any_change_is_noticed(entry, damage):
    damage(entry / "onnx" / "a.onnx")
    listed = manifest.read(entry)
    with pytest.raises(IntegrityError, match=r"a\.onnx"):
        manifest.verify(entry)
    with pytest.raises(IntegrityError, match=r"a\.onnx"):
        manifest.read_verified(entry, listed, "onnx/a.onnx")
    manifest.verify(entry, names=["config.json"])


def test_unknown_files_are_refused_even_if_nothing_is_hashed(entry):
    (entry / "onnx" / "extra.bin").touch()
    with pytest.raises(IntegrityError, match="extra"):
        manifest.verify(entry, names=())


def test_unlisted_names_cannot_be_asked_for(entry):
    for name in ("manifest.json", "../small/config.json", "onnx/b.onnx"):
        with pytest.raises(IntegrityError, match="no file"):
            manifest.read_verified(entry, manifest.read(entry), name)


def test_links_may_stay_inside_but_not_lead_out(entry, tmp_path):
    (entry / "again.json").symlink_to("config.json")
    manifest.refresh(entry)
    manifest.verify(entry)
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (entry / "config.json").unlink()
    (entry / "config.json").symlink_to(secret)
    for check in (
        manifest.verify,
        manifest.refresh,
        lambda folder: manifest.read_verified(folder, manifest.read(folder), "config.json"),
    ):
        with pytest.raises(IntegrityError, match="leads out"):
            check(entry)
    (entry / "config.json").unlink()
    (entry / "config.json").symlink_to("config.json")
    with pytest.raises(IntegrityError):
        manifest.verify(entry)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../b", "a//b", "./a", "a\\b", "C:x", "", ".", "a\nb", "manifest.json"]
)
def test_paths_with_a_way_out_or_two_spellings(entry, name):
    record = {"bytes": 0, "sha256": "0" * 64}
    change(entry, files={name: record})
    with pytest.raises(IntegrityError):
        manifest.read(entry)


@pytest.mark.parametrize(
    "values",
    [
        {"schema": 2},
        {"schema": "1"},
        {"name": ""},
        {"name": 3},
        {"latent_id": None},
        {"opset": 0},
        {"opset": True},
        {"tools": []},
        {"tools": {"torch": 2}},
        {"training": None},
        {"credits": "me"},
        {"files": {}},
        {"files": []},
        {"surprise": 1},
        {"files": {"a": {"bytes": -1, "sha256": "0" * 64}}},
        {"files": {"a": {"bytes": 1, "sha256": "0" * 63}}},
        {"files": {"a": {"bytes": 1, "sha256": "A" * 64}}},
        {"files": {"a": {"bytes": 1}}},
        {"files": {"a": None}},
    ],
)
def test_malformed(entry, values):
    change(entry, **values)
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        manifest.read(entry)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": "' + b"x" * (1 << 20) + b'"}'])
def test_not_a_manifest(entry, content):
    (entry / "manifest.json").write_bytes(content)
    with pytest.raises(IntegrityError):
        manifest.read(entry)


def test_missing_manifest(tmp_path):
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        manifest.read(tmp_path)


def test_write_leaves_no_trace_when_it_fails(entry, monkeypatch):
    before = (entry / "manifest.json").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        manifest.refresh(entry)
    assert (entry / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in entry.iterdir()) == ["config.json", "manifest.json", "onnx"]

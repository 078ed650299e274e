"""Where entries are looked for, and the real Hub client against a server on loopback."""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mvae.errors import FetchError, UnknownModelError
from zoo import fetch, manifest

REVISION = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def places(tmp_path, monkeypatch, tiny_zoo):
    """An empty committed zoo, no pins, and a cache of our own."""
    monkeypatch.setattr(fetch, "MODELS", tmp_path / "models")
    monkeypatch.setattr(fetch, "PINS", tmp_path / "hub.json")
    monkeypatch.setenv("MVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def pin(places, revision=REVISION, repository="someone/tiny", name="tiny"):
    (places / "hub.json").write_text(json.dumps({name: {"repository": repository, "revision": revision}}))


def test_an_explicit_folder_may_be_a_zoo_or_an_entry(tiny_zoo, places):
    assert fetch.entries(tiny_zoo) == fetch.entries(tiny_zoo / "tiny") == {"tiny": tiny_zoo / "tiny"}
    assert fetch.locate("tiny", tiny_zoo) == tiny_zoo / "tiny"
    with pytest.raises(UnknownModelError, match=r"no model entry 'small' in .*; there is tiny"):
        fetch.locate("small", tiny_zoo)


def test_the_committed_zoo_comes_before_the_cache(places, tiny_zoo):
    pin(places)
    cached = places / "cache" / "models" / REVISION / "tiny"
    shutil.copytree(tiny_zoo / "tiny", cached)
    assert fetch.locate("tiny") == cached
    shutil.copytree(tiny_zoo / "tiny", places / "models" / "tiny")
    assert fetch.locate("tiny") == places / "models" / "tiny"


def test_folders_without_a_manifest_are_no_entries(places):
    (places / "models" / "half").mkdir(parents=True)
    assert fetch.entries() == {}
    with pytest.raises(UnknownModelError, match="there is none"):
        fetch.locate("half")


@pytest.mark.parametrize("revision", ["main", "v1.0", REVISION[:-1], REVISION.upper(), "", None])
def test_only_whole_commits_are_pins(places, revision):
    pin(places, revision)
    with pytest.raises(FetchError, match="40 hexadecimal digits"):
        fetch.locate("tiny")


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"tiny": 3}', '{"tiny": {"repository": "a/b"}}', '{"../x": {"repository": "a/b", "revision": "0"}}']
)
def test_malformed_pins(places, content):
    (places / "hub.json").write_text(content)
    with pytest.raises(FetchError, match=r"hub\.json"):
        fetch.locate("tiny")


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of a Hub as a download needs."""

    entry: Path
    requests: list[str]

    def answer(self, body: bytes, kind: str, **headers):
        self.send_response(200)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.requests.append(path)
        names = ["README.md", ".gitattributes"]
        names += sorted(
            file.relative_to(self.entry).as_posix()
            for file in self.entry.rglob("*")
            if file.is_file() and file.name != "README.md"
        )
        resolve = f"/someone/tiny/resolve/{REVISION}/"
        if path.startswith("/api/models/someone/tiny/tree/"):
            tree = [{"type": "file", "path": name, "size": self.size(name), "oid": self.tag(name)} for name in names]
            self.answer(json.dumps(tree).encode(), "application/json")
        elif path in ("/api/models/someone/tiny", f"/api/models/someone/tiny/revision/{REVISION}"):
            info = {"id": "someone/tiny", "sha": REVISION, "siblings": [{"rfilename": name} for name in names]}
            self.answer(json.dumps(info).encode(), "application/json")
        elif path.startswith(resolve) and path.removeprefix(resolve) in names:
            name = path.removeprefix(resolve)
            self.answer(self.content(name), "application/octet-stream", ETag=f'"{self.tag(name)}"', **{"X-Repo-Commit": REVISION})
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def content(self, name: str) -> bytes:
        file = self.entry / name
        return file.read_bytes() if file.is_file() else b"* text\n"

    def size(self, name: str) -> int:
        return len(self.content(name))

    def tag(self, name: str) -> str:
        return hashlib.sha1(self.content(name)).hexdigest()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tiny_zoo, tmp_path):
    entry = shutil.copytree(tiny_zoo / "tiny", tmp_path / "served")
    handler = type("Handler", (Hub,), {"entry": entry, "requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


def fetch_in_a_new_process(places, endpoint):
    """The client reads HF_ENDPOINT when it is imported."""
    code = (
        "import sys, pathlib\nfrom zoo import fetch, manifest\n"
        "fetch.MODELS, fetch.PINS = (pathlib.Path(a) for a in sys.argv[1:])\n"
        "try:\n    path = fetch.locate('tiny'); manifest.verify(path); print(path)\n"
        "except Exception as error:\n    print(f'{type(error).__name__}: {error}')"
    )
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(places / "hf"),
        "no_proxy": "*",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, places / "models", places / "hub.json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.stdout.strip()


def test_fetched_once_then_served_without_a_connection(places, hub):
    endpoint, handler = hub
    pin(places)
    expected = places / "cache" / "models" / REVISION / "tiny"
    assert fetch_in_a_new_process(places, endpoint) == str(expected)
    assert handler.requests
    assert sorted(manifest.read(expected).files) == sorted(
        p.relative_to(expected).as_posix() for p in expected.rglob("*") if p.is_file() and p.name != "manifest.json"
    )
    assert [path.name for path in expected.parent.iterdir()] == ["tiny"]
    handler.requests.clear()
    assert fetch_in_a_new_process(places, endpoint) == str(expected)
    assert handler.requests == []


def test_what_differs_from_its_manifest_is_not_kept(places, hub):
    endpoint, handler = hub
    pin(places)
    file = handler.entry / "onnx" / "vae_decoder.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    assert fetch_in_a_new_process(places, endpoint).startswith("IntegrityError")
    assert list((places / "cache").rglob("manifest.json")) == []


def test_no_connection(places):
    pin(places)
    assert fetch_in_a_new_process(places, "http://127.0.0.1:9").startswith("FetchError: someone/tiny@")

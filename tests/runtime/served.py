"""The real app as a process of its own on a loopback port, and a real browser to look at it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 120_000
"""Generous, for a machine that is busy with something else; nothing here is timed."""


@contextmanager
def serve(zoo: Path, scratch: Path) -> Iterator[str]:
    """The app over ``zoo``, by its address; ended with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "MVAE_ZOO": str(zoo),
        "GRADIO_TEMP_DIR": str(scratch / "gradio"),
    }
    log = scratch / "log.txt"
    with (
        log.open("w") as stream,
        subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=stream, stderr=stream) as app,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(480):
                assert app.poll() is None, log.read_text()
                try:
                    urllib.request.urlopen(url, timeout=30).close()
                    break
                except OSError:
                    time.sleep(0.25)
            yield url
        finally:
            app.terminate()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, request):
    width, height = getattr(request, "param", (1440, 900))
    opened = browser.new_page(viewport={"width": width, "height": height})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


def open_app(page, address):
    page.goto(address)
    expect(page.locator("#make")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#model-choice label.selected").first).to_be_visible(timeout=PATIENCE_MS)  # filled after the button


def make(page, prompt, columns):
    """Type, press the button and wait until every column says its time."""
    page.locator("#prompt textarea, #prompt input").fill(prompt)
    page.locator("#make").click()
    expect(page.locator("#cards .card[data-done=true]")).to_have_count(columns, timeout=PATIENCE_MS)

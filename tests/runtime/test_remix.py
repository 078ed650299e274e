"""The Remix tab: what is painted over is drawn anew, everything else stays."""

import re

import pytest
from playwright.sync_api import expect

from mvae.config import LatentConfig
from mvae.errors import OptionError
from tests.runtime.served import PATIENCE_MS, browser, open_app, page, serve
from ui.library import Library
from ui.remix import UNDO, Piece, RemixTab, chosen_places, scattered, with_gaps

__all__ = ["browser", "page"]

LATENT = LatentConfig("test", grid=2, levels=4, coordinates=2, depth=2)


@pytest.fixture(scope="module")
def address(memory_zoo, tmp_path_factory):
    with serve(memory_zoo, tmp_path_factory.mktemp("app")) as url:
        yield url


def test_painted_places_become_unknown_at_every_depth():
    assert chosen_places("2 0 2", LATENT) == [0, 2]
    assert with_gaps(tuple(range(8)), [0, 2], LATENT) == (16, 16, 2, 3, 16, 16, 6, 7)
    for wrong in ("", None, "4", "x", "1,2", " 1", "1 " * 9):
        with pytest.raises(OptionError):
            chosen_places(wrong, LATENT)


def test_half_of_the_grid_is_scattered_by_the_seed():
    latent = LatentConfig("test", grid=12)
    assert len(scattered(latent, 1)) == 72 and scattered(latent, 1) == scattered(latent, 1) != scattered(latent, 2)
    assert scattered(latent, 3, 0.001) and scattered(latent, 3, 1.0) == list(range(144))


def test_steps_can_be_taken_back_so_many_times():
    piece = Piece((0,))
    for step in range(1, UNDO + 5):
        piece = piece.then((step,))
    assert piece.tokens == (UNDO + 4,) and len(piece.before) == UNDO and piece.before[-1] == (UNDO + 3,)


@pytest.fixture
def tab(memory_zoo):
    """The tab's events without a page."""
    made = RemixTab.__new__(RemixTab)
    made.library = Library(memory_zoo)
    return made


def test_what_can_go_wrong_is_said(tab):
    name = tab.library.names[0]
    assert "Draw a sticker" in tab.redraw(name, "cat", "", "1 2", None)[-1]
    piece = tab.begin(name, "cat", "noto")[0]
    assert "Paint over" in tab.redraw(name, "cat", "", "", piece)[-1]
    assert "nothing to take back" in tab.undo(name, piece)[-1]
    assert "Choose a picture" in tab.take(name, None)[-1] and "Type a few words" in tab.begin(name, " ", "")[-1]
    assert "expected" in tab.pick(name, "1 2 3", piece)[-1] and "no model" in tab.begin("x", "cat", "")[-1]


def test_only_what_is_painted_changes_and_undo_goes_back(tab):
    name = tab.library.names[0]
    piece = tab.begin(name, "cat", "noto")[0]
    other, canvas, painted, row, _ = tab.redraw(name, "blue car", "", "0 5 9", piece)
    assert all(a == b for place, (a, b) in enumerate(zip(piece.tokens, other.tokens, strict=True)) if place not in (0, 5, 9))
    assert painted == row == "" and "data:image/png" in canvas
    assert tab.undo(name, other)[0] == piece
    *_, (variations, _) = tab.vary(name, "blue car", "", "0 5 9", piece)
    values = re.findall(r'data-value="([\d ]+)"', variations)
    assert len(values) == 4
    chosen = tab.pick(name, values[2], piece)[0]
    assert chosen.before == (piece.tokens,) and " ".join(map(str, chosen.tokens)) == values[2]


def test_an_animation_can_be_kept_as_webp_and_gif(tab):
    *_, (film, message) = tab.morph(tab.library.names[0], "red apple", "<b>car</b>", "noto")
    assert message == "" and 'download="red-apple-to-b-car-b.webp"' in film and "data:image/gif" in film and "<b>" not in film


def test_painting_in_a_browser(page, address):
    open_app(page, address)
    page.get_by_role("tab", name="Remix").click()
    page.locator("#remix-begin").click()
    canvas = page.locator("mvae-painter")
    expect(canvas).to_have_attribute("data-image", re.compile("^data:image/png"), timeout=PATIENCE_MS)
    first = canvas.get_attribute("data-image")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 8, steps=20)
    page.mouse.up()
    field = page.locator("#remix-painted").locator("textarea, input").first
    expect(field).to_have_value(re.compile(r"^0 1 2( \d+)*$"))
    page.locator("#remix-redraw").click()
    expect(canvas).not_to_have_attribute("data-image", first, timeout=PATIENCE_MS)
    expect(field).to_have_value("")
    page.locator("#remix-undo").click()
    expect(canvas).to_have_attribute("data-image", first, timeout=PATIENCE_MS)


def test_a_press_on_a_variation_goes_on_with_it(page, address):
    open_app(page, address)
    page.get_by_role("tab", name="Remix").click()
    page.locator("#remix-begin").click()
    canvas = page.locator("mvae-painter")
    expect(canvas).to_have_attribute("data-image", re.compile("^data:image/png"), timeout=PATIENCE_MS)
    page.locator("#remix-vary").click()
    expect(page.locator("#remix-row button")).to_have_count(4, timeout=PATIENCE_MS)
    chosen = page.locator("#remix-row button").nth(1)
    picture = chosen.locator("img").get_attribute("src")
    chosen.click()
    expect(canvas).to_have_attribute("data-image", picture, timeout=PATIENCE_MS)

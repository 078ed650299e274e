"""What a visitor has made during a visit, and a prompt for one without ideas."""

import pytest
from PIL import Image
from playwright.sync_api import expect

from mvae.errors import OptionError
from tests.runtime.served import PATIENCE_MS, browser, make, open_app, page, serve
from ui.history import MAX_MADE, Made, picked, render_history, with_made
from ui.library import Library
from ui.names import EXAMPLES
from ui.surprise import surprise

__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def address(memory_zoo, tmp_path_factory):
    with serve(memory_zoo, tmp_path_factory.mktemp("app")) as url:
        yield url


def a_sticker(prompt="a cat", seed=0):
    return Made.of(prompt, None, seed, "", Image.new("RGBA", (128, 128), (seed % 256, 0, 0, 255)))


def test_history_is_bounded_and_what_is_drawn_alike_comes_once():
    history = ()
    for seed in range(MAX_MADE + 5):
        history = with_made(history, a_sticker(seed=seed))
    assert [made.seed for made in history] == list(range(MAX_MADE + 4, 4, -1))
    history = with_made(history, a_sticker(seed=10))
    assert len(history) == MAX_MADE and history[0].seed == 10 and [made.seed for made in history].count(10) == 1
    assert picked(history, "1").seed == MAX_MADE + 4
    for place in ("", "-1", "24", "x", None):
        with pytest.raises(OptionError):
            picked(history, place)


def test_strip_escapes_words_and_waits_for_a_second_sticker():
    first = with_made((), a_sticker("<b>\"'"))
    assert render_history(first) == ""
    strip = render_history(with_made(first, a_sticker("a dog")))
    assert "<b>" not in strip and strip.count("<button") == 2 and strip.index("a dog") < strip.index("&lt;b&gt;")


def test_a_press_on_the_strip_draws_that_sticker_again(page, address):
    open_app(page, address)
    make(page, "a box", 1)
    expect(page.locator("#history .strip")).to_have_count(0)
    first = page.locator("#cards .stage img").first.get_attribute("src")
    make(page, "a teapot", 1)
    expect(page.locator("#history .strip button")).to_have_count(2, timeout=PATIENCE_MS)
    assert page.locator("#cards .stage img").first.get_attribute("src") != first
    page.locator("#history .strip button").nth(1).click()
    expect(page.locator("#prompt textarea, #prompt input")).to_have_value("a box", timeout=PATIENCE_MS)
    expect(page.locator("#cards .stage img").first).to_have_attribute("src", first, timeout=PATIENCE_MS)
    expect(page.locator("#history .strip button")).to_have_count(2, timeout=PATIENCE_MS)


def test_surprise_fills_the_field_and_draws(page, address):
    open_app(page, address)
    page.locator("#prompt textarea, #prompt input").fill("")
    page.locator("#lucky").click()
    expect(page.locator("#cards .card[data-done=true]").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("#prompt textarea, #prompt input").input_value()


def test_words_left_out_change_the_sticker(page, address):
    open_app(page, address)
    page.locator("#advanced button.label-wrap").click()
    page.locator("#advanced").get_by_label("New seed each time").uncheck()
    make(page, "a box", 1)
    before = page.locator("#cards .stage img").first.get_attribute("src")
    page.locator("#negative textarea, #negative input").fill("red teapot")
    make(page, "a box", 1)
    expect(page.locator("#cards .stage img").first).not_to_have_attribute("src", before, timeout=PATIENCE_MS)


def test_surprises_are_things_that_the_memory_knows(memory_zoo):
    library = Library(memory_zoo)
    memory = library.get(library.memory_names[0]).memory
    labels = [caption.label for caption in memory.captions]
    for _ in range(50):
        prompt = surprise(memory)
        assert any(label in prompt for label in labels)
    assert surprise(None) in EXAMPLES

"""A visitor's own pictures in the app, over an entry that reads a memory."""

import pytest
from PIL import Image
from playwright.sync_api import expect

from mvae.errors import ImageError, OptionError
from tests.runtime.served import PATIENCE_MS, browser, make, open_app, page, serve
from ui.library import Library
from ui.own_pictures import MAX_PICTURES, add_picture, render_own

__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def address(memory_zoo, tmp_path_factory):
    with serve(memory_zoo, tmp_path_factory.mktemp("app")) as url:
        yield url


@pytest.fixture
def picture(tmp_path):
    image = Image.new("RGBA", (80, 60))
    image.paste((200, 30, 30, 255), (10, 10, 60, 50))
    image.save(tmp_path / "box.png")
    return tmp_path / "box.png"


def test_an_added_picture_is_looked_at_and_can_be_forgotten(page, address, picture):
    open_app(page, address)
    page.locator("#own button.label-wrap").click()
    page.locator("#own-add").click()
    expect(page.locator("#message .notice")).to_contain_text("Choose a picture", timeout=PATIENCE_MS)
    page.locator("#own-image input[type=file]").set_input_files(str(picture))
    expect(page.locator("#own-image img")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#own-words textarea, #own-words input").fill("teapot")
    page.locator("#own-add").click()
    expect(page.locator("#own-list figcaption")).to_have_text("teapot", timeout=PATIENCE_MS)
    make(page, "teapot", 1)
    expect(page.locator("#cards .recalled")).to_contain_text("teapot", timeout=PATIENCE_MS)
    page.locator("#own-clear").click()
    expect(page.locator("#own-list figcaption")).to_have_count(0, timeout=PATIENCE_MS)
    make(page, "a teapot", 1)
    expect(page.locator("#cards .recalled")).not_to_contain_text("teapot", timeout=PATIENCE_MS)


def test_what_is_added_is_bounded_and_escaped(memory_zoo):
    library, own = Library(memory_zoo), None
    with pytest.raises(ImageError):
        add_picture(library, None, "box", None)
    for _ in range(MAX_PICTURES):
        own = add_picture(library, Image.new("RGBA", (64, 64), (9, 9, 9, 255)), "<b>box", own)
    assert render_own(own).count("&lt;b&gt;box") == 2 * MAX_PICTURES and "<b>" not in render_own(own)
    with pytest.raises(OptionError, match=str(MAX_PICTURES)):
        add_picture(library, Image.new("RGBA", (64, 64)), "box", own)


def test_models_without_a_memory_offer_nothing(tiny_zoo):
    assert Library(tiny_zoo).memory_names == []

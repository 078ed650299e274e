"""The real app as its own process on a loopback port: in a browser, on a phone's width, and through gradio_client."""

import base64
import io
import re
from urllib.parse import urlsplit

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect

from tests.runtime.served import PATIENCE_MS, ROOT, browser, make, open_app, page, serve
from ui.library import Library
from ui.names import EXAMPLES

__all__ = ["browser", "page"]
COMMITTED = ROOT / "zoo" / "models"
ZOO = COMMITTED if (COMMITTED / "small" / "manifest.json").is_file() else ROOT / "tests" / "data" / "tiny-zoo"
"""The committed zoo where it is, the tiny random one otherwise."""
POSITIONS = Library(ZOO).vae(Library(ZOO).names[0]).latent.positions


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serve(ZOO, tmp_path_factory.mktemp("app")) as url:
        yield url


def choose_models(page, wanted):
    for box in page.locator("#model-choice input").all():
        box.set_checked(wanted)


def pixels(page, column=0):
    source = page.locator("#cards .stage img").nth(column).get_attribute("src")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))


def test_prompt_becomes_stickers_and_nothing_leaves_the_machine(page, address):
    hosts, problems = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_app(page, address)
    columns = page.locator("#model-choice label.selected").count()
    assert columns >= 1
    make(page, "a red apple", columns)
    picture = pixels(page)
    assert picture.shape[2] == 4 and picture.shape[0] == picture.shape[1]
    assert picture[picture[..., 3] > 0].std() > 0  # something is drawn
    card = page.locator("#cards .card").first
    assert re.search(r"[\d.]+ MB", card.inner_text()) and re.search(r"\d+ ms", card.inner_text())
    link = card.locator("a.save")
    assert link.get_attribute("download").startswith("a-red-apple-") and link.get_attribute("href").startswith(
        "data:image/png;base64,"
    )
    expect(page.locator("#speed .speed[data-repeats='1']")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#repeats label").first.click()
    page.locator("#measure").click()
    expect(page.locator("#speed table.figures tbody tr")).to_have_count(2 * columns, timeout=PATIENCE_MS)
    assert hosts <= {"127.0.0.1", None} and not problems


@pytest.mark.parametrize("page", [(390, 844)], indirect=True)
def test_phone_width_has_no_sideways_scroll(page, address):
    open_app(page, address)

    def overflow():
        return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    assert overflow() <= 0
    make(page, "pizza", page.locator("#model-choice label.selected").count())
    expect(page.locator("#cards .stage img").first).to_be_in_viewport()
    page.locator("#advanced button.label-wrap").click()
    assert overflow() <= 0
    page.get_by_role("tab", name="About").click()
    assert overflow() <= 0


def test_chip_draws_in_one_click(page, address):
    open_app(page, address)
    page.locator("#chips .chip").nth(2).click()
    expect(page.locator("#cards .card[data-done=true]").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("#prompt textarea, #prompt input").input_value() == EXAMPLES[2]


def test_empty_prompt_and_no_model_are_explained(page, address):
    open_app(page, address)
    page.locator("#prompt textarea, #prompt input").fill("   ")
    page.locator("#make").click()
    expect(page.locator("#message .notice")).to_contain_text("Type a few words", timeout=PATIENCE_MS)
    choose_models(page, False)
    page.locator("#prompt textarea, #prompt input").fill("a cat")
    page.locator("#make").click()
    expect(page.locator("#message .notice")).to_contain_text("at least one model", timeout=PATIENCE_MS)


def test_same_tokens_are_the_same_in_every_column(page, address):
    open_app(page, address)
    page.locator("#same-tokens input").check()
    choose_models(page, True)
    columns = page.locator("#model-choice label.selected").count()
    make(page, "sunflower", columns)
    expect(page.locator("#tokens-map .cells")).to_have_count(columns, timeout=PATIENCE_MS)
    written = page.locator("#tokens-map .cells").evaluate_all(
        "grids => grids.map(grid => [...grid.children].map(cell => cell.dataset.tip).join())"
    )
    assert len(set(written)) == 1
    assert page.locator("#tokens-map .other").count() == 0


def test_pointing_at_the_map_names_a_drawing(page, address):
    open_app(page, address)
    map_canvas = page.locator("mvae-map canvas")
    if page.locator("#map-panel").count() == 0:
        pytest.skip("no map of this zoo's latent")
    expect(map_canvas).to_be_visible(timeout=PATIENCE_MS)
    make(page, "a red apple", page.locator("#model-choice label.selected").count())
    expect(page.locator("#map .hit")).not_to_have_count(0, timeout=PATIENCE_MS)
    map_canvas.scroll_into_view_if_needed()
    box = map_canvas.bounding_box()
    for share in (0.5, 0.45, 0.55, 0.4, 0.6):  # the middle of the map is crowded
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        if page.locator("#tip.on .thumb").count():
            break
    expect(page.locator("#tip.on")).to_contain_text(re.compile("Noto|Twemoji|Fluent"))


def test_client_draws_decodes_and_lists(address):
    client = Client(address, verbose=False)
    names = [model["name"] for model in client.predict(api_name="/models")]
    assert names
    path, details = client.predict("a red apple", style="noto", model=names[0], seed=7, api_name="/generate")
    again = client.predict("a red apple", style="noto", model=names[0], seed=7, api_name="/generate")[1]
    assert details["tokens"] == again["tokens"] and len(details["tokens"]) == POSITIONS
    assert set(details["timings"]) == {"text", "tokens", "decode"}
    with Image.open(path) as sticker:
        drawn = np.asarray(sticker)
        assert sticker.mode == "RGBA"
    with Image.open(client.predict(details["tokens"], names[0], api_name="/decode")) as decoded:
        assert np.array_equal(np.asarray(decoded), drawn)
    times = client.predict("a cat", names[0], 2, api_name="/measure")
    assert times["bytes"] > 0 and times["total_ms"]["p50"] <= times["total_ms"]["p95"]


def test_client_gets_readable_errors(address):
    client = Client(address, verbose=False)
    name = client.predict(api_name="/models")[0]["name"]
    with pytest.raises(AppError, match="empty"):
        client.predict("", model=name, api_name="/generate")
    with pytest.raises(AppError, match=f"expected {POSITIONS} whole numbers"):
        client.predict([1, 2, 3], name, api_name="/decode")
    with pytest.raises(AppError, match="seed"):
        client.predict("a cat", model=name, seed=-1, api_name="/generate")


def test_public_calls_are_documented_and_internal_ones_hidden(address):
    described = Client(address, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert set(described) == {"/generate", "/decode", "/measure", "/models"}
    assert all(call["description"] for call in described.values())

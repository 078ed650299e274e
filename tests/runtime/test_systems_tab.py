"""The Systems tab: samples side by side, maps that decode what is pressed, a visitor's own picture, the table, and what is said
where nothing has been exported."""

import base64
import io
import json
import urllib.request
from urllib.error import HTTPError

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from mvae.errors import ImageError, OptionError, UnknownModelError
from tests.runtime.served import PATIENCE_MS, browser, open_app, page, serve
from tests.runtime.tiny_systems import damaged, tiny_system
from ui.system_pictures import GAP, as_seen, psnr, strip
from ui.system_samples import COUNT, EVERY, render_rows, sample_rows
from ui.system_shelf import STEPS, Shelf
from ui.system_table import system_table
from ui.systems import WAITING, SystemsTab

__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three systems on MNIST, one of them reading words and one on a sphere, and another on CIFAR-10."""
    made = tmp_path_factory.mktemp("systems")
    tiny_system(made)
    tiny_system(made, system="s_vae", sphere=True)
    tiny_system(made, system="mvae")
    tiny_system(made, "cifar10", "vade", side=32, channels=3)
    return made


@pytest.fixture(scope="module")
def address(memory_zoo, folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MVAE_SYSTEMS", str(folder))
        with serve(memory_zoo, tmp_path_factory.mktemp("app")) as url:
            yield url


@pytest.fixture
def tab(folder, tmp_path):
    """The tab's events without a page."""
    made = SystemsTab.__new__(SystemsTab)
    made.shelf, made.results = Shelf(folder), tmp_path
    return made


def doodle(size=(100, 80), box=(30, 20, 50, 60), paper="white", ink="black"):
    image = Image.new("RGBA", size, paper)
    ImageDraw.Draw(image).rectangle(box, fill=ink)
    return image


def test_a_drawing_is_cut_out_scaled_and_centred():
    seen = as_seen(doodle(), "mnist", 28, 1)
    assert seen.shape == (1, 1, 28, 28) and seen.dtype == np.float32 and seen.max() == 1
    rows, columns = np.nonzero(seen[0, 0] > 0.5)
    assert (rows.min(), rows.max()) == (4, 23) and columns.max() - columns.min() + 1 == 10  # 20 high, in proportion
    assert abs((columns.min() + columns.max()) / 2 - 13.5) <= 0.5
    whole = as_seen(doodle(), "fashion-mnist", 28, 1)
    assert (whole[0, 0] > 0.5).any(1).all()  # no margin there
    light = as_seen(doodle(paper="black", ink="white"), "mnist", 28, 1)
    pale = as_seen(doodle(paper="#d0d0d0", ink="#808080"), "mnist", 28, 1)
    assert np.allclose(seen, light, atol=0.01) and np.allclose(seen, pale, atol=0.02)
    clear = doodle(paper=(0, 0, 0, 0))
    assert np.allclose(seen, as_seen(clear, "mnist", 28, 1), atol=0.01)
    for empty in (Image.new("RGB", (9, 9), "white"), Image.new("RGB", (9, 9), "#101010"), Image.new("F", (9, 9))):
        with pytest.raises(ImageError):
            as_seen(empty, "mnist", 28, 1)


def test_a_photograph_keeps_its_middle_and_its_colour():
    image = Image.new("RGB", (300, 100), "blue")
    image.paste("red", (100, 0, 200, 100))
    seen = as_seen(image, "cifar10", 32, 3)
    assert seen.shape == (1, 3, 32, 32) and np.allclose(seen[0, :, 16, 16], (1, 0, 0)) and seen[0, 0].mean() > 0.95


def test_psnr_and_strips():
    zero = np.zeros((1, 1, 4, 4), np.float32)
    assert psnr(zero, zero) == float("inf") and psnr(zero, zero + 0.1) == pytest.approx(20, abs=1e-4)
    images = np.stack([np.full((3, 4, 4), value, np.float32) for value in (0, 0.5, 1)])
    found = np.asarray(strip(images))
    assert found.shape == (4, 3 * 4 + 2 * GAP, 4)
    assert found[0, 0].tolist() == [0, 0, 0, 255] and found[0, -1].tolist() == [255] * 4
    assert found[0, 4].tolist() == [0, 0, 0, 0] and found[0, 4 + GAP, 0] == 128


def test_rows_of_every_class_or_of_one(folder):
    system = Shelf(folder).get("mnist", "mvae")
    mixture, words = sample_rows(system, EVERY, 3)
    assert mixture.labels == words.labels == list(range(10)) and "kB" in mixture.facts[1]
    assert words.title == "mVAE from words" and words.facts[0] == "“a picture of 0” …"
    assert np.array_equal(mixture.images[4], system.decode(system.sample(4, 1, 3))[0])
    mixture, words = sample_rows(system, 6, 3)
    assert mixture.labels == [6] * COUNT and words.facts[0] == "“a picture of 6”"
    assert np.array_equal(words.images, system.decode(system.draw_words(6, COUNT, 3)))
    page = render_rows([mixture], ("<a>",) * 10, every=True)
    assert page.count("<img") == COUNT and page.count("&lt;a&gt;</span>") == 10 and "<a>" not in page
    assert "at least one" in render_rows([], (), every=True)
    with pytest.raises(OptionError):
        sample_rows(system, 10, 0)


def test_the_tab_draws_what_is_chosen(tab):
    rows, said = tab.draw("mnist", ["mvae", "vae"], EVERY, 0)
    assert said == "" and rows.count("system-row\"") == 3 and rows.index("VAE</b>") < rows.index("mVAE</b>")
    assert rows.replace("ms", "") != tab.draw("mnist", ["mvae", "vae"], EVERY, 1)[0].replace("ms", "")
    seed, _, said = tab.draw_anew("mnist", ["vae"], 3)
    assert seed >= 0 and said == ""
    assert "seed is empty" in tab.draw("mnist", ["vae"], 3, None)[-1] and "label" in tab.draw("mnist", ["vae"], 11, 0)[-1]
    names, labels, canvas, table = tab.choose_data("cifar10")
    assert names.value == ["vade"] and labels.choices[1] == ("airplane", 0) and canvas == "" and "not been measured" in table
    assert "mvae-doodle" in tab.choose_data("mnist")[2]


def test_maps_name_their_systems_and_change_with_their_files(tab, tmp_path):
    page = tab.maps("mnist", ["vae", "s_vae"])
    assert page.count("<mvae-plane") == 2 and 'data-source="systems/mnist/s_vae"' in page and page.count("--class-") == 10
    tiny_system(tmp_path, seed=1)
    tab.shelf = Shelf(tmp_path)
    versions = [found.partition('data-version="')[2][:12] for found in (page, tab.maps("mnist", ["vae"]))]
    assert len(set(versions)) == 2 and tab.maps("mnist", []) == ""


def test_a_damaged_system_is_named_and_the_others_drawn(tab, tmp_path):
    tiny_system(tmp_path)
    damaged(tiny_system(tmp_path, system="vade"), "decoder.onnx", b"", recorded=False)
    tab.shelf = Shelf(tmp_path)
    rows, said = tab.draw("mnist", ["vae", "vade"], 0, 0)
    assert rows.count("system-row\"") == 1 and "decoder.onnx" in said
    assert tab.maps("mnist", ["vae", "vade"]).count("<mvae-plane") == 1


def test_a_picture_of_ones_own_is_given_back(tab):
    own, page = tab.take(doodle(), "mnist", ["vae", "mvae"])
    assert own is not None and page.count("<figure") == 3 and page.count("PSNR") == 2 and "28 × 28 pixels" in page
    assert tab.rebuild("mnist", ["vae"], None) == WAITING and "at least one" in tab.rebuild("mnist", [], own)
    assert "Nothing stands out" in tab.rebuild("mnist", ["vae"], Image.new("RGB", (9, 9)))
    assert "32 × 32 pixels" in tab.rebuild("cifar10", ["vade"], own)


def test_a_drawing_comes_as_an_address(tab):
    buffer = io.BytesIO()
    doodle().save(buffer, "PNG")
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    own, page = tab.take_doodle(address, "mnist", ["vae"])
    assert own.size == (100, 80) and page.count("<figure") == 2
    assert tab.take_doodle("none", "mnist", ["vae"]) == (None, WAITING)
    for wrong in ("", "data:text/html,x", "data:image/png;base64,abc", "data:image/png;base64," + "A" * 300_000):
        assert 'role="alert"' in tab.take_doodle(wrong, "mnist", ["vae"])[1]


def test_the_shelf_answers_for_points_and_ways(folder):
    shelf = Shelf(folder)
    system = shelf.get("mnist", "s_vae")
    values = json.loads(shelf.points("mnist", "s_vae"))
    assert np.array_equal(np.float32(values["points"]), system.points) and values["labels"] == system.labels.tolist()
    first, last = (",".join(map(str, values["points"][index])) for index in (3, 8))
    one = np.asarray(Image.open(io.BytesIO(shelf.way("mnist", "s_vae", first))))
    way = np.asarray(Image.open(io.BytesIO(shelf.way("mnist", "s_vae", first, last))))
    assert one.shape == (28, 28, 4) and way.shape == (28, STEPS * (28 + GAP) - GAP, 4)
    assert np.array_equal(way[:, :28], one)
    assert np.abs(way[:, -28:, 0] - 255 * system.decode(system.latents[8:9])[0, 0]).max() < 1
    for wrong in ("", "1", "a,b", "nan,0", "1,2,3"):
        with pytest.raises(OptionError):
            shelf.way("mnist", "s_vae", wrong)
    with pytest.raises(UnknownModelError):
        shelf.points("mnist", "gmvae")


ROW = {
    "system": "beta_vae", "seeds": "3", "cga": "0.9712", "cga_sd": "0.0034", "frechet": "2", "negative_elbo": "",
    "psnr": "20.111", "real_accuracy": "0.9953", "claimed": "86.1", "cpu": "<cpu>", "command": "x & y",
}  # fmt: skip


def test_the_table_marks_what_is_claimed_and_what_is_best():
    other = {**ROW, "system": "vae", "cga": "0.9", "cga_sd": "0", "frechet": "1", "negative_elbo": "100.25"}
    table = system_table([ROW, other], "mnist")
    assert table.count('class="claimed"') == 3 and 'data-value="86.1" class="claimed">86.1</td>' in table  # never the best
    assert "<b>97.1</b><small>± 0.3</small>" in table and "<b>1.00</b>" in table and "<b>2.00</b>" not in table
    assert "<b>20.11" not in table  # all alike: nobody wins
    assert "<td>–</td>" in table and ">100.2</td>" in table and "coverage</button>" not in table.replace("<small></small>", "")
    assert "99.5%" in table and "3 seeds a row" in table and "&lt;cpu&gt;" in table and "x &amp; y" in table and "β-VAE" in table
    assert "reproduce table9" in system_table([], "fashion-mnist") and "Fashion-MNIST" in system_table([], "fashion-mnist")


def test_samples_maps_and_ones_own_drawing_in_a_browser(page, address):
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_app(page, address)
    page.get_by_role("tab", name="Systems").click()
    rows = page.locator(".system-row")
    expect(rows).to_have_count(4, timeout=PATIENCE_MS)  # at once: three systems, one of them also from words
    expect(rows.first.locator("img")).to_have_count(COUNT)
    page.locator("#systems-names label", has_text="S-VAE").click()
    expect(rows).to_have_count(3, timeout=PATIENCE_MS)
    expect(page.locator("mvae-plane")).to_have_count(2, timeout=PATIENCE_MS)
    before = rows.first.locator("img").first.get_attribute("src")
    page.locator("#systems-again").click()
    expect(rows.first.locator("img").first).not_to_have_attribute("src", before, timeout=PATIENCE_MS)
    page.locator("#systems-class label", has_text="7").click()
    expect(page.locator(".system-head")).to_have_count(0, timeout=PATIENCE_MS)
    plane = page.locator("mvae-plane").first
    plane.scroll_into_view_if_needed()
    expect(plane.locator(".said")).to_have_text("From c3 to c8", timeout=PATIENCE_MS)
    press = "(element, index) => element.spots[index]"
    canvas = plane.locator("canvas")
    canvas.click(position=dict(zip("xy", plane.evaluate(press, 0), strict=True)))
    expect(plane.locator(".said")).to_contain_text("decoded", timeout=PATIENCE_MS)
    canvas.click(position=dict(zip("xy", plane.evaluate(press, 9), strict=True)))
    expect(plane.locator(".said")).to_contain_text("From c", timeout=PATIENCE_MS)
    page.wait_for_function("element => element.picture.naturalWidth === 238", arg=plane.element_handle())
    page.locator("mvae-doodle").scroll_into_view_if_needed()
    box = page.locator("mvae-doodle").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 120, steps=8)
    page.mouse.up()
    expect(page.locator(".rebuilt figure")).to_have_count(3, timeout=PATIENCE_MS)
    page.locator("#systems-data label", has_text="CIFAR").click()
    expect(page.locator(".system-head")).to_contain_text("frog", timeout=PATIENCE_MS)
    expect(page.locator("mvae-doodle")).to_have_count(0)
    expect(page.locator(".rebuilt figure")).to_have_count(2, timeout=PATIENCE_MS)
    plane.scroll_into_view_if_needed()
    expect(plane).to_have_attribute("data-source", "systems/cifar10/vade")
    page.wait_for_function("element => element.map && element.picture.naturalWidth === 270", arg=plane.element_handle())
    assert not problems


def test_a_press_on_a_head_sorts(page, address):
    open_app(page, address)
    table = system_table([{**ROW, "system": name, "frechet": value} for name, value in
                          (("vae", "3"), ("vade", ""), ("mvae", "10"), ("s_vae", "2"))], "mnist")
    page.evaluate("html => { document.body.insertAdjacentHTML('afterbegin', `<div id='own-table'>${html}</div>`); }", table)
    names, head = page.locator("#own-table tbody td:first-child"), page.locator("#own-table th", has_text="Fréchet")
    head.locator("button").click()
    expect(names).to_have_text(["S-VAE", "VAE", "mVAE", "VaDE"])  # lower is better; what was not measured comes last
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.locator("button").click()
    expect(names).to_have_text(["mVAE", "VAE", "S-VAE", "VaDE"])
    page.locator("#own-table th").first.locator("button").click()
    expect(names).to_have_text(["VAE", "VaDE", "mVAE", "S-VAE"])


@pytest.mark.parametrize("page", [(390, 844)], indirect=True)
def test_the_tab_fits_a_phone(page, address):
    open_app(page, address)
    page.get_by_role("tab", name="Systems").click()
    expect(page.locator(".system-row").first).to_be_in_viewport(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    clipped = "all => all.filter((button) => button.scrollWidth > button.clientWidth + 1).map((button) => button.textContent)"
    assert page.locator(".tab-container[role=tablist] button").evaluate_all(clipped) == []


def test_addresses_answer_with_their_status(address):
    def status(path):
        try:
            return urllib.request.urlopen(f"{address}/systems/{path}", timeout=60).status
        except HTTPError as error:
            return error.code

    assert status("mnist/vae/points.json") == status("mnist/vae/way.png?from=0,0&to=1,1") == 200
    assert status("mnist/gmvae/points.json") == status("other/vae/points.json") == 404
    assert status("mnist/vae/way.png") == status("mnist/vae/way.png?from=x") == 400


def test_without_systems_the_tab_says_so(page, memory_zoo, tmp_path, monkeypatch):
    monkeypatch.setenv("MVAE_SYSTEMS", str(tmp_path / "none"))
    with serve(memory_zoo, tmp_path) as address:
        open_app(page, address)
        page.get_by_role("tab", name="Systems").click()
        expect(page.locator("#systems-none")).to_contain_text("No exported systems")

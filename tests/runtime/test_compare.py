"""The Compare tab: the plot, two models on one sticker, what a model is made of, and the ablation's table."""

import csv

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from mvae.engine.entry import read_entry
from mvae.engine.layers import layers
from mvae.errors import UnknownModelError
from tests.runtime.served import PATIENCE_MS, browser, open_app, page, serve
from ui.column_notes import psnr_on_white
from ui.compare import GAIN, CompareTab, difference, same_size
from ui.library import Library
from ui.measured import Point, latencies, qualities
from ui.pareto import _label_heights, front, pareto_plot
from ui.tables import ablation_table, layer_tables
from zoo.newest import newest_rows

__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def address(memory_zoo, tmp_path_factory):
    with serve(memory_zoo, tmp_path_factory.mktemp("app")) as url:
        yield url


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_results_are_read_from_the_newest_file(tmp_path):
    assert newest_rows(tmp_path, "bench") == [] and latencies(tmp_path) == ({}, "") and qualities(tmp_path) == {}
    for date, time in (("2026-01-02", 7.5), ("2025-12-31", 9.0)):
        write_rows(tmp_path / f"bench-z-{date}.csv", [{"model": "a-int8", "total_ms_p50": time, "cpu": "X"}])
    assert latencies(tmp_path) == ({"a-int8": 7.5}, "X")
    whole = {"concepts": "trained", "style": "all", "group": "all"}
    for date, score in (("2026-01-02", 0.4), ("2025-12-31", 0.3)):
        rows = [{"measure": "model", "value": "a-int8", **whole}, {"measure": "cga", "value": 0.9, **whole, "style": "noto"},
                {"measure": "cga", "value": score, **whole}]
        write_rows(tmp_path / f"evaluate-a-{date}.csv", rows)
    assert qualities(tmp_path) == {"a-int8": 0.4}


def test_the_front_holds_what_nothing_beats_in_both():
    fast, good, worse, slow = (Point("a", 1, 10, 0.2), Point("b", 1, 20, 0.4), Point("c", 1, 20, 0.3), Point("d", 1, 30, 0.35))
    assert front([slow, worse, good, fast]) == [fast, good]


def test_a_model_without_both_measures_is_named_but_not_drawn():
    plot = pareto_plot([Point("a-int8", 5_000_000, 10, 0.2), Point("b-fp32", 9_000_000, None, 0.4)], "<machine>", "a-int8")
    assert plot.count("<circle") == 1 and 'class="point chosen"' in plot and 'data-value="a-int8"' in plot
    assert "b fp32 (9.0 MB)" in plot and "<machine>" not in plot
    assert "Nothing has been measured" in pareto_plot([Point("a", 1, None, None)], "")


def test_names_of_near_points_are_not_written_over_each_other():
    heights = _label_heights({"a": (10, 50), "b": (20, 52), "c": (30, 90), "d": (400, 50)})
    assert heights == {"a": 50, "b": 65, "c": 90, "d": 50}


def test_a_difference_is_the_gap_of_two_pictures_of_one_size():
    white, grey = Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (16, 16), (250, 250, 250, 255))
    first, second = same_size(white, grey)
    assert first.size == second.size == (8, 8) and first.getpixel((0, 0)) == (255, 255, 255)
    assert np.unique(np.asarray(difference(first, second))).tolist() == [5 * GAIN]
    assert not np.asarray(difference(first, first)).any()
    assert np.isinf(psnr_on_white(white, white))


def test_layers_are_the_tensors_of_the_files(memory_zoo):
    name = next(name for name in Library(memory_zoo).names if name.endswith("int8"))
    entry = read_entry(name, memory_zoo)
    found = layers(entry)
    assert {layer.graph for layer in found} == set(entry.graphs)
    for graph, content in entry.graphs.items():
        mine = [layer for layer in found if layer.graph == graph]
        assert sum(layer.bytes for layer in mine) < len(content)
        assert [layer.bytes for layer in mine] == sorted((layer.bytes for layer in mine), reverse=True)
    width = {"int8": 1, "uint8": 1, "float16": 2, "float32": 4, "int32": 4, "int64": 8}
    assert all(layer.bytes == np.prod(layer.shape) * width[layer.dtype] and 0 <= layer.zeros <= 1 for layer in found)
    page = layer_tables(name, found)
    assert page.count("<details>") == 4 and "Image decoder" in page and page.count('class="tensor"') == len(found)
    with pytest.raises(UnknownModelError):
        Library(memory_zoo).layers("huge-int8")


def test_the_ablation_shows_means_and_deviations():
    names = ("parameters", "macs_prompt", "bytes", "encode_ms_p50", "decode_ms_p50", "total_ms_p50", "peak_memory_bytes", "psnr",
             "cga", "negative_elbo", "seconds")
    row = dict.fromkeys(names, "2000") | {f"{name}_sd": "0" for name in names}
    row |= {"arm": "all-but-prune", "cga": "0.5", "cga_sd": "0.125", "seeds": "3", "real_ceiling": "0.99"}
    row |= {"cpu": "<cpu>", "command": "x"}
    table = ablation_table([row])
    assert "All but pruned" in table and "0.500<small>± 0.125</small>" in table and table.count("<small>") == 1
    assert "<cpu>" not in table and "No ablation" in ablation_table([])


@pytest.fixture
def tab(memory_zoo, tmp_path):
    """The tab's events without a page."""
    made = CompareTab.__new__(CompareTab)
    made.library, made.results = Library(memory_zoo), tmp_path
    made.points = [Point(name, 1, None, 0.5) for name in made.library.names]
    return made


def test_a_model_beside_itself_is_equal(tab):
    name = tab.library.names[0]
    pair, gap, facts, said = tab.both(name, name, "a cat", "noto", True)
    assert said == "" and "Every pixel is the same" in facts and "data:image/png" in gap
    assert np.array_equal(np.asarray(pair[0]), np.asarray(pair[1]))
    assert "Type a few words" in tab.both(name, name, " ", "", True)[-1]


def test_every_model_is_timed_in_every_round(tab):
    answers = list(tab.measure_all(2, ""))
    assert len(answers) == 3 and "Round 2 of 2" in answers[1][1] and "this machine" in answers[1][0]
    assert answers[1][0].count("<circle") == len(tab.library.names)


def test_only_models_that_exist_can_be_picked(tab):
    assert tab.pick(tab.library.names[-1]) == tab.library.names[-1]
    assert tab.pick("other") != "other" and tab.pick("") != ""


def test_two_models_are_compared_in_the_page(page, address):
    open_app(page, address)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#layers details")).to_have_count(4)
    page.locator("#compare-measure-button").click()
    expect(page.locator("#compare-progress .progress-line")).to_contain_text("Medians of 3", timeout=PATIENCE_MS)
    page.locator("#compare-draw").click()
    expect(page.locator(".difference img")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#compare-slider img").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#compare-facts tbody tr")).to_have_count(2)

"""``evaluate`` from data and a zoo entry to the report, with the tiny entry of the test data."""

import json
import shutil

import numpy as np
import pytest
import torch
from evaluate_data import TINY_ZOO, sample_folder
from safetensors.torch import save_file

from mvae.__main__ import main
from mvae.config import VaeConfig
from mvae.engine.options import Options
from mvae.errors import DataError, OptionError
from mvae.evaluate import draws, through_tokens
from mvae.evaluate.cga import Request, evaluate
from mvae.evaluate.cli import compare
from mvae.evaluate.drawings import list_drawings, load_drawings
from mvae.evaluate.draws import Draw, choose_pairs, digest_of, draw_tokens
from mvae.evaluate.judge import Judge
from mvae.models.mvae import MVAE

OPTIONS = Options(guidance=1.0, temperature=1.0, top_k=64)
DRAWS = [Draw("red apple", "noto", seed) for seed in range(5)] + [Draw("cat face", "twemoji", 0)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return sample_folder(tmp_path_factory.mktemp("emoji"))


@pytest.fixture(scope="module")
def judge():
    return Judge()


def test_pairs_are_fixed_by_the_seed_and_come_once_before_any_comes_twice(data):
    stored = list_drawings(data, "train")
    trained = [number for number, drawing in enumerate(stored) if drawing.split == "train"]
    chosen = choose_pairs(stored, "train", 2 * len(trained), 0)
    assert sorted(chosen[: len(trained)]) == trained
    assert chosen[len(trained) :] == chosen[: len(trained)]
    assert choose_pairs(stored, "train", 7, 0) == chosen[:7]
    assert choose_pairs(stored, "train", 7, 1) != chosen[:7]
    with pytest.raises(DataError, match="no drawings of split"):
        choose_pairs(stored, "nowhere", 1, 0)


def test_a_killed_evaluation_goes_on_and_draws_nothing_twice(tmp_path, monkeypatch):
    whole = draw_tokens("tiny-fp32", TINY_ZOO, OPTIONS, DRAWS, tmp_path / "whole")
    part = tmp_path / "part"
    draw_tokens("tiny-fp32", TINY_ZOO, OPTIONS, DRAWS[:4], part)
    (file,) = part.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-20])  # killed in the middle of a line
    assert np.array_equal(draw_tokens("tiny-fp32", TINY_ZOO, OPTIONS, DRAWS, part), whole)
    assert len(file.read_text().splitlines()) == len(DRAWS)

    def refuse(*args, **kwargs):
        raise AssertionError("everything is in the cache")

    monkeypatch.setattr(draws, "load", refuse)
    assert np.array_equal(draw_tokens("tiny-fp32", TINY_ZOO, OPTIONS, DRAWS, part), whole)


def test_workers_change_nothing(tmp_path):
    one, two = (draw_tokens("tiny-fp32", TINY_ZOO, OPTIONS, DRAWS, tmp_path / str(count), count) for count in (1, 2))
    assert np.array_equal(one, two)
    with pytest.raises(OptionError, match="workers"):
        draw_tokens("tiny-fp32", TINY_ZOO, OPTIONS, DRAWS, tmp_path, 0)


def test_the_cache_never_serves_another_model_level_or_option(tmp_path):
    zoo = shutil.copytree(TINY_ZOO, tmp_path / "zoo")
    known = {digest_of("tiny-fp32", zoo, OPTIONS), digest_of("tiny-int8", zoo, OPTIONS), digest_of("tiny-fp32", zoo, Options())}
    manifest = zoo / "tiny" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"licence"', '"licence" '))
    known.add(digest_of("tiny-fp32", zoo, OPTIONS))
    assert len(known) == 4
    assert digest_of("tiny-fp32", TINY_ZOO, OPTIONS) in known


def test_the_report_of_a_model_that_has_learnt_nothing(data, judge, tmp_path):
    report = evaluate(Request("tiny-int8", 12, data, zoo=TINY_ZOO, cache=tmp_path), judge)
    assert report["samples"] == 12
    assert report["cga"] <= report["cga_5"] <= 1
    assert report["cga"] < 0.5
    assert report["token_ceiling"] <= report["real_ceiling"]
    assert report["real_ceiling"] <= report["real_ceiling_5"]
    assert 0 < report["psnr_seen"] < 40
    assert report["frechet"] > 0
    assert set(report["cga_by_style"]) == set(report["real_ceiling_by_style"])
    assert {"psnr_unseen", "ssim_seen", "ssim_unseen", "token_ceiling_unseen", "psnr_unseen_64"} <= report.keys()
    assert report == evaluate(Request("tiny-int8", 12, data, zoo=TINY_ZOO, cache=tmp_path), judge)


def test_a_model_against_itself_makes_no_difference(data, judge, tmp_path):
    report = compare(Request("tiny-fp32", 4, data, zoo=TINY_ZOO, cache=tmp_path), "tiny-fp32", judge)
    assert (report["difference"], report["low"], report["high"], report["mcnemar_p"]) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "arguments", [["--samples", "1"], ["--seed", "-1"], ["--model", "tiny-int9"], ["--guidance", "nan"], ["--data", "/nowhere"]]
)
def test_bad_input_ends_with_exit_code_2_and_one_line(arguments, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            [
                "evaluate",
                "--model",
                "tiny-fp32",
                "--zoo",
                str(TINY_ZOO),
                "--data",
                str(data),
                "--samples",
                "2",
                "--json",
                *arguments,
            ]
        )
        == 2
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip().splitlines()[-1].startswith("mvae evaluate: ")


def test_the_verb_prints_json_and_writes_a_result_file(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "evaluate",
        "--model",
        "tiny-fp32",
        "--zoo",
        str(TINY_ZOO),
        "--data",
        str(data),
        "--samples",
        "3",
        "--out",
        "results",
        "--json",
    ]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert {
        "model",
        "cga",
        "token_ceiling",
        "real_ceiling",
        "psnr_seen",
        "psnr_unseen",
        "ssim_seen",
        "ssim_unseen",
        "frechet",
    } <= report.keys()
    (file,) = (tmp_path / "results").glob("evaluate-tiny-fp32-*.csv")
    assert "cga,trained,all," in file.read_text()


def test_a_run_is_judged_before_any_export(data, tmp_path, capsys):
    config = VaeConfig(
        image_size=64,
        patch=2,
        encoder_widths=(16, 16, 16),
        encoder_blocks=(0, 0, 0),
        decoder_widths=(16, 16, 16),
        decoder_blocks=(0, 0, 0),
    )
    torch.manual_seed(0)
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae_config.json").write_text(json.dumps(config.to_dict()))
    save_file({f"vae.{name}": value for name, value in MVAE(config).state_dict().items()}, tmp_path / "vae" / "ema.safetensors")
    assert through_tokens.main(["--run", str(tmp_path), "--data", str(data), "--samples", "6"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seen"]["samples"] == 6
    assert report["seen"]["token_ceiling"] <= report["seen"]["real_ceiling_5"]
    assert through_tokens.main(["--run", str(tmp_path / "nothing"), "--data", str(data)]) == 2


def test_a_folder_without_drawings_says_how_to_get_them(tmp_path):
    with pytest.raises(DataError, match="data build emoji"):
        load_drawings(tmp_path, "train")

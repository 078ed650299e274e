"""Result files and the tables that README.md makes of them."""

import datetime

import pytest

from mvae import bench
from mvae.errors import DataError, InputError
from mvae.evaluate import results

REPORT = {
    "model": "small-int8",
    "samples": 2000,
    "seed": 0,
    "cga": 0.25,
    "cga_5": 0.5,
    "cga_by_style": {"noto": 0.3, "twemoji": 0.2},
    "cga_by_group": {"objects": 0.35},
    "cga_unseen": 0.0625,
    "token_ceiling": 0.4,
    "token_ceiling_by_style": {"noto": 0.45, "twemoji": 0.35},
    "token_ceiling_by_group": {"objects": 0.6},
    "drawings": 1900,
    "real_ceiling": 0.5,
    "real_ceiling_by_style": {"noto": 0.55, "twemoji": 0.45},
    "real_ceiling_by_group": {"objects": 0.7},
    "token_ceiling_unseen": 0.125,
    "drawings_unseen": 400,
    "real_ceiling_unseen": 0.375,
    "psnr_seen": 24.321,
    "psnr_unseen": 23.456,
    "ssim_seen": 0.8,
    "ssim_unseen": 0.75,
    "psnr_seen_64": 25.5,
    "psnr_unseen_64": 24.75,
    "frechet": 0.0625,
}
COMPARISON = {
    "first": "small-int8",
    "second": "small-fp32",
    "samples": 2000,
    "cga_first": 0.25,
    "cga_second": 0.26,
    "difference": -0.01,
    "low": -0.02,
    "high": 0.005,
    "mcnemar_p": 0.25,
}


def test_the_readme_is_up_to_date():
    assert results.main(["--check"]) == 0, "run: python -m mvae.evaluate.results"


def test_without_results_the_block_says_so(tmp_path):
    assert results.render(tmp_path) == results.NOTHING


def test_every_number_of_an_evaluation_reaches_its_table(tmp_path):
    results.write_evaluation(REPORT, "python -m mvae evaluate --model small-int8", tmp_path)
    block = results.render(tmp_path)
    assert "| `small-int8` | 0.250 | 0.500 | – | 0.400 | 0.500 | 0.062 | 0.125 | 0.375 | 0.062 | 2000 |" in block
    assert "| `small-int8` | 0.30 / 0.45 / 0.55 | 0.20 / 0.35 / 0.45 |" in block
    assert "| model | objects |" in block and "| `small-int8` | 0.35 / 0.60 / 0.70 |" in block
    assert "| `small-int8` | 24.32 | 23.46 | 0.800 | 0.750 | 25.50 | 24.75 |" in block
    assert "`python -m mvae evaluate --model small-int8`" in block


def test_samples_belong_to_their_own_measure():
    whole = [row for row in results.evaluation_rows(REPORT, "") if row["group"] == "all"]
    rows = {(row["measure"], row["concepts"], row["style"]): row["samples"] for row in whole}
    assert rows["cga", "trained", "all"] == 2000
    assert rows["psnr", "trained", "all"] == 1900
    assert rows["cga", "unseen", "all"] == 400
    assert rows["psnr", "unseen", "all"] == rows["token_ceiling", "unseen", "all"] == 400


def test_a_comparison_is_a_table(tmp_path):
    results.write_comparison(COMPARISON, "python -m mvae evaluate --compare small-fp32", tmp_path)
    row = "| `small-int8` − `small-fp32` | 0.250 | 0.260 | -1.00 | -2.00 … +0.50 | 0.250 | 2000 |"
    assert row in results.render(tmp_path)


def bench_file(folder, name, total=41.23):
    times = {"text_ms": 1.25, "tokens_ms": 30.5, "encode_ms": 4.0, "decode_ms": 5.5, "total_ms": total}
    model = {"name": name, "bytes": 7_000_000, **{stage: {"p50": time, "p95": 2 * time} for stage, time in times.items()}}
    found = {"models": [model], "machine": bench.machine(1) | {"cpu": "Some CPU"}, "repeat": 20}
    date = datetime.date(2026, 1, 1)
    path = folder / bench.result_name("Some CPU", date)
    path.write_text(bench.to_csv(found, date, "python -m mvae bench"))
    return path


def test_what_bench_writes_is_a_table(tmp_path):
    bench_file(tmp_path, "small-int8")
    block = results.render(tmp_path)
    assert "| model | model files, MB | text, ms | tokens, ms | encode, ms | decode, ms | total, ms | total, p95 |" in block
    assert "| `small-int8` | 7.00 | 1.2 | 30.5 | 4.0 | 5.5 | 41.2 | 82.5 |" in block
    assert "on Some CPU" in block


def test_studies_are_tables(tmp_path):
    latent = {
        "arm": "8x8", "about": "the reference", "tokens": 64, "bytes": 96, "token_ceiling": "0.2", "of_real_ceiling": "0.5",
        "psnr": "21.875", "ssim": "0.75", "perceptual": "0.125", "codes_used": 3900, "codebook": 4096, "tokens_ms": "20.4",
        "kl_nats": "399.6",
        "steps": 900, "batch": 16, "command": "python -m mvae reproduce latent",
    }
    results.write_csv(tmp_path / "latent-arms-m-2026-01-01.csv", latent, [latent])
    names = ("set", "arm", "guidance", "object", "object_5", "colour", "stickers", "bytes", "steps", "command")
    rows = [("trained", "real drawings", "", "0.5", "0.75", "", 600, "", "", "c")]
    rows += [("trained", "plain", "3", "0.25", "0.5", "1", 600, 7_000_000, 90, "c")]
    results.write_csv(tmp_path / "memory-arms-m-2026-01-01.csv", names, [dict(zip(names, row, strict=True)) for row in rows])
    block = results.render(tmp_path)
    assert "| `8x8` | the reference | 64 | 96 | 400 | 0.200 | 0.500 | 21.88 | 0.750 | 0.125 | 3900 of 4096 | 20 |" in block
    assert "900 steps of 16 pictures" in block and "`python -m mvae reproduce latent`" in block
    assert "| trained | real drawings | – | 0.500 | 0.750 | – | 600 | – | – |" in block
    assert "| trained | plain | 3 | 0.250 | 0.500 | 1.000 | 600 | 7.0 | 90 |" in block


def test_the_newest_of_one_subject_and_machine_counts(tmp_path):
    for date, name in (("2026-01-02", "new"), ("2025-12-31", "old")):
        bench_file(tmp_path, name).rename(tmp_path / f"bench-cpu-{date}.csv")
    bench_file(tmp_path, "elsewhere").rename(tmp_path / "bench-other-2024-01-01.csv")
    block = results.render(tmp_path)
    assert "| `new` |" in block
    assert "| `elsewhere` |" in block
    assert "`old`" not in block


def test_a_file_that_is_no_result_is_an_error(tmp_path):
    (tmp_path / "notes.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="evaluate or compare or bench"):
        results.render(tmp_path)


def test_only_the_block_changes():
    text = f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n"
    renewed = results.replace_block(text, "new")
    assert renewed == f"before\n{results.BEGIN}\nnew\n{results.END}\nafter\n"
    assert results.replace_block(renewed, "new") == renewed


@pytest.mark.parametrize(
    "text", ["", f"{results.BEGIN}", f"{results.END} {results.BEGIN}", f"{results.BEGIN} {results.END} {results.BEGIN}"]
)
def test_a_file_without_the_marks_is_left_alone(text):
    with pytest.raises(DataError, match="expected one of each"):
        results.replace_block(text, "new")


def test_results_go_into_a_folder_that_is_made_and_nowhere_else(tmp_path):
    assert results.write_evaluation(REPORT, "", tmp_path / "a" / "b").parent == tmp_path / "a" / "b"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        results.write_evaluation(REPORT, "", tmp_path / "file" / "results")

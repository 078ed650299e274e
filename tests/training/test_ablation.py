"""The ablation: which rows there are, phases that divide one budget, and the table."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.data.benchmarks import Labelled, write_benchmark
from mvae.evaluate.miniaturisation_tables import ALL_STUDIES
from mvae.reproduce import ablation_arms, networks, refine, tiny_decoder, tuning
from mvae.reproduce.ablation import COLUMNS, MEASURED, draw, pareto, summary
from mvae.reproduce.ablation_arms import NAMES, Techniques, rows, train_vae, train_words, trials
from mvae.reproduce.ablation_digits import MARGIN, SIDE, digits, vae_measures
from mvae.training.text import save_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    split = Labelled(generator.integers(0, 256, (40, 28, 28, 1), np.uint8), np.arange(40) % 10)
    write_benchmark("mnist", {"train": split, "test": split}, folder)
    return folder


def test_rows_are_each_technique_alone_and_all_but_it():
    found = rows()
    assert len(found) == 2 + 2 * len(NAMES)
    assert found["baseline"] == Techniques() and all(getattr(found["all"], name) for name in NAMES)
    for name in NAMES:
        assert [n for n in NAMES if getattr(found[name], n)] == [name]
        assert [n for n in NAMES if not getattr(found[f"all-but-{name}"], n)] == [name]


def test_baselines_come_first_and_budgets_are_equal():
    found = trials(3, 50, 60)
    assert [trial.about for trial in found[:3]] == ["baseline"] * 3 and len({trial.name for trial in found}) == len(found) == 42
    assert {(trial.stage.schedule.steps, trial.words) for trial in found} == {(50, 60)}
    assert {trial.stage.schedule.seed for trial in found} == {0, 1, 2}


def test_digits_become_ink_on_transparency(data):
    pictures, labelled = digits(data, "train", 12)
    assert pictures.pixels.shape == (12, SIDE, SIDE, 4) and pictures.captions[3] == "three"
    assert not pictures.pixels[..., :3].any() and not pictures.pixels[:, :MARGIN].any()
    assert np.array_equal(pictures.pixels[:, MARGIN:-MARGIN, MARGIN:-MARGIN, 3:], labelled.images)


def test_phases_share_the_steps_and_leave_a_smaller_model(data, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation_arms, "BATCH", 8)  # of the words
    pictures, labelled = digits(data, "train", 24)
    trial = next(t for t in trials(1, 12, 10) if t.about == "all-but-distil")
    stages = []
    inner = ablation_arms.train_stage

    def counted(training, out, **options):
        stages.append(training.schedule.steps)
        return inner(training, out, progress=False, **options)

    monkeypatch.setattr(ablation_arms, "train_stage", counted)
    trial = replace(trial, stage=replace(trial.stage, schedule=replace(trial.stage.schedule, batch=8)))
    vae = train_vae(trial, tmp_path, pictures, None)
    assert sum(stages) == 12 and len(stages) == 3
    assert vae.config.encoder_widths[0] < trial.stage.config.encoder_widths[0]
    assert not any("Fake" in type(part).__name__ for part in vae.modules())
    save_tokenizer(train_tokenizer(pictures, 300), tmp_path / "tokenizer.json")
    model, config = train_words(trial, tmp_path, pictures, vae, None)
    assert sum(stages[3:]) == 10 and config.feed_forward == model.config.encoder_ffn_dim == 96
    assert torch.isfinite(model.lm_head.weight).all()
    found = vae_measures(vae, pictures, labelled)
    assert found["negative_elbo"] > found["rate"] - 1e5 and 0 <= found["zero_share"] <= 1 and 1 <= found["perplexity"] <= 256


def a_row(name, bytes_, cga):
    about = {"arm": name, "level": "fp32", "real_ceiling": 0.99, "cpu": "x"}
    return dict.fromkeys(MEASURED, 1.0) | about | {"bytes": bytes_, "cga": cga}


def test_seeds_become_means_and_deviations(tmp_path):
    found = summary([a_row("a", 10, 0.5), a_row("a", 10, 0.7)])
    assert found["cga"] == pytest.approx(0.6) and found["cga_sd"] == pytest.approx(0.02**0.5) and found["seeds"] == 2
    assert found["bytes_sd"] == 0 and set(COLUMNS) - set(found) == {"vae_steps", "word_steps", "command"}
    rows_ = [summary([a_row("a", 10, 0.5)]), summary([a_row("b", 20, 0.4)]), summary([a_row("c", 30, 0.9)])]
    assert [row["arm"] for row in pareto(rows_, "bytes", "cga")] == ["a", "c"]
    draw(rows_, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(("study", "columns"), [
    ("ablation", COLUMNS), ("networks", networks.COLUMNS), ("refine", refine.COLUMNS), ("tiny-decoder", tiny_decoder.COLUMNS),
])
def test_every_study_has_a_table(study, columns):
    row = dict.fromkeys(columns, "1") | {"arm": "the arm", "level": "int8"}
    lines = ALL_STUDIES[study]([row, row])
    head = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    assert len(lines) == head + 3 and all(line.count("|") == lines[head].count("|") for line in lines[head - 1 :])
    assert "the arm" in lines[-1]


def test_the_table_of_tuning_says_when_the_fixed_end_is_reached():
    common = dict.fromkeys(tuning.COLUMNS, "1") | {"optimiser": "adam", "schedule": "cosine"}
    rows_ = [
        common | {"arm": arm, "epoch": str(epoch), "negative_elbo": str(value)}
        for arm, values in (("fixed", (130, 120, 110)), ("tuned", (120, 109, 100))) for epoch, value in enumerate(values, 1)
    ]
    text = "\n".join(ALL_STUDIES["tuning"](rows_))
    assert "after 2 of 3 epochs" in text and "110.00 ± 1.00" in text
    late = [row | {"negative_elbo": "200"} if row["arm"] == "tuned" else row for row in rows_]
    assert "after more than 3 epochs" in "\n".join(ALL_STUDIES["tuning"](late))

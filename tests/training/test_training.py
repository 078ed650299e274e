"""The training loop on the tiny recipe: resume after SIGKILL, two processes, refusals."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mvae.config import Seq2SeqConfig
from mvae.errors import DataError, TrainingError
from mvae.training import precision
from mvae.training.checkpoint import load_weights, step_generator
from mvae.training.cli import train
from mvae.training.loop import fitted
from mvae.training.recipe import load_recipe
from mvae.training.schedule import build_optimisers, learning_rate_factor
from mvae.training.vae_stage import epoch_indices

COMMAND = [sys.executable, "-m", "mvae", "train", "tiny"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory) -> Path:
    """An uninterrupted run of the tiny recipe."""
    out = tmp_path_factory.mktemp("whole")
    subprocess.run([*COMMAND, "--out", str(out)], env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    return out


def same_weights(a: Path, b: Path) -> None:
    left, right = load_file(a), load_file(b)
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def test_run_leaves_what_export_reads(whole_run):
    for name in ("vae_config.json", "seq2seq_config.json", "tokenizer.json", "vae.safetensors", "model.safetensors", "run.json"):
        assert (whole_run / name).stat().st_size > 0
    with open(whole_run / "vae" / "metrics.csv") as file:
        row = list(csv.DictReader(file))[-1]
    assert {
        "loss",
        "negative_elbo_nats",
        "kl_nats",
        "log_likelihood_nats",
        "active_units",
        "codes_used",
        "seconds_per_step",
    } <= set(row)
    assert float(row["negative_elbo_nats"]) == pytest.approx(float(row["kl_nats"]) - float(row["log_likelihood_nats"]), abs=0.2)
    assert 0 < float(row["perceptual"]) <= 4
    assert 0 < int(row["codes_used"]) <= 4096 and 0 < int(row["active_units"]) <= 256
    assert len(json.loads((whole_run / "run.json").read_text())["data"]["sha256"]) == 64


@pytest.mark.parametrize("stage", ["vae", "seq2seq"])
def test_killed_run_resumes_to_the_same_weights(whole_run, tmp_path, stage):
    command = [*COMMAND, "--out", str(tmp_path), "--resume"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / stage / "checkpoint.safetensors"
    deadline = time.monotonic() + 200
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    same_weights(tmp_path / "vae.safetensors", whole_run / "vae.safetensors")
    same_weights(tmp_path / "model.safetensors", whole_run / "model.safetensors")
    assert (tmp_path / "tokenizer.json").read_bytes() == (whole_run / "tokenizer.json").read_bytes()


def test_two_processes(tmp_path):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "mvae",
        "train",
        "tiny",
    ]
    result = subprocess.run([*command, "--out", str(tmp_path)], env=ENVIRONMENT, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr[-2000:]
    weights = load_file(tmp_path / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    with open(tmp_path / "seq2seq" / "metrics.csv") as file:
        assert int(list(csv.DictReader(file))[-1]["step"]) == load_recipe("tiny").seq2seq.schedule.steps


def test_batches_made_ahead_are_the_same(whole_run, tmp_path):
    train(load_recipe("tiny"), tmp_path, stage="vae", progress=False, workers=2)
    same_weights(whole_run / "vae.safetensors", tmp_path / "vae.safetensors")


def test_a_schedule_is_fitted_to_the_time_left():
    assert fitted(1000, done=25, seconds_per_step=2.0, seconds_left=100.0) == 75
    assert fitted(40, done=25, seconds_per_step=2.0, seconds_left=100.0) == 40  # never more than the recipe has
    assert fitted(1000, done=25, seconds_per_step=2.0, seconds_left=-5.0) == 26


def test_a_run_without_time_ends_after_what_was_measured(tmp_path):
    recipe = load_recipe("tiny")
    long = replace(recipe, vae=replace(recipe.vae, schedule=replace(recipe.vae.schedule, steps=5000)))
    train(long, tmp_path, stage="vae", progress=False, minutes=1e-4)
    with open(tmp_path / "vae" / "metrics.csv") as file:
        last = list(csv.DictReader(file))[-1]
    assert int(last["step"]) == 26 and float(last["learning_rate"]) < 0.1 * long.vae.schedule.learning_rate
    for change in ({"minutes": 0.0}, {"workers": -1}):
        with pytest.raises(DataError, match="expected 0 or more workers"):
            train(recipe, tmp_path / "other", stage="vae", progress=False, **change)


def test_an_existing_run_is_not_overwritten(whole_run):
    before = (whole_run / "vae" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="--resume"):
        train(load_recipe("tiny"), whole_run, progress=False)
    assert (whole_run / "vae" / "checkpoint.safetensors").read_bytes() == before


def test_a_checkpoint_of_other_settings_is_refused(whole_run):
    recipe = load_recipe("tiny")
    other = replace(recipe, vae=replace(recipe.vae, rate_nats=100.0))
    with pytest.raises(TrainingError, match="settings"):
        train(other, whole_run, resume=True, stage="vae", progress=False)


def test_a_damaged_checkpoint_is_named(whole_run, tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "checkpoint.safetensors").write_bytes((whole_run / "vae" / "checkpoint.safetensors").read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: unreadable"):
        train(load_recipe("tiny"), tmp_path, resume=True, stage="vae", progress=False)


def test_seq2seq_before_vae_is_refused(tmp_path):
    with pytest.raises(DataError, match="train the VAE first"):
        train(load_recipe("tiny"), tmp_path, stage="seq2seq", progress=False)


def test_recipes(tmp_path):
    assert load_recipe("small").vae.config.image_size == 128
    with pytest.raises(DataError, match="expected one of"):
        load_recipe("giant")
    (tmp_path / "empty.py").write_text("RECIPE = 3\n")
    with pytest.raises(DataError, match="RECIPE is int"):
        load_recipe(str(tmp_path / "empty.py"))


def test_epochs_are_permutations_whatever_the_batch():
    seen = torch.cat([epoch_indices(10, 4, step, seed=5) for step in range(5)])
    assert sorted(seen[:10].tolist()) == list(range(10)) and sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_step_randomness_depends_on_seed_step_and_rank():
    draw = {k: torch.rand(4, generator=step_generator(*k)).tolist() for k in ((0, 1, 0), (0, 2, 0), (0, 1, 1), (1, 1, 0))}
    assert len({tuple(v) for v in draw.values()}) == 4
    assert draw[0, 1, 0] == torch.rand(4, generator=step_generator(0, 1, 0)).tolist()


def test_schedule_warms_up_and_ends_at_its_floor():
    schedule = load_recipe("small").seq2seq.schedule
    factors = [learning_rate_factor(step, schedule) for step in range(schedule.steps + 1)]
    assert factors[schedule.warmup] == pytest.approx(1) and max(factors) <= 1
    assert factors[schedule.steps] == pytest.approx(schedule.floor)
    assert all(a >= b for a, b in zip(factors[schedule.warmup :], factors[schedule.warmup + 1 :], strict=False))


def test_every_parameter_has_one_optimiser_and_vectors_do_not_decay():
    from mvae.models.seq2seq import build_seq2seq

    recipe = load_recipe("tiny").seq2seq
    model = build_seq2seq(recipe.config)
    groups = [g for o in build_optimisers(model, recipe.schedule) for g in o.param_groups]
    owned = [id(p) for g in groups for p in g["params"]]
    assert len(owned) == len(set(owned)) and set(owned) == {id(p) for p in model.parameters() if p.requires_grad}
    assert all(g["weight_decay"] == 0 for g in groups for p in g["params"] if p.ndim == 1)


def test_a_run_keeps_the_precision_that_it_began_with(monkeypatch):
    """The probe is a timing: on a busy machine it once resumed a run in the other precision."""
    assert precision.probe_precision("cpu") in precision.NAMES.values()
    controller = {"log_beta": 1.0}
    for found in (torch.bfloat16, torch.float32):
        monkeypatch.setattr(precision, "probe_precision", lambda device, found=found: found)
        assert precision.settle_precision("auto", "cpu", controller) == torch.bfloat16
    assert controller == {"log_beta": 1.0, "precision": "bf16"}
    assert precision.settle_precision("fp32", "cpu", {}) == torch.float32
    with pytest.raises(TrainingError, match="fp16"):
        precision.settle_precision("fp16", "cpu", {})


def test_warm_start_takes_the_vae_and_goes_on_with_the_seq2seq(whole_run, tmp_path):
    recipe = load_recipe("tiny")
    train(recipe, tmp_path / "on", warm_start=whole_run, progress=False)
    same_weights(tmp_path / "on" / "vae.safetensors", whole_run / "vae.safetensors")
    before, after = (load_file(folder / "model.safetensors") for folder in (whole_run, tmp_path / "on"))
    change = max((after[name] - before[name]).abs().max().item() for name in before)
    assert 0 < change < 0.05  # a fresh start would differ by whole weights
    with pytest.raises(DataError, match="lacks"):
        train(recipe, tmp_path / "off", warm_start=tmp_path, progress=False)


def test_warm_start_of_the_vae_alone(whole_run, tmp_path):
    recipe = load_recipe("tiny")
    begun = replace(recipe, vae=replace(recipe.vae, schedule=replace(recipe.vae.schedule, steps=1, learning_rate=1e-6)))
    train(begun, tmp_path / "on", warm_start=whole_run, stage="vae", progress=False)
    before, after = (load_file(folder / "vae.safetensors") for folder in (whole_run, tmp_path / "on"))
    weights = [name for name in before if name.endswith("weight")]
    assert 0 < max((after[name] - before[name]).abs().max().item() for name in weights) < 1e-3
    assert not (tmp_path / "on" / "model.safetensors").exists()


def test_an_exported_entry_can_be_trained_on():
    """Entries are saved by transformers, which leaves out what it computes itself."""
    from mvae.models.seq2seq import build_seq2seq

    trained = json.loads(Path("zoo/models/small/manifest.json").read_text())["training"]
    model = build_seq2seq(Seq2SeqConfig.from_dict(trained["recipe"]["seq2seq"]["config"]))
    positions = model.model.encoder.embed_positions.weight.clone()
    path = Path("zoo/models/small/model.safetensors")
    load_weights(model, path)
    stored = load_file(path)
    assert torch.equal(model.model.encoder.embed_positions.weight, positions)
    name = "model.decoder.layers.0.fc1.weight"
    assert torch.equal(model.state_dict()[name], stored[name].float())

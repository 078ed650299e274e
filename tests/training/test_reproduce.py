"""The studies compare what they say they compare."""

import csv
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from mvae.config import VaeConfig
from mvae.errors import DataError, OptionError, TrainingError
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import build_seq2seq
from mvae.reproduce import decoder, latent, memory, seq2seq
from mvae.reproduce.arms import Arm, result_of, run_side_by_side
from mvae.reproduce.latent_arms import REFERENCE, arms
from mvae.reproduce.memory_arms import equal_bytes, recipe_of, stored_weights, vae_of
from mvae.reproduce.memory_draws import Asked, score
from mvae.training.recipe import load_recipe

NOWHERE = Path("nowhere")


def test_latents_differ_in_what_they_say_and_are_of_about_equal_size():
    found = {arm.name: arm for arm in arms(10, 4)}
    sizes = {name: sum(p.numel() for p in MVAE(arm.stage.config).parameters()) for name, arm in found.items()}
    assert all(abs(size / sizes[REFERENCE] - 1) < 0.08 for size in sizes.values()), sizes
    settings = [str(asdict(arm.stage)) for arm in found.values()]
    assert len(set(settings)) == len(settings) == len(found)
    assert {arm.stage.schedule for arm in found.values()} == {found[REFERENCE].stage.schedule}


def test_what_tokens_take_on_disk():
    assert latent.bytes_an_image(VaeConfig().latent) == 96
    assert latent.bytes_an_image(VaeConfig(grid=12).latent) == 216
    assert latent.bytes_an_image(VaeConfig(grid=16, levels=4, coordinates=3).latent) == 192


def test_statistics_of_tokens():
    found = latent.token_statistics(torch.tensor([[0, 1], [2, 3]]), codebook=4096)
    assert found["codes_used"] == 4 and found["token_nats"] == pytest.approx(torch.tensor(4.0).log().item())


@pytest.mark.parametrize("vae", [VaeConfig(), VaeConfig(grid=12)])
def test_arms_take_equal_bytes_with_the_memory_counted(vae):
    bytes_of_memory = 20_000 * vae.latent.positions
    plain, *others = equal_bytes(vae, bytes_of_memory)
    wanted = {stored_weights(recipe_of(arm, vae, 1).seq2seq.config) + bytes_of_memory for arm in others}
    assert len(wanted) == 1
    assert stored_weights(recipe_of(plain, vae, 1).seq2seq.config) == pytest.approx(wanted.pop(), rel=0.001)


def test_weights_that_are_stored():
    config = recipe_of(equal_bytes(VaeConfig(), 0)[1], VaeConfig(), 1).seq2seq.config
    parameters = sum(p.numel() for p in build_seq2seq(config).parameters() if p.requires_grad)
    assert stored_weights(config) == parameters + 4098 * config.d_model


def test_colours_and_objects_are_scored(monkeypatch):
    import numpy as np

    red, blue = (np.full((32, 32, 4), (*colour, 255), np.uint8) for colour in ((230, 20, 20), (20, 60, 230)))
    monkeypatch.setattr("mvae.reproduce.memory_draws.recognition", lambda judge, stickers, concepts: (np.array([0, 3]), None))
    asked = [Asked("red apple", "noto", "a", colour="red"), Asked("red car", "noto", "b", colour="red")]
    assert score(None, np.stack([red, blue]), asked) == {"object": 0.5, "object_5": 1.0, "colour": 0.5}
    assert "colour" not in score(None, np.stack([red, blue]), [replace(a, colour=None) for a in asked])


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(OptionError, match="nothing"):
        latent.run_all(NOWHERE, tmp_path, steps=1, batch=1, workers=1, only=["nothing"], results=tmp_path, plot=tmp_path / "p")
    with pytest.raises(OptionError, match="nothing"):
        memory.run_all(NOWHERE, NOWHERE, tmp_path, minutes=1, samples=1, workers=1, only=["nothing"], results=tmp_path)
    with pytest.raises(DataError, match="lacks"):
        vae_of(tmp_path)


def test_a_result_belongs_to_its_settings_and_to_the_weights_it_began_with(tmp_path):
    stage = load_recipe("tiny").vae
    made = []
    for start, learned in (("a", 1), ("a", 2), ("b", 3)):
        arm = next(arm for arm in decoder.arms(stage, start, 10, 4) if arm.name == "adversarial")
        (tmp_path / arm.name).mkdir(exist_ok=True)
        made.append(result_of(arm, tmp_path, lambda learned=learned: {"psnr": learned})["psnr"])
    assert made == [1, 1, 3]


def test_decoders_are_tuned_with_the_encoder_standing_still():
    found = decoder.arms(load_recipe("base").vae, "", 10, 4)
    assert len({str(asdict(arm.stage)) for arm in found}) == len(found)
    for arm in found:
        assert arm.stage.freeze_encoder_from == arm.stage.perceptual_from == arm.stage.adversarial_from == 0
        assert arm.stage.config == load_recipe("base").vae.config


def test_decisions_about_the_seq2seq_differ_from_the_recipe_in_one_thing():
    run = Path("zoo/models/small")
    found = {arm.name: arm for arm in seq2seq.arms(seq2seq.stage_of("small", run), "", 10, 4)}
    reference = asdict(found.pop(seq2seq.REFERENCE).stage)
    for arm in found.values():
        stage = asdict(arm.stage)
        changed = {name for name in stage if stage[name] != reference[name]}
        assert len(changed) == 1, (arm.name, changed)
        build_seq2seq(arm.stage.config)
    assert seq2seq.recipe_of(found["deeper"], run, "small").vae.config == vae_of(run)


def test_arms_that_failed_say_so_and_end_the_others(tmp_path):
    found = [Arm(name, "", load_recipe("tiny").vae) for name in ("a", "b")]
    with pytest.raises(TrainingError, match="ended with 1"):
        run_side_by_side(found, tmp_path, "no.such.module", [], 2)


def test_the_last_rate_is_read(tmp_path):
    with open(tmp_path / "metrics.csv", "w", newline="") as file:
        csv.writer(file).writerows([("step", "kl_nats"), (25, 300.0), (50, 401.5)])
    assert latent.last_rate(tmp_path / "metrics.csv") == 401.5

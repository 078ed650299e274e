"""Weights that move while a model trains."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.data.dataset import Pictures
from mvae.errors import DataError
from mvae.models.blocks import ResidualBlock, channel_groups, faint_rows
from mvae.objective import group_lasso
from mvae.training import controllers, plot_metrics
from mvae.training.controllers import Control
from mvae.training.loop import train_stage
from mvae.training.recipe import load_recipe
from mvae.training.vae_stage import VaeTraining

TINY = load_recipe("tiny").vae


def test_a_weight_rises_while_its_quantity_is_above_the_target_and_settles_on_it():
    control = Control("beta", "kl_nats", 100.0, 1e-3, gain=0.1)
    state = controllers.begin([control])
    assert controllers.weight(state, "beta") == pytest.approx(1e-3)
    for _ in range(400):  # a model whose KL is 1 / β, between bounds
        controllers.move(state, control, 1 / controllers.weight(state, "beta"))
    assert 1 / controllers.weight(state, "beta") == pytest.approx(100, rel=0.01)
    other = replace(control, rises_above=False)
    before = controllers.weight(state, "beta")
    controllers.move(state, other, 1e9)
    assert controllers.weight(state, "beta") == pytest.approx(before * math.exp(-0.1))  # at most its gain a step
    controllers.move(state, control, float("nan"))
    assert controllers.weight(state, "beta") == pytest.approx(before * math.exp(-0.1))


def test_bounds_hold():
    control = Control("learning_rate", "progress", 0.02, 1.0, gain=0.5, lowest=0.1, highest=1.0)
    state = controllers.begin([control])
    for measured, expected in ((9.0, 1.0), (0.0, math.exp(-0.5)), (0.0, math.exp(-1)), (-5.0, math.exp(-1.5))):
        controllers.move(state, control, measured)
        assert controllers.weight(state, "learning_rate") == pytest.approx(expected)
    for _ in range(9):
        controllers.move(state, control, 0.0)
    assert controllers.weight(state, "learning_rate") == pytest.approx(0.1)


@pytest.mark.parametrize(
    "change", [{"weight": "gamma"}, {"quantity": "luck"}, {"target": 0.0}, {"start": 1e9}, {"lowest": 0.0}, {"gain": 0.0}]
)
def test_what_is_no_control_is_refused(change):
    with pytest.raises(DataError, match="expected"):
        replace(Control("beta", "kl_nats", 1.0, 1.0), **change)


def test_no_weight_has_two_controllers():
    with pytest.raises(DataError, match="every weight once"):
        controllers.begin([Control("beta", "kl_nats", 1.0, 1.0), Control("beta", "psnr", 1.0, 1.0)])


def test_progress_is_how_far_the_recent_loss_is_below_the_longer_average():
    falling, still = {}, {}
    seen = [controllers.progress(falling, 100 * 0.99**step) for step in range(200)]
    assert seen[0] == 0 and all(b > 0 for b in seen[1:]) and seen[50] > 0.1
    assert abs([controllers.progress(still, 5.0) for _ in range(200)][-1]) < 1e-9


def test_a_channel_is_one_group_and_its_strength_does_not_depend_on_who_scales_it():
    torch.manual_seed(0)
    block = ResidualBlock(6, 4).eval()
    groups = channel_groups(block)
    assert groups.shape == (4, 6 * 9 + 6 * 9 + 1)
    with torch.no_grad():
        block.first[1].weight[1] *= 0
        block.second[0].weight[:, 1] *= 0
        block.second[1].weight.fill_(1.0)
    faint = faint_rows(channel_groups(block).detach())
    assert faint.tolist() == [False, True, False, False]
    x = torch.randn(2, 6, 5, 5)
    with torch.no_grad():
        before = block(x)
        block.first[0].weight[1] = 7.0  # nothing that this channel does is seen
        torch.testing.assert_close(block(x), before)
    assert group_lasso([channel_groups(block)]) > 0


def pictures() -> Pictures:
    side = TINY.config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (8, side, side, 4), np.uint8)
    return Pictures(pixels, ["x"] * 8, [{}] * 8)


def test_every_controlled_weight_is_logged_moved_and_resumed(tmp_path):
    controls = (
        Control("prune", "faint_channels", 0.5, 1e-4, gain=0.1, rises_above=False),
        Control("quantise", "grid_distance", 0.1, 1e-5, gain=0.1),
        Control("sparse", "zero_share", 0.5, 1e-4, gain=0.1, rises_above=False),
        Control("learning_rate", "progress", 10.0, 1.0, gain=0.05, highest=1.0),
    )
    blocks = replace(TINY.config, encoder_blocks=(1, 0, 0), decoder_blocks=(0, 0, 1))
    schedule = replace(TINY.schedule, steps=6, batch=4)
    stage = replace(TINY, config=blocks, controls=controls, schedule=schedule, freeze_encoder_from=1.0)
    training = VaeTraining(stage, pictures(), pictures())
    train_stage(training, tmp_path / "run", resume=False, progress=False)
    with open(tmp_path / "run" / "metrics.csv") as file:
        row = list(csv.DictReader(file))[-1]
    for name in ("weight_prune", "weight_quantise", "weight_sparse", "faint_channels", "grid_distance", "zero_share", "progress"):
        assert math.isfinite(float(row[name])), name
    state = training.controller
    assert controllers.weight(state, "prune") == pytest.approx(1e-4 * math.exp(0.6))  # too few channels are faint: six steps up
    assert controllers.weight(state, "learning_rate") < 1
    again = VaeTraining(stage, pictures(), pictures())
    train_stage(again, tmp_path / "run", resume=True, progress=False)
    assert again.controller == state


def test_weights_of_nothing_cost_nothing():
    training = VaeTraining(TINY, pictures(), pictures())
    assert set(training._weights(0)) == {"distortion", "perceptual", "rate"}
    assert training._weights(10**6)["rate"] == 0  # the encoder stands still by then


def test_what_moved_is_plotted(tmp_path, capsys):
    with pytest.raises(DataError, match="not found"):
        plot_metrics.draw(tmp_path, tmp_path / "plot.png")
    (tmp_path / "metrics.csv").write_text("step,loss,beta,still\n25,2,1e-4,3\n50,1,2e-4,3\n")
    assert plot_metrics.main([str(tmp_path)]) == 0 and capsys.readouterr().out == "loss, beta\n"
    assert (tmp_path / "metrics.png").read_bytes()[:4] == b"\x89PNG"
    (tmp_path / "metrics.csv").write_text("step,loss\n25,2\n50,2\n")
    assert plot_metrics.main([str(tmp_path)]) == 2 and "nothing changes" in capsys.readouterr().err

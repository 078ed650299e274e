"""The parts of the app that need no server: the latent map, what visitors are told, and markup that carries their words."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mvae.config import PROMPT_MAX_CHARACTERS, LatentConfig
from mvae.engine.entry import split_name
from mvae.errors import DataError, OptionError, PromptError, TokensError
from ui.cards import Card, render_cards
from ui.charts import Speed, render_speed
from ui.column_notes import comparison, psnr_on_white
from ui.latent_map import FIELDS, LatentMap, latents_of, pack_atlas, principal_plane
from ui.messages import explain, notice
from ui.token_grid import render_grids
from zoo import fetch, manifest

ROOT = Path(__file__).resolve().parents[2]
LATENT = LatentConfig()


@pytest.fixture(scope="module")
def latent_map(tmp_path_factory):
    """Forty drawings with random tokens, stored and read as the real map is."""
    tokens = np.random.default_rng(0).integers(0, LATENT.codebook, (40, LATENT.positions))
    origin, basis, scale = principal_plane(latents_of(tokens, LATENT))
    position = (latents_of(tokens, LATENT) - origin) @ basis.T / scale
    images = [Image.new("RGBA", (16, 16), (index, 0, 0, 255)) for index in range(40)]
    fields = {
        "tokens": tokens.astype(np.uint16),
        "position": position,
        "origin": origin,
        "basis": basis,
        "scale": scale,
        "caption": np.array([f"thing {index}" for index in range(40)]),
        "style": np.array(["noto"] * 40),
        "colour": np.zeros((40, 3), np.uint8),
        "atlas": np.frombuffer(pack_atlas(images, 8, 7), np.uint8),
        "thumbnail": np.array(8),
        "atlas_columns": np.array(7),
        "latent": np.array(json.dumps(LATENT.to_dict())),
        "model": np.array("tiny-fp32"),
        "vae_sha256": np.array("0" * 64),
    }
    assert set(fields) == set(FIELDS)
    path = tmp_path_factory.mktemp("map") / "latent_map-0.npz"
    np.savez_compressed(path, **fields)
    return LatentMap(path), tokens, position


def test_latents_are_the_middles_of_equal_prior_masses():
    tokens = np.full((3, LATENT.positions), LATENT.mask_token)
    tokens[1] = 0
    tokens[2] = LATENT.codebook - 1
    middle, low, high = latents_of(tokens, LATENT)
    assert not middle.any()
    assert np.allclose(low, -high) and np.allclose(high, 1.5341205)  # Φ⁻¹(15/16)


def test_first_coordinate_is_the_most_significant():
    token = 7 * LATENT.levels**3
    latents = latents_of(np.full((1, LATENT.positions), token), LATENT).reshape(LATENT.positions, LATENT.coordinates)
    assert (latents[:, 0] > 1.5).all() and (latents[:, 1:] < -1.5).all()


def test_a_drawing_of_the_map_lands_on_itself(latent_map):
    stored, tokens, position = latent_map
    for index in (0, 17, 39):
        assert stored.project(tokens[index]) == pytest.approx(tuple(position[index]), abs=1e-4)
        nearest = stored.nearest(tokens[index], 3)
        assert (nearest[0].index, nearest[0].distance, nearest[0].equal_tokens) == (index, 0.0, LATENT.positions)
        assert nearest[0].distance <= nearest[1].distance <= nearest[2].distance


def test_map_plane_is_the_one_of_greatest_variance():
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=(500, 6)) * np.array([1, 9, 1, 5, 1, 1])
    _, basis, scale = principal_plane(cloud)
    assert np.abs(basis).argmax(axis=1).tolist() == [1, 3]
    assert (basis[[0, 1], [1, 3]] > 0.9).all()
    assert scale[0] > scale[1] > 5


def test_map_refuses_other_files_and_tokens(latent_map, tmp_path):
    with pytest.raises(TokensError, match="64"):
        latent_map[0].project([1, 2, 3])
    other = tmp_path / "other.npz"
    np.savez(other, tokens=np.zeros(3))
    with pytest.raises(DataError, match=r"other\.npz"):
        LatentMap(other)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError):
        LatentMap(tmp_path / "text.npz")


@pytest.mark.parametrize("path", sorted((ROOT / "zoo" / "results").glob("latent_map-*.npz")), ids=lambda path: path.name)
def test_committed_map_was_made_with_the_committed_weights(path):
    stored = LatentMap(path)
    entry = manifest.read(fetch.locate(split_name(stored.model)[0]))
    assert path.name == f"latent_map-{entry.latent_id}.npz"
    assert stored.latent.latent_id == entry.latent_id
    assert stored.vae_sha256 == entry.record("vae.safetensors").sha256
    assert path.stat().st_size < 1_500_000


def test_psnr_closed_form():
    white, grey = Image.new("RGBA", (4, 4), (255, 255, 255, 255)), Image.new("RGBA", (4, 4), (254, 254, 254, 255))
    assert psnr_on_white(white, grey) == pytest.approx(20 * np.log10(255))
    assert psnr_on_white(white, Image.new("RGBA", (4, 4), (0, 0, 0, 0))) == float("inf")  # transparent is white paper


def test_errors_are_told_in_a_visitors_words():
    assert "Type a few words" in explain(PromptError("empty prompt"), "  \n")
    assert str(PROMPT_MAX_CHARACTERS) in explain(PromptError("too long"), "a" * (PROMPT_MAX_CHARACTERS + 1))
    assert explain(OptionError("guidance is nan"), "a cat") == "guidance is nan"


def test_markup_never_carries_foreign_tags():
    bad = '<script>alert("x")</script>'
    card = Card(bad, 1000, Image.new("RGBA", (2, 2)), 1.0, {"text": 1.0, "tokens": 2.0, "decode": 1.0}, [bad], bad)
    card.recalled = [(bad, "data:,")]
    speeds = [Speed(bad, 1000, {"text": [1.0], "tokens": [2.0], "decode": [1.0]})]
    for markup in (
        render_cards([card]),
        notice(bad),
        render_speed(speeds, bad),
        render_grids([(bad, (0,) * LATENT.positions)], LATENT),
    ):
        assert "<script" not in markup and "&lt;script" in markup


def test_comparison_counts_tokens_and_pixels():
    same = Card("small-int8", 1, Image.new("RGBA", (2, 2), "red"))
    other = Card("small-fp32", 1, Image.new("RGBA", (2, 2), "red"))
    assert comparison(other, (1, 2, 9), same, (1, 2, 3)) == ["2 of 3 tokens as in small int8", "every pixel the same"]


def test_percentiles_of_the_total_are_of_the_sums():
    speed = Speed("small-int8", 1, {"text": [1.0, 3.0, 2.0], "tokens": [30.0, 10.0, 20.0], "decode": [1.0, 1.0, 1.0]})
    assert speed.percentile("tokens", 50) == 20 and speed.percentile("total", 50) == 23 and speed.percentile("total", 100) == 32


def test_the_app_imports_no_training_framework():
    check = "import sys, app; print(sorted({'torch', 'transformers', 'onnx', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"

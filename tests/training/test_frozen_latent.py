"""A frozen latent: written once, taken over exactly, never trained on."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mvae.data.dataset import Pictures
from mvae.errors import DataError
from mvae.models.mvae import MVAE
from mvae.training.frozen_latent import adopt_encoder, freeze
from mvae.training.loop import train_stage
from mvae.training.recipe import load_recipe
from mvae.training.vae_stage import VaeTraining

TINY = load_recipe("tiny").vae


@pytest.fixture
def latent(tmp_path):
    torch.manual_seed(5)
    return freeze(MVAE(replace(TINY.config, latent_id="t")), tmp_path, "t")


def test_it_is_written_once(latent, tmp_path):
    with pytest.raises(DataError, match="frozen already"):
        freeze(MVAE(TINY.config), tmp_path, "t")


def test_the_encoder_is_taken_over_exactly(latent):
    a, b = (MVAE(replace(TINY.config, latent_id="t")).eval() for _ in range(2))
    image = torch.rand(4, 4, TINY.config.image_size, TINY.config.image_size)
    assert not torch.equal(a.encode_tokens(image), b.encode_tokens(image))
    for vae in (a, b):
        adopt_encoder(vae, latent)
    assert torch.equal(a.encode_tokens(image), b.encode_tokens(image))


@pytest.mark.parametrize("change", [{"latent_id": "u"}, {"latent_id": "t", "encoder_widths": (16, 8, 8)}])
def test_another_configuration_is_refused(latent, change):
    with pytest.raises(DataError, match="differs"):
        adopt_encoder(MVAE(replace(TINY.config, **change)), latent)


def test_what_is_no_latent_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a frozen latent"):
        adopt_encoder(MVAE(TINY.config), tmp_path)


def test_the_committed_latent_is_what_it_was():
    """Tokens outlive versions: whoever changes this file breaks every stored sticker."""
    folder = Path("zoo/latents/1")
    assert hashlib.sha256((folder / "encoder.safetensors").read_bytes()).hexdigest().startswith("fdac87d1573d0e7c3af07f22")
    vae = MVAE(load_recipe("base").vae.config).eval()
    adopt_encoder(vae, folder)
    image = torch.zeros(1, 4, 128, 128)
    image[:, :, 32:96, 32:96] = torch.tensor([0.8, 0.1, 0.1, 1.0])[:, None, None]
    tokens = vae.encode_tokens(image)[0]
    assert tokens.shape == (144,) and len(set(tokens.tolist())) > 20


def test_training_in_it_changes_the_decoder_alone(latent, tmp_path):
    side = TINY.config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (8, side, side, 4), np.uint8)
    pictures = Pictures(pixels, ["x"] * 8, [{}] * 8)
    schedule = replace(TINY.schedule, steps=2, batch=4)
    stage = replace(TINY, config=replace(TINY.config, latent_id="t"), frozen_latent=str(latent), schedule=schedule)
    vae = train_stage(VaeTraining(stage, pictures, pictures), tmp_path / "run", resume=False, progress=False).vae
    reference = load_file(latent / "encoder.safetensors")
    trained = vae.encoder.state_dict()
    assert all(torch.equal(trained[name].float(), value.float()) for name, value in reference.items())
    before = VaeTraining(stage, pictures, pictures).module.vae.decoder.state_dict()
    assert any(not torch.equal(before[name], value) for name, value in vae.decoder.state_dict().items())


def test_compositions_are_learned_from_where_the_recipe_says_so():
    side = TINY.config.image_size
    pixels = np.zeros((8, side, side, 4), np.uint8)
    pixels[:, side // 4 : side // 2, side // 4 : side // 2] = (200, 30, 30, 255)
    metas = [{"label": f"thing {n}", "concept": str(n), "style": "noto", "group": "objects"} for n in range(8)]
    pictures = Pictures(pixels, ["x"] * 8, metas)
    plain = VaeTraining(replace(TINY, schedule=replace(TINY.schedule, batch=8)), pictures, pictures)
    composed = VaeTraining(replace(TINY, schedule=replace(TINY.schedule, batch=8), composed_share=1.0), pictures, pictures)
    assert plain.composer is None and torch.equal(composed.batch(3, 0, 1)["image"], composed.batch(3, 0, 1)["image"])
    areas = [float((training.batch(3, 0, 1)["image"][:, 3] > 0.5).float().mean()) for training in (plain, composed)]
    corners = [[training.batch(step, 0, 1)["image"][:, 3, 0, 0].max() for step in range(4)] for training in (plain, composed)]
    assert areas[0] != areas[1] and max(corners[0]) < 0.5 < max(corners[1])  # backgrounds come with compositions alone

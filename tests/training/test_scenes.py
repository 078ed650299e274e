"""Compositions as the seq2seq learns them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.data.compose import Composer
from mvae.data.dataset import Pictures
from mvae.models.mvae import MVAE
from mvae.training.palette import compute_palette
from mvae.training.recipe import load_recipe
from mvae.training.scenes import compute_scenes, stored_scenes
from mvae.training.seq2seq_stage import Seq2SeqTraining
from mvae.training.text import train_tokenizer
from mvae.training.views import compute_views

SIDE = 64
LABELS = ("ball", "kite", "egg", "bus")
VAE = VaeConfig(image_size=SIDE, patch=4, levels=4, latent_id="test", encoder_widths=(8, 8), encoder_blocks=(0, 0),
                decoder_widths=(8, 8), decoder_blocks=(0, 0))


def squares(labels: tuple[str, ...], **more) -> Pictures:
    """One square for each label, of a size of its own."""
    pixels = np.zeros((len(labels), SIDE, SIDE, 4), np.uint8)
    for number, picture in enumerate(pixels):
        picture[10 : 30 + 5 * number, 10 : 30 + 5 * number] = (200, 30, 40, 255)
    common = {"style": "noto", "group": "objects", "tags": [], **more}
    metas = [{"label": label, "concept": label, "names": {"de": [label[::-1]]}, **common} for label in labels]
    return Pictures(pixels, [f"noto {label}" for label in labels], metas)


@pytest.fixture(scope="module")
def vae() -> MVAE:
    """With an encoder whose tokens differ: a fresh one gives nearly the same for every picture."""
    torch.manual_seed(0)
    made = MVAE(VAE).eval()
    with torch.no_grad():
        made.encoder.head.weight.mul_(30)
    return made


def test_scenes_are_what_is_composed_then_every_skin_tone(vae, tmp_path):
    pictures, toned = squares(LABELS), squares(("egg", "cup"), tone="dark")
    made = compute_scenes(vae, pictures, toned, 20, 1, tmp_path / "s", "a", progress=False)
    composer = Composer(pictures.pixels, pictures.meta, 1)
    assert len(made) == 21 and made.words[:20] == [composer.plan(number).words for number in range(20)]
    assert made.words[20] == "egg with dark skin" and made.named[20] == (2,)  # of "cup" there is no drawing without a tone
    image = torch.from_numpy(composer.draw(composer.plan(7)).copy()).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(vae.encode_tokens(image)[0], made.tokens[7].long())
    for number in range(20):
        scene = composer.plan(number)
        assert made.colours[number] == tuple({part.picture: part.colour for part in scene.parts}[n] for n in scene.named)
    assert any(any(colours) for colours in made.colours)
    again = stored_scenes(tmp_path / "s", "a")
    assert stored_scenes(tmp_path / "s", "b") is None and stored_scenes(tmp_path / "nothing", "a") is None
    assert again.named == made.named and again.colours == made.colours and torch.equal(again.tokens, made.tokens)
    other = compute_scenes(vae, pictures, None, 5, 1, tmp_path / "s", "b", progress=False)
    assert len(other) == 5


def named_tokens(training: Seq2SeqTraining, number: int) -> list[list[int]]:
    """The stickers that a scene names, in the colours that it shows them in."""
    scenes, palette = training.scenes, training.memory.palette
    named = training.recall.tokens[list(scenes.named[number]), 0].numpy()
    return palette.recoloured(named, scenes.colours[number]).tolist()


def test_a_batch_holds_scenes_with_the_stickers_they_name(vae, tmp_path):
    pictures = squares(LABELS)
    config = Seq2SeqConfig(codebook=256, positions=VAE.latent.positions, d_model=32, encoder_layers=1, decoder_layers=1, heads=2,
                           feed_forward=64, memory=2)
    recipe = load_recipe("tiny").seq2seq
    stage = replace(recipe, config=config, schedule=replace(recipe.schedule, batch=64), scenes=30, scene_share=0.5, drop_text=0.2,
                    drop_memory=0.0, posterior_share=0.0, languages=0.3, sentences=0.3, original_share=1.0)
    views = compute_views(vae, pictures, 1, 0, tmp_path / "v", "a", progress=False)
    scenes = compute_scenes(vae, pictures, None, 30, 0, tmp_path / "s", "a", progress=False)
    tokens = vae.encode_tokens(pictures.batch(range(len(LABELS)))).numpy()
    palette = compute_palette(vae, pictures, tokens, 0, tmp_path / "p", "a", progress=False)
    training = Seq2SeqTraining(stage, pictures, views, pictures, vae, train_tokenizer(pictures, 300), scenes, palette)
    own = training.recall.tokens[:, 0]
    known = {tuple(row) for row in scenes.tokens.tolist()} - {tuple(row) for row in own.tolist()}
    composed = 0
    for step in range(4):
        batch = training.batch(step, 0, 1)
        positions = config.positions
        for row, tokens in enumerate(batch["tokens"].tolist()):
            read = batch["mask"][row, : 2 * positions].view(2, positions).any(1).tolist()
            if tuple(tokens) not in known:
                continue
            composed += 1
            if not any(read):  # without text there is no memory
                continue
            candidates = [k for k, other in enumerate(scenes.tokens.tolist()) if other == tokens]
            seen = batch["ids"][row, : 2 * positions].view(2, positions)
            assert any(
                read == [True, len(scenes.named[k]) > 1] and seen.tolist()[: sum(read)] == named_tokens(training, k)
                for k in candidates
            ), scenes.words[candidates[0]]
    assert 64 < composed < 192

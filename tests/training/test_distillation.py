"""Students: a smaller encoder in the frozen latent, smaller stickers, a smaller seq2seq of the same tokens."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.config import VaeConfig
from mvae.data.dataset import Pictures
from mvae.errors import DataError, OptionError
from mvae.models.mvae import MVAE, Encoder
from mvae.models.seq2seq import TEXT_END, build_seq2seq, marian_config
from mvae.objective import at_side
from mvae.training.checkpoint import save_tensors, unique_state
from mvae.training.cli import train
from mvae.training.frozen_latent import freeze, reference_encoder
from mvae.training.loop import train_stage
from mvae.training.recipe import load_recipe
from mvae.training.seq2seq_stage import Seq2SeqModule
from mvae.training.vae_stage import VaeTraining
from mvae.training.warm_start import stored_seq2seq

TINY = load_recipe("tiny")
SIDE = TINY.vae.config.image_size


@pytest.fixture
def latent(tmp_path):
    torch.manual_seed(5)
    return freeze(MVAE(replace(TINY.vae.config, latent_id="t")), tmp_path, "t")


@pytest.fixture
def pictures() -> Pictures:
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 4), np.uint8)
    return Pictures(pixels, ["x"] * 8, [{}] * 8)


def student(latent, steps: int = 2):
    """A stage whose encoder is half as wide as the latent's and whose stickers are half as large as its pictures."""
    config = TINY.vae.config
    narrow = tuple(width // 2 for width in config.encoder_widths)
    return replace(
        TINY.vae, config=replace(config, latent_id="t", encoder_widths=narrow, decoded_size=SIDE // 2),
        distilled_latent=str(latent),
        schedule=replace(TINY.vae.schedule, steps=steps, batch=4, optimiser="adamw", learning_rate=3e-3), noisy_share=0.0,
    )


def test_a_decoder_may_draw_smaller_than_its_encoder_sees():
    config = VaeConfig(image_size=64, patch=4, encoder_widths=(8, 8), encoder_blocks=(0, 0), decoder_widths=(8,),
                       decoder_blocks=(0,), decoded_size=32)
    vae = MVAE(config).eval()
    tokens = vae.encode_tokens(torch.rand(2, 4, 64, 64))
    assert vae.decode_tokens(tokens).shape == (2, 4, 32, 32) and config.sticker_size == 32
    assert replace(config, decoded_size=0).sticker_size == 64 and VaeConfig.from_dict({"image_size": 64}).sticker_size == 64
    with pytest.raises(DataError, match="48 px"):
        MVAE(replace(config, decoded_size=48))


def test_pictures_are_made_smaller_by_means():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert at_side(image, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5] and at_side(image, 4) is image
    with pytest.raises(OptionError, match=r"multiple|divisor"):
        at_side(image, 3)


def test_a_student_encoder_learns_the_reference_and_the_decoder_its_tokens(latent, pictures, tmp_path):
    stage = student(latent, 60)
    training = VaeTraining(stage, pictures, pictures)
    teacher = reference_encoder(latent)
    assert isinstance(teacher, Encoder) and not any(name.startswith("taught") for name in training.module.state_dict())
    image = pictures.batch(range(4))
    outputs = training.module.eval()({"image": image, "noisy": torch.zeros(4, dtype=torch.bool)})
    wanted = training.module.vae.quantise(teacher(image)[0])
    assert torch.equal(outputs["reconstruction"], training.module.vae.decoder(wanted))
    assert outputs["reconstruction"].shape == (4, 4, SIDE // 2, SIDE // 2)
    training.module.train()
    train_stage(training, tmp_path / "run", resume=False, progress=False)
    with open(tmp_path / "run" / "metrics.csv") as file:
        rows = [float(row["distillation_nats"]) for row in csv.DictReader(file)]
    assert rows[-1] < rows[0]
    assert (tmp_path / "run" / f"sheet-{stage.schedule.steps:06d}.png").exists()


def test_a_latent_is_frozen_or_distilled(latent, pictures):
    with pytest.raises(DataError, match="expected one of them"):
        VaeTraining(replace(student(latent), frozen_latent=str(latent)), pictures, pictures)
    with pytest.raises(DataError, match="not a frozen latent"):
        reference_encoder(latent / "nowhere")


@pytest.fixture
def teacher(tmp_path):
    """A folder with a seq2seq as an entry stores it."""
    config = replace(TINY.seq2seq.config, d_model=48, feed_forward=64)
    torch.manual_seed(2)
    model = build_seq2seq(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.ndim > 1:
                parameter.mul_(3)
    folder = tmp_path / "teacher"
    save_tensors(folder / "model.safetensors", {name: tensor.half() for name, tensor in unique_state(model).items()})
    (folder / "config.json").write_text(json.dumps(marian_config(config).to_dict()))
    return folder, model, config


def test_a_stored_seq2seq_computes_as_before(teacher):
    folder, model, config = teacher
    again = Seq2SeqModule(stored_seq2seq(folder, TINY.seq2seq.config), config).eval()
    ids, tokens = torch.tensor([[5, TEXT_END]]), torch.randint(0, config.codebook, (1, config.positions))
    batch = {"tokens": tokens, "ids": ids, "mask": torch.ones_like(ids)}
    with torch.no_grad():
        expected = Seq2SeqModule(model, config).eval()(batch)
        torch.testing.assert_close(again(batch), expected, rtol=1e-2, atol=1e-2)
    logits = again(batch | {"distilled": True})
    nats = -logits["logits"].log_softmax(-1).gather(2, tokens[..., None])[..., 0]
    torch.testing.assert_close(logits["nats"], nats, rtol=1e-3, atol=1e-3)


def test_a_teacher_of_other_ids_is_refused(teacher, tmp_path):
    folder, _, config = teacher
    with pytest.raises(DataError, match="other ids"):
        stored_seq2seq(folder, replace(config, vocabulary=config.vocabulary + 1))
    with pytest.raises(DataError, match="not the configuration"):
        stored_seq2seq(tmp_path, config)


def test_a_run_with_teachers_ends_in_what_an_export_reads(teacher, latent, tmp_path):
    """The teacher's text pieces are the student's, its tokens those of the latent's reference encoder."""
    folder, _, _ = teacher
    first = tmp_path / "first"
    plain = replace(TINY, vae=replace(student(latent), distilled_latent=None, config=replace(TINY.vae.config, latent_id="t")))
    train(replace(plain, seq2seq=_short(plain.seq2seq)), first, progress=False)
    (folder / "tokenizer.json").write_bytes((first / "tokenizer.json").read_bytes())
    recipe = replace(TINY, vae=student(latent), seq2seq=replace(_short(TINY.seq2seq), teacher=str(folder), distillation=0.7))
    train(recipe, tmp_path / "second", progress=False)
    assert (tmp_path / "second" / "tokenizer.json").read_bytes() == (first / "tokenizer.json").read_bytes()
    with open(tmp_path / "second" / "seq2seq" / "metrics.csv") as file:
        assert all(float(row["distillation_nats"]) > 0 for row in csv.DictReader(file))


def _short(stage):
    return replace(stage, schedule=replace(stage.schedule, steps=2))

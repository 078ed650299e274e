"""Beginning with the weights of an earlier seq2seq."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvae.config import Seq2SeqConfig
from mvae.data.dataset import Pictures
from mvae.errors import DataError
from mvae.models.seq2seq import build_seq2seq
from mvae.training.checkpoint import save_tensors, unique_state
from mvae.training.text import save_tokenizer, train_tokenizer
from mvae.training.warm_start import begin_with

CONFIG = Seq2SeqConfig(
    vocabulary=300, codebook=64, positions=16, d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64, memory=1
)


def tokenizer(*labels: str, names: dict | None = None):
    metas = [{"label": label, "tags": [], "concept": label, "names": names or {}} for label in labels]
    return train_tokenizer(Pictures(np.zeros((len(labels), 8, 8, 4), np.uint8), list(labels), metas), 296)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    torch.manual_seed(1)
    model = build_seq2seq(CONFIG)
    save_tensors(folder / "model.safetensors", unique_state(model))
    save_tokenizer(tokenizer("red apple", "green apple"), folder / "tokenizer.json")
    return folder, model


def test_pieces_keep_their_vectors_and_more_stickers_are_read(start):
    folder, before = start
    config, words = replace(CONFIG, memory=2), tokenizer("apple", "zebra zebra", names={"de": ["apfel"]})
    torch.manual_seed(2)
    model = build_seq2seq(config)
    fresh = model.lm_head.weight.detach().clone()
    matched = begin_with(model, config, words, folder)
    old, new = tokenizer("red apple", "green apple").get_vocab(), words.get_vocab()
    common = set(old) & set(new)
    assert matched == len(common) and len(common) > 256 and set(new) - set(old)
    for piece, number in new.items():
        expected = before.lm_head.weight[66 + old[piece]] if piece in old else fresh[66 + number]
        assert torch.equal(model.lm_head.weight[66 + number], expected), piece
    assert torch.equal(model.lm_head.weight[:66], before.lm_head.weight[:66])
    layer = "model.decoder.layers.0.fc1.weight"
    assert torch.equal(model.state_dict()[layer], before.state_dict()[layer])
    assert len(model.model.encoder.embed_positions.weight) > len(before.model.encoder.embed_positions.weight)


def test_other_widths_and_models_without_a_memory_are_refused(start, tmp_path):
    folder, _ = start
    words = tokenizer("apple")
    for config in (replace(CONFIG, d_model=64), replace(CONFIG, feed_forward=128), replace(CONFIG, memory=0)):
        with pytest.raises(DataError, match=r"expected|needs a model with a memory"):
            begin_with(build_seq2seq(config), config, words, folder)
    with pytest.raises(DataError, match=r"cannot be begun with|not a tokenizer"):
        begin_with(build_seq2seq(CONFIG), CONFIG, words, tmp_path)


def test_pieces_of_other_languages_are_learned():
    assert "Ġapfel" in tokenizer("apple", "zebra", names={"de": ["apfel"] * 9}).get_vocab()

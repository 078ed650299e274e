"""A seq2seq with a memory, from PyTorch to the engine."""

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from tokenizers import Tokenizer
from transformers import MarianMTModel

from export.entry import build_entry
from export.source import recommend
from mvae.engine.memory import MEMORY, Caption, Memory
from mvae.engine.model import load
from mvae.engine.options import Options
from mvae.errors import IntegrityError
from mvae.evaluate.reference_latency import reference_tokens
from tests.training.tiny_source import LABELS, SEQ2SEQ, VAE, tiny_memory, tiny_source
from zoo import manifest


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    """Building it compares every level with PyTorch, memory included."""
    return build_entry(tiny_source(memory=2), tmp_path_factory.mktemp("zoo") / "tiny-memory").entry


@pytest.mark.parametrize("level", ["fp32", "fp16", "int8"])
def test_what_is_recalled_changes_what_is_drawn(entry, level):
    model = load(f"tiny-memory-{level}", folder=entry)
    asked = {"prompt": "red apple", "style": "noto", "seed": 1, "temperature": 3.0}
    sticker = model.generate(**asked)
    assert sticker.recalled == (0,) and LABELS[0] == "red apple"
    assert sticker.tokens == model.generate(**asked).tokens
    memory = model.memory
    other = np.random.default_rng(9).integers(0, VAE.latent.codebook, memory.tokens.shape)
    model.memory = Memory.build(list(map(Caption, LABELS)), memory.styles, other, memory.latent_id)
    assert model.generate(**asked).tokens != sticker.tokens


def test_the_decoder_keeps_no_row_that_only_the_encoder_reads(entry):
    encoder, decoder = (onnx.load(entry / "onnx" / f"{graph}.onnx") for graph in ("encoder_model", "decoder_model_merged"))
    tables = [
        max((list(tensor.dims) for tensor in model.graph.initializer if SEQ2SEQ.d_model in tensor.dims), key=max)
        for model in (encoder, decoder)
    ]
    marks = SEQ2SEQ.codebook + 2
    assert tables == [[marks + SEQ2SEQ.vocabulary, SEQ2SEQ.d_model], [SEQ2SEQ.d_model, marks]]


def test_the_model_card_and_manifest_know_the_memory(entry):
    assert MEMORY in manifest.read(entry).files
    assert (entry / MEMORY).read_bytes() == tiny_memory().to_bytes()
    assert json.loads((entry / "config.json").read_text())["memory"] == 2


def test_it_can_be_exported_again(entry, tmp_path):
    from export.source import load_entry

    again = build_entry(load_entry(entry), tmp_path / "tiny", again=True).entry
    for path in sorted(entry.glob("onnx/*.onnx")):
        assert path.read_bytes() == (again / "onnx" / path.name).read_bytes()


def test_stock_generate_draws_what_the_engine_draws(entry):
    model = load("tiny-memory-fp32", folder=entry)
    network = MarianMTModel.from_pretrained(entry, dtype=torch.float32, local_files_only=True).eval()
    tokenizer = Tokenizer.from_file(str(entry / "tokenizer.json"))
    model.defaults = Options(guidance=4.0, temperature=0.0, top_k=0)
    for prompt, style in (("red apple", "noto"), ("a cat", None)):
        drawn = reference_tokens(model, network, tokenizer, prompt, style)
        assert tuple(drawn) == model.generate(prompt, style=style, guidance=1).tokens


def test_an_exported_run_recommends_how_to_draw(tmp_path):
    source = tiny_source(memory=2)
    recommend(source.seq2seq, replace(SEQ2SEQ, memory=2))
    entry = build_entry(source, tmp_path / "tiny-memory", levels=("fp32",)).entry
    assert load("tiny-memory-fp32", folder=entry).defaults == replace(Options.usual(2), top_k=SEQ2SEQ.codebook)
    assert Options.usual(2).guidance > Options.usual(0).guidance == Options().guidance


@pytest.mark.parametrize("change", ["missing", "other latent", "other tokens"])
def test_a_memory_that_does_not_belong_is_refused(entry, tmp_path, change):
    copy = shutil.copytree(entry, tmp_path / "tiny")
    if change == "missing":
        (copy / MEMORY).unlink()
    else:
        tokens = tiny_memory().tokens.astype(np.int64)
        latent = "other" if change == "other latent" else VAE.latent_id
        tokens = tokens + 1000 if change == "other tokens" else tokens
        (copy / MEMORY).write_bytes(Memory.build(list(map(Caption, LABELS)), [""] * 4, tokens, latent).to_bytes())
    manifest.refresh(copy)
    with pytest.raises(IntegrityError):
        load("tiny-memory-fp32", folder=copy)

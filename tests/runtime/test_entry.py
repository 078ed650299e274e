"""Loading an entry of the zoo: what is missing, altered or does not fit is refused before it is used."""

import json
import shutil

import pytest

import mvae
from mvae.engine import entry as engine_entry
from mvae.errors import IntegrityError, OptionError, UnknownModelError
from zoo import manifest


@pytest.mark.parametrize(
    "name", ["small-int9", "small", "", "-int8", "no-such-int8", "../tiny-int8", "tiny/../tiny-int8", None, 3, "x" * 999]
)
def test_unknown_models(tiny_zoo, name):
    with pytest.raises(UnknownModelError, match="no model"):
        mvae.load(name, folder=tiny_zoo)


def test_unknown_models_are_told_what_there_is(tiny_zoo):
    with pytest.raises(UnknownModelError, match="there is tiny-fp32, tiny-fp16, tiny-int8"):
        mvae.load("big-int8", folder=tiny_zoo)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", 10**9])
def test_thread_counts_that_are_refused(tiny_zoo, threads):
    with pytest.raises(OptionError, match="threads"):
        mvae.load("tiny-int8", threads=threads, folder=tiny_zoo)


@pytest.fixture
def copy(tiny_zoo, tmp_path):
    return shutil.copytree(tiny_zoo / "tiny", tmp_path / "tiny")


def test_an_entrys_own_folder_will_do(copy):
    assert mvae.load("tiny-int8", folder=copy).folder == copy


@pytest.mark.parametrize(
    "file",
    [
        "onnx/decoder_model_merged.onnx",
        "onnx/vae_decoder.onnx",
        "tokenizer.json",
        "config.json",
        "vae_config.json",
        "generation_config.json",
    ],
)
def test_one_changed_bit_is_noticed_before_use(copy, file):
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(IntegrityError, match="sha256"):
        mvae.load("tiny-fp32", folder=copy)


def test_what_a_model_does_not_use_may_be_missing(copy):
    (copy / "onnx" / "vae_decoder_int8.onnx").unlink()
    mvae.load("tiny-fp32", folder=copy)
    with pytest.raises(IntegrityError, match="vae_decoder_int8"):
        mvae.load("tiny-int8", folder=copy)
    assert set(mvae.available(copy)) == {"tiny-fp32", "tiny-fp16"}


def test_a_file_that_is_not_listed_is_refused(copy):
    (copy / "onnx" / "weights.data").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"weights\.data"):
        mvae.load("tiny-fp32", folder=copy)


def resealed(folder, file, change):
    """Change a JSON file and make the manifest agree: what is listed may still be nonsense."""
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    manifest.refresh(folder)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("vae_config.json", {"image_size": 32}),
        ("vae_config.json", {"levels": 5}),
        ("vae_config.json", {"grid": 4}),
        ("vae_config.json", {"latent_id": "other"}),
        ("vae_config.json", {"surprise": 1}),
        ("config.json", {"model_type": "bart"}),
        ("config.json", {"decoder_layers": 3}),
        ("config.json", {"decoder_attention_heads": 1}),
        ("config.json", {"d_model": "32"}),
        ("config.json", {"decoder_vocab_size": 100}),
        ("config.json", {"decoder_start_token_id": 10**6}),
        ("config.json", {"decoder_start_token_id": -1}),
        ("config.json", {"decoder_attention_heads": 3}),
        ("config.json", {"decoder_attention_heads": 0}),
        ("config.json", {"max_position_embeddings": 32}),
        ("config.json", {"vocab_size": 100}),
        ("generation_config.json", {"temperature": -1}),
        ("generation_config.json", {"top_k": "many"}),
    ],
)
def test_configurations_that_do_not_fit_the_graphs(copy, file, change):
    resealed(copy, file, change)
    with pytest.raises(IntegrityError):
        mvae.load("tiny-fp32", folder=copy)


def test_an_entry_cannot_redefine_a_frozen_latent(copy, tmp_path, monkeypatch):
    frozen = mvae.load("tiny-fp32", folder=copy).latent
    path = tmp_path / "latents" / frozen.latent_id / "latent.json"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(engine_entry, "LATENTS", tmp_path / "latents")
    path.write_text(json.dumps(frozen.to_dict() | {"edges": []}))
    mvae.load("tiny-fp32", folder=copy)
    path.write_text(json.dumps(frozen.to_dict() | {"grid": 12}))
    with pytest.raises(IntegrityError, match=r"frozen latent 'test'.*grid"):
        mvae.load("tiny-fp32", folder=copy)


def test_recommended_options_come_from_the_entry(copy):
    resealed(copy, "generation_config.json", {"guidance": 4.5, "temperature": 0.8, "top_k": 12})
    assert mvae.load("tiny-fp32", folder=copy).defaults == mvae.Options(4.5, 0.8, 12)


@pytest.mark.parametrize("graph", ["encoder_model", "decoder_model_merged", "vae_encoder", "vae_decoder"])
@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08\x08"])
def test_listed_graphs_that_are_no_graphs(copy, graph, content):
    (copy / "onnx" / f"{graph}.onnx").write_bytes(content)
    manifest.refresh(copy)
    with pytest.raises(IntegrityError, match=graph):
        mvae.load("tiny-fp32", folder=copy)


@pytest.mark.parametrize(
    ("graph", "other"),
    [
        ("decoder_model_merged", "encoder_model"),
        ("encoder_model", "decoder_model_merged"),
        ("vae_decoder", "vae_encoder"),
        ("vae_encoder", "vae_decoder"),
    ],
)
def test_graphs_in_each_others_place(copy, graph, other):
    shutil.copyfile(copy / "onnx" / f"{other}.onnx", copy / "onnx" / f"{graph}.onnx")
    manifest.refresh(copy)
    with pytest.raises(IntegrityError):
        mvae.load("tiny-fp32", folder=copy)

"""A tiny entry is exported once; its graphs, levels, golden answers and failure modes are checked."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from optimum.onnxruntime import ORTModelForSeq2SeqLM
from transformers import MarianMTModel

from export import parity
from export.__main__ import main
from export.calibration import read_ranges, write_ranges
from export.entry import GOLDEN, build_entry, write_weights
from export.golden import read_golden
from export.sessions import GRAPHS, Level, graph_path, open_session
from export.source import load_entry
from mvae.config import LEVELS
from mvae.errors import DataError, ExportError, IntegrityError
from tests.training.tiny_source import SEQ2SEQ, VAE, tiny_source
from zoo import manifest


@pytest.fixture(scope="module")
def source():
    torch.set_num_threads(1)
    return tiny_source()


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    return build_entry(source, tmp_path_factory.mktemp("zoo") / "tiny")


@pytest.fixture(scope="module")
def entry(built):
    return built.entry


def hashes(folder):
    return {name: record.sha256 for name, record in manifest.read(folder).files.items()}


def subgraphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from subgraphs(attribute.g)


def test_entry_is_complete_and_verified(entry, built):
    listed = manifest.verify(entry)
    graphs = {str(graph_path(entry / "onnx", graph, level).relative_to(entry)) for graph in GRAPHS for level in LEVELS}
    assert set(listed.files) == graphs | {
        "README.md", "config.json", "generation_config.json", "tokenizer.json", "vae_config.json", "model.safetensors",
        "vae.safetensors", "golden.npz", "calibration.json", "parity.json",
    }
    assert (listed.name, listed.latent_id, listed.opset) == ("tiny", VAE.latent_id, 18)
    assert not list(entry.parent.glob(".*")), "scratch folders are left behind"
    assert built.to_dict()["total_bytes"]["fp32"] == sum((entry / name).stat().st_size for name in graphs if "_fp16" not in name
                                                         and "_int8" not in name)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_graphs_are_single_files_of_opset_18_with_the_documented_signature(entry, graph, level):
    model = onnx.load(graph_path(entry / "onnx", graph, level), load_external_data=False)
    assert {(item.domain, item.version) for item in model.opset_import if item.domain == ""} == {("", 18)}
    for part in subgraphs(model.graph):
        assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in part.initializer)
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    integer, byte, real = onnx.TensorProto.INT64, onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    expected = {
        "encoder_model": {"input_ids": integer, "attention_mask": integer, "last_hidden_state": real},
        "decoder_model_merged": {"input_ids": integer, "encoder_attention_mask": integer, "encoder_hidden_states": real,
                                 "use_cache_branch": onnx.TensorProto.BOOL, "logits": real,
                                 "past_key_values.0.decoder.key": real, "present.0.encoder.value": real},
        "vae_encoder": {"image": byte, "tokens": integer, "mean": real, "log_variance": real},
        "vae_decoder": {"tokens": integer, "image": byte},
    }[graph]
    assert expected.items() <= kinds.items()


@pytest.mark.parametrize(("level", "kind"), [("fp32", onnx.TensorProto.FLOAT), ("fp16", onnx.TensorProto.FLOAT16),
                                             ("int8", onnx.TensorProto.INT8)])
def test_the_merged_decoder_stores_every_weight_once(entry, level, kind):
    graph = onnx.load(graph_path(entry / "onnx", "decoder_model_merged", level)).graph
    outer, *branches = subgraphs(graph)
    tables = [tensor for tensor in outer.initializer if SEQ2SEQ.vocabulary in tensor.dims and len(tensor.dims) == 2]
    assert [(sorted(tensor.dims), tensor.data_type) for tensor in tables] == [([SEQ2SEQ.d_model, SEQ2SEQ.vocabulary], kind)]
    assert len(branches) == 2
    assert all(np.prod(tensor.dims) <= 8 for branch in branches for tensor in branch.initializer)
    contents = [tensor.SerializeToString() for tensor in outer.initializer if np.prod(tensor.dims) > 256]
    assert len({content.split(b":", 1)[-1] for content in contents}) == len(contents)


def test_attention_is_fused_in_both_branches(entry):
    graph = onnx.load(graph_path(entry / "onnx", "decoder_model_merged", "int8")).graph
    for branch in list(subgraphs(graph))[1:]:
        kinds = [node.op_type for node in branch.node]
        assert kinds.count("MultiHeadAttention") == 2 * SEQ2SEQ.decoder_layers
        assert not {"Softmax", "Where", "Expand", "MatMul"} & set(kinds)


def test_levels_are_within_their_limits_and_get_smaller(built):
    assert set(built.parity) == set(LEVELS)
    for level, found in built.parity.items():
        parity.check(level, found)
    sizes = built.bytes
    for graph in GRAPHS:
        assert sizes["fp16"][graph] < sizes["fp32"][graph] and sizes["int8"][graph] < sizes["fp32"][graph]
    # float16 is how the weights are stored, so storing the transformer that way loses nothing at all
    assert built.parity["fp16"].logits_max == built.parity["fp32"].logits_max


def test_a_figure_beyond_its_limit_or_not_a_number_is_refused(built):
    good = built.parity["fp32"]
    for name, value in (("logits_error", 0.5), ("decoded_psnr", 12.0), ("hidden_error", float("nan"))):
        with pytest.raises(ExportError, match=name):
            parity.check("fp32", type(good)(**{**vars(good), name: value}))


@pytest.mark.parametrize("level", LEVELS)
def test_golden_answers_are_what_optimum_generates(entry, level, tmp_path):
    inputs, answers = read_golden(entry / GOLDEN)
    folder = entry
    if level != "fp32":  # Optimum takes a merged decoder by its standard name only
        folder = tmp_path
        (folder / "onnx").mkdir()
        for graph in ("encoder_model", "decoder_model_merged"):
            shutil.copy(graph_path(entry / "onnx", graph, level), graph_path(folder / "onnx", graph, "fp32"))
        for name in ("config.json", "generation_config.json"):
            shutil.copy(entry / name, folder / name)
    model = ORTModelForSeq2SeqLM.from_pretrained(folder, subfolder="onnx", use_cache=True)
    got = model.generate(torch.from_numpy(inputs["text_ids"][:1]), attention_mask=torch.from_numpy(inputs["text_mask"][:1]),
                         do_sample=False, num_beams=1)
    assert got.shape == (1, VAE.latent.positions + 1)
    # rows share the int8 scale of their activations, so that batches of other sizes round a little differently
    same = (got[0, 1:].numpy() == answers[level]["tokens"][0]).mean()
    assert same == 1 if level != "int8" else same > 0.5


def test_the_first_branch_reads_whole_sequences_causally(entry, source):
    """Fed all tokens at once, the branch without cache gives what the cache gives token by token."""
    sessions, inputs = Level(entry / "onnx", "fp32"), read_golden(entry / GOLDEN)[0]
    hidden = sessions.hidden(inputs["text_ids"], inputs["text_mask"])
    tokens = np.random.default_rng(0).integers(0, VAE.latent.codebook, (len(hidden), 9))
    steps = sessions.forced(hidden, inputs["text_mask"], tokens)
    whole = source.seq2seq(encoder_outputs=(torch.from_numpy(hidden),), attention_mask=torch.from_numpy(inputs["text_mask"]),
                           decoder_input_ids=torch.from_numpy(tokens)).logits
    np.testing.assert_allclose(steps, whole.detach().numpy(), atol=1e-4)
    feeds = {"encoder_hidden_states": hidden, "encoder_attention_mask": inputs["text_mask"], "input_ids": tokens,
             "use_cache_branch": np.array([False])}
    empty = np.zeros((len(hidden), SEQ2SEQ.heads, 0, SEQ2SEQ.d_model // SEQ2SEQ.heads), np.float32)
    merged = open_session(graph_path(entry / "onnx", "decoder_model_merged", "fp32").read_bytes())
    names = [value.name for value in merged.get_inputs() if value.name.startswith("past")]
    at_once = merged.run(["logits"], feeds | dict.fromkeys(names, empty))[0]
    np.testing.assert_allclose(at_once, steps, atol=1e-4)


@pytest.mark.parametrize("level", LEVELS)
def test_padding_of_the_text_changes_nothing(entry, level):
    sessions, inputs = Level(entry / "onnx", level), read_golden(entry / GOLDEN)[0]
    ids, mask = inputs["text_ids"][:1], inputs["text_mask"][:1]
    ids, mask = ids[:, : mask.sum()], mask[:, : mask.sum()]
    padded, longer = np.pad(ids, ((0, 0), (0, 7)), constant_values=3), np.pad(mask, ((0, 0), (0, 7)))
    start = np.full((1, 1), SEQ2SEQ.start_token, np.int64)
    short = sessions.forced(sessions.hidden(ids, mask), mask, start)
    long = sessions.forced(sessions.hidden(padded, longer), longer, start)
    tolerance = 0.1 * short.std() if level == "int8" else 1e-4
    np.testing.assert_allclose(long, short, atol=tolerance)


def test_the_vae_reads_images_as_the_trained_module_does(entry, source):
    inputs, answers = read_golden(entry / GOLDEN)
    assert answers["fp32"]["image_tokens"].max() < VAE.latent.codebook
    assert inputs["decode_tokens"][0, -1] == VAE.latent.mask_token
    opaque = np.full((1, VAE.image_size, VAE.image_size, 4), 255, np.uint8)
    invisible = opaque.copy()
    invisible[..., 3] = 0
    blank = np.zeros_like(opaque)
    sessions = Level(entry / "onnx", "fp32")
    means = [sessions.encode(image)["mean"] for image in (opaque, invisible, blank)]
    assert np.array_equal(means[1], means[2]), "colour under alpha 0 must not be read"
    assert not np.array_equal(means[0], means[2])


def test_exporting_an_entry_again_gives_the_same_bytes(entry, tmp_path):
    again = tmp_path / "tiny"
    shutil.copytree(entry, again)
    for path in (again / "onnx").iterdir():
        path.unlink()
    assert main(["--zoo", str(tmp_path)]) == 0
    assert hashes(again) == hashes(entry)
    before = (again / "manifest.json").stat().st_mtime_ns
    assert main(["--zoo", str(tmp_path)]) == 0
    assert (again / "manifest.json").stat().st_mtime_ns == before, "a complete entry is left alone"


def test_what_an_entry_recommends_survives_another_export(entry, tmp_path):
    copy = tmp_path / "tiny"
    shutil.copytree(entry, copy)
    path = copy / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"guidance": 2.5, "temperature": 0.7, "do_sample": True}))
    manifest.refresh(copy)
    source = load_entry(copy)
    write_weights(source, tmp_path)
    stored = json.loads((tmp_path / "generation_config.json").read_text())
    assert stored["guidance"] == 2.5 and stored["temperature"] == 0.7


def test_a_calibration_of_another_exporter_is_made_anew(entry, tmp_path):
    again, said = tmp_path / "tiny", []
    shutil.copytree(entry, again)
    before = read_ranges(again / "calibration.json")
    decoder = {f"other/{name}": edges for name, edges in before["ranges"]["vae_decoder"].items()}
    write_ranges(again / "calibration.json", before["ranges"] | {"vae_decoder": decoder}, before["pictures"], before["source"])
    build_entry(load_entry(again), again, again=True, say=said.append)
    assert any(line.startswith("vae_decoder: the stored calibration") for line in said)
    assert read_ranges(again / "calibration.json")["ranges"] == before["ranges"]


def test_learned_positions_are_stored_and_exported(tmp_path):
    source = tiny_source(learned_positions=True)
    with torch.no_grad():
        for half in (source.seq2seq.get_encoder(), source.seq2seq.get_decoder()):
            half.embed_positions.weight.add_(torch.randn_like(half.embed_positions.weight)).copy_(half.embed_positions.weight.half())
    entry = build_entry(source, tmp_path / "zoo" / "tiny", levels=("fp32",)).entry  # which compares fp32 with PyTorch
    again = load_entry(entry).seq2seq
    assert torch.equal(again.get_decoder().embed_positions.weight, source.seq2seq.get_decoder().embed_positions.weight)
    stock = MarianMTModel.from_pretrained(entry)
    assert torch.equal(stock.get_encoder().embed_positions.weight.float(), source.seq2seq.get_encoder().embed_positions.weight)


def test_a_failing_export_changes_nothing(entry, tmp_path, monkeypatch):
    kept = tmp_path / "tiny"
    shutil.copytree(entry, kept)
    monkeypatch.setitem(parity.LIMITS, "int8", {"decoded_psnr": 98.0})
    with pytest.raises(ExportError, match="int8: too far from PyTorch: decoded_psnr"):
        build_entry(load_entry(kept), kept, again=True)
    assert hashes(kept) == hashes(entry) and [path.name for path in tmp_path.iterdir()] == ["tiny"]
    manifest.verify(kept)


def test_changed_weights_are_refused(entry, tmp_path):
    copy = tmp_path / "tiny"
    shutil.copytree(entry, copy)
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load_entry(copy)


def test_other_weights_fail_the_golden_answers(entry, tmp_path):
    """Weights swapped behind the golden file's back are noticed even where the manifest was refreshed."""
    copy = tmp_path / "tiny"
    shutil.copytree(entry, copy)
    other = tiny_source()
    other.folder = copy
    with torch.no_grad():
        table = other.seq2seq.get_decoder().embed_tokens.weight
        table.copy_(table.roll(1, 0))
    with pytest.raises(ExportError, match="golden"):
        build_entry(other, copy, again=True)


def test_a_folder_that_is_no_entry_is_not_replaced(source, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    monkeypatch.setattr("export.entry._fill", lambda source, entry, *rest: entry)
    with pytest.raises(ExportError, match="not a zoo entry"):
        build_entry(source, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_bad_command_lines_exit_2_with_one_line(entry, tmp_path, capsys):
    for arguments in (["--run", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")],
                      ["--entry", str(entry), "--levels", "int4"]):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.strip().splitlines()[-1].startswith("export: ")
    assert not (tmp_path / "out").exists()


def test_a_run_folder_is_exported(source, tmp_path):
    """The files that training writes: float32 weights, configurations, and what the data was."""
    from mvae.training.checkpoint import save_tensors, unique_state

    run = tmp_path / "run"
    floats = {name: tensor for name, tensor in unique_state(source.vae).items() if tensor.is_floating_point()}
    save_tensors(run / "vae.safetensors", floats)
    save_tensors(run / "model.safetensors", unique_state(source.seq2seq))
    (run / "vae_config.json").write_text(json.dumps(VAE.to_dict()))
    (run / "seq2seq_config.json").write_text(json.dumps(SEQ2SEQ.to_dict()))
    (run / "tokenizer.json").write_bytes(source.tokenizer)
    facts = {"recipe": {"name": "tiny", "data": "data/none"}, "data": {"name": "holiday photos"}}
    (run / "run.json").write_text(json.dumps(facts))
    from export.source import load_run

    with pytest.raises(DataError, match="--credits"):
        load_run(run, "mine")
    loaded = load_run(run, "mine", credits=("my own pictures",))
    report = build_entry(loaded, tmp_path / "zoo" / "mine", levels=("int8",))
    listed = manifest.verify(tmp_path / "zoo" / "mine")
    assert listed.credits == ("my own pictures",) and listed.training == facts
    assert set(report.bytes) == {"int8"} and not any(name.endswith("model.onnx") for name in listed.files)

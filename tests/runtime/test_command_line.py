"""The command line in processes of its own: one JSON object on stdout, exit code 2 and one line on stderr for bad input."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mvae
from mvae.__main__ import VERBS, main
from mvae.config import LatentConfig
from mvae.engine.container import pack, unpack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(capfd, tiny_zoo):
    """Run a verb in this process with the tiny zoo: exit code, stdout, stderr."""

    def run(verb, *arguments, zoo=True, model="tiny-fp32"):
        options = ["--zoo", tiny_zoo] if zoo else []
        if zoo and model and verb != "bench":
            options += ["--model", model]
        try:
            code = main([verb, *map(str, arguments), *map(str, options)])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capfd.readouterr()
        return code, out, err

    return run


def refused(result, *words):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.endswith("\n") and err.startswith(("mvae ", "python -m mvae"))
    assert all(word in err for word in words), err
    assert "Traceback" not in err


def test_a_real_process(tmp_path, tiny_zoo):
    out = tmp_path / "new" / "folder" / "apple.png"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mvae",
            "generate",
            "red apple",
            "--zoo",
            tiny_zoo,
            "--model",
            "tiny-int8",
            "--out",
            out,
            "--json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert found["images"][0]["path"] == str(out) and Image.open(out).mode == "RGBA"
    done = subprocess.run(
        [sys.executable, "-m", "mvae", "generate", "", "--zoo", tiny_zoo, "--model", "tiny-int8", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mvae generate: the prompt is empty; expected what to draw, for example 'a red apple'\n"


def test_generate_is_the_engine(call, tmp_path, tiny):
    code, out, _ = call(
        "generate",
        "red apple",
        "--style",
        "noto",
        "--seed",
        4,
        "--n",
        2,
        "--guidance",
        3,
        "--temperature",
        0.9,
        "--top-k",
        50,
        "--out",
        tmp_path / "apple.png",
        "--json",
    )
    assert code == 0
    found = json.loads(out)
    expected = tiny.generate_many("red apple", 2, style="noto", seed=4, guidance=3, temperature=0.9, top_k=50)
    assert [tuple(image["tokens"]) for image in found["images"]] == [sticker.tokens for sticker in expected]
    assert [image["path"] for image in found["images"]] == [str(tmp_path / f"apple-{i}.png") for i in range(2)]
    assert (found["model"], found["guidance"], found["temperature"], found["top_k"]) == ("tiny-fp32", 3.0, 0.9, 50)
    for image, sticker in zip(found["images"], expected, strict=True):
        assert np.array_equal(np.asarray(Image.open(image["path"])), np.asarray(sticker.image))
        assert set(image["timings"]) == {"text", "tokens", "decode"}


def test_without_json_stdout_stays_empty(call, tmp_path):
    code, out, err = call("generate", "sun", "--out", tmp_path / "sun.png")
    assert (code, out) == (0, "") and str(tmp_path / "sun.png") in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((" ",), ("prompt is empty",)),
        (("x" * 201,), ("201 characters", "at most 200")),
        (("a\x07b",), ("U+0007",)),
        (("sun", "--style", "manga"), ("manga", "noto")),
        (("sun", "--seed", "-1"), ("seed", "-1")),
        (("sun", "--seed", str(2**63)), ("seed",)),
        (("sun", "--seed", "1.5"), ("--seed",)),
        (("sun", "--guidance", "nan"), ("guidance", "nan")),
        (("sun", "--guidance", "much"), ("--guidance",)),
        (("sun", "--temperature", "inf"), ("temperature",)),
        (("sun", "--top-k", "-3"), ("top-k",)),
        (("sun", "--n", "0"), ("n is 0", "1 to 64")),
        (("sun", "--n", "65"), ("65",)),
        (("sun", "--threads", "0"), ("threads",)),
        (("sun", "--out", "sticker.gif"), (".png",)),
        (("sun", "--surprise"), ("--surprise",)),
        ((), ("prompt",)),
    ],
)
def test_generate_refuses(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    refused(call("generate", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["small-int8", "tiny-int4", "tiny", "../tiny-int8"])
def test_unknown_models(call, model):
    refused(call("generate", "sun", model=model), model)


def test_outputs_that_cannot_be_written(call, tmp_path):
    (tmp_path / "folder.png").mkdir()
    refused(call("generate", "sun", "--out", tmp_path / "folder.png"), "is a folder")
    (tmp_path / "file").write_text("")
    refused(call("generate", "sun", "--out", tmp_path / "file" / "sun.png"), "file", "cannot be created")
    refused(call("generate", "sun", "--out", "/proc/nowhere/sun.png"), "/proc/nowhere")
    if os.geteuid() != 0:  # nothing is read-only for root
        (tmp_path / "locked").mkdir(mode=0o500)
        refused(call("generate", "sun", "--out", tmp_path / "locked" / "sun.png"), "cannot be written")


def test_encode_then_decode(call, tmp_path, tiny):
    picture = tiny.generate("red apple", seed=1).image
    picture.save(tmp_path / "in.png")
    code, out, _ = call("encode", tmp_path / "in.png", tmp_path / "deep" / "out.mvae", "--json")
    assert code == 0
    found, content = json.loads(out), (tmp_path / "deep" / "out.mvae").read_bytes()
    assert found["bytes"] == len(content) and found["latent_id"] == tiny.latent.latent_id
    assert unpack(content) == (tiny.latent, [tiny.encode(picture)]) and tuple(found["tokens"][0]) == tiny.encode(picture)
    code, out, _ = call("decode", tmp_path / "deep" / "out.mvae", tmp_path / "back.png", "--json")
    assert code == 0 and json.loads(out)["out"] == [str(tmp_path / "back.png")]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "back.png")), np.asarray(tiny.decode(tiny.encode(picture))))


def test_several_pictures_in_one_file(call, tmp_path, tiny):
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (30, 20), colour).save(tmp_path / f"{name}.jpg")
    assert call("encode", tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "two.mvae")[0] == 0
    assert len(unpack((tmp_path / "two.mvae").read_bytes())[1]) == 2
    assert call("decode", tmp_path / "two.mvae", tmp_path / "back.png")[0] == 0
    assert sorted(path.name for path in tmp_path.glob("back*")) == ["back-0.png", "back-1.png"]


def test_encode_refuses(call, tmp_path):
    out = tmp_path / "out.mvae"
    (tmp_path / "text.png").write_text("not a picture")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:60])
    for name, word in (("missing.png", "No such file"), ("text.png", "expected one of"), ("cut.png", "cut.png")):
        refused(call("encode", tmp_path / name, out), word)
    refused(call("encode", out), "OUT.mvae")
    assert not out.exists()


def test_decode_refuses(call, tmp_path, tiny):
    good = pack([[0] * 64], tiny.latent)
    cases = {
        "empty.mvae": (b"", "MVAE"),
        "text.mvae": (b"hello", "MVAE"),
        "cut.mvae": (good[:-1], "checksum"),
        "other.mvae": (pack([[0] * 64], LatentConfig("other", 8, 4, 4)), "other"),
        "grid.mvae": (pack([[0] * 16], LatentConfig(tiny.latent.latent_id, 4, 4, 4)), "grid=4"),
    }
    for name, (content, word) in cases.items():
        (tmp_path / name).write_bytes(content)
        refused(call("decode", tmp_path / name, tmp_path / "back.png"), name, word)
    refused(call("decode", tmp_path / "missing.mvae", tmp_path / "back.png"), "missing.mvae")
    (tmp_path / "good.mvae").write_bytes(good)
    refused(call("decode", tmp_path / "good.mvae", tmp_path / "back.jpg"), ".png")
    assert not list(tmp_path.glob("back*"))


def test_bench_prints_what_is_documented(call, tiny_zoo):
    code, out, _ = call("bench", "--models", "tiny-int8,tiny-fp32", "--repeat", 2, "--json")
    assert code == 0
    found = json.loads(out)
    assert [model["name"] for model in found["models"]] == ["tiny-int8", "tiny-fp32"]
    for model in found["models"]:
        assert set(model) == {"name", "bytes", "text_ms", "tokens_ms", "encode_ms", "decode_ms", "total_ms"}
        assert model["bytes"] == mvae.available(tiny_zoo)[model["name"]]
        assert all(0 < model[stage]["p50"] <= model[stage]["p95"] for stage in model if stage.endswith("_ms"))
    assert {"cpu", "cores", "python", "onnxruntime", "threads"} <= set(found["machine"])
    assert found["repeat"] == 2 and found["peak_memory_bytes"] > 1e6


def test_bench_writes_a_table_named_for_machine_and_day(call, tmp_path):
    code, out, err = call("bench", "--repeat", 1, "--out", tmp_path / "results")
    assert code == 0
    (table,) = (tmp_path / "results").iterdir()
    assert table.name.startswith("bench-") and str(table) in err
    lines = table.read_text().splitlines()
    assert len(lines) == 4 and lines[0].startswith("model,bytes,text_ms_p50,text_ms_p95,")
    assert [line.split(",")[0] for line in lines[1:]] == ["tiny-fp32", "tiny-fp16", "tiny-int8"]
    assert all(name in out for name in ("tiny-fp32", "tiny-int8"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--models", ""),
        ("--models", "tiny-int8,tiny-int8"),
        ("--models", "tiny-int8,huge-int8"),
        ("--repeat", "0"),
        ("--threads", "-1"),
        ("--out", "/proc/nowhere"),
    ],
)
def test_bench_refuses(call, arguments):
    refused(call("bench", *arguments))


@pytest.mark.parametrize(
    "arguments", [("train", "small"), ("evaluate", "--model", "small-int8"), ("bench", "--reference", "--repeat", "1")]
)
def test_verbs_that_need_torch_say_so(call, arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    for name in [name for name in sys.modules if name.startswith(("mvae.training", "mvae.evaluate", "mvae.models"))]:
        monkeypatch.delitem(sys.modules, name)
    refused(call(*arguments, zoo=arguments[0] == "bench"), "torch", "requirements-train.txt")


@pytest.mark.parametrize("arguments", [[], ["paint"], ["--json"], ["data"], ["data", "build"]])
def test_what_is_no_verb(arguments, capfd):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capfd.readouterr()
    assert (stop.value.code, out) == (2, "") and err.count("\n") == 1


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(verb, capfd):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"] if verb else ["--help"])
    out, err = capfd.readouterr()
    assert (stop.value.code, err) == (0, "") and "usage: python -m mvae" in out


def test_an_interrupt_is_one_line(call, monkeypatch):
    import mvae.cli.generate

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(mvae.cli.generate, "load_model", interrupt)
    assert call("generate", "sun") == (130, "", "mvae generate: interrupted\n")


def test_a_reader_that_leaves_ends_it_quietly(tiny_zoo):
    command = f"{sys.executable} -m mvae bench --zoo {tiny_zoo} --models tiny-int8 --repeat 1 --json | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert "Traceback" not in done.stderr

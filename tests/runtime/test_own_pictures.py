"""Pictures of somebody's own in a model's memory: found by their words, read beside the prompt, kept in a file."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import mvae
from mvae.__main__ import main
from mvae.engine.memory import Caption, Memory, read_memory
from mvae.engine.model import load
from mvae.errors import ImageError, OptionError, PromptError

NAME = "tiny-memory-int8"
ASKED = {"prompt": "teapot", "seed": 1, "temperature": 3.0}


@pytest.fixture(scope="module")
def model(memory_zoo):
    return load(NAME, folder=memory_zoo)


def picture(colour=(200, 30, 30, 255)) -> Image.Image:
    image = Image.new("RGBA", (64, 64))
    image.paste(colour, (16, 16, 48, 48))
    return image


def test_a_picture_of_ones_own_is_read_and_changes_what_is_drawn(model):
    own = model.remember(picture(), "teapot", tags=["kettle"], style="noto")
    assert len(own) == 1 and own.tokens[0].tolist() == list(model.encode(picture()))
    before, after = model.generate(**ASKED), model.generate(**ASKED, own=own)
    together = model.memory_with(own)
    assert len(together) == 1 + len(model.memory) and together.label(after.recalled[0]) == "teapot"
    assert before.tokens != after.tokens
    assert model.generate(**ASKED).tokens == before.tokens, "nothing is left behind"


def test_ones_own_wins_over_an_equal_caption(model):
    own = model.remember(picture(), "red apple", style="noto")
    assert model.generate("red apple", style="noto", own=own).recalled[0] == 0
    assert model.memory_with(own) is model.memory_with(own), "captions are indexed once"


def test_several_pictures_are_kept_in_one_file(model, tmp_path):
    own = model.remember(picture((0, 0, 255, 255)), "blue box", own=model.remember(picture(), "red box"))
    (tmp_path / "own.npz").write_bytes(own.to_bytes())
    again = read_memory(tmp_path / "own.npz")
    assert [again.label(number) for number in range(2)] == ["red box", "blue box"]
    assert np.array_equal(again.tokens, own.tokens)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"label": ""}, PromptError),
        ({"label": "a\x00"}, PromptError),
        ({"label": "box", "tags": [""]}, PromptError),
        ({"label": "box", "style": "oil"}, OptionError),
        ({"label": "box", "image": "box.png"}, ImageError),
    ],
)
def test_what_cannot_be_remembered(model, arguments, error):
    with pytest.raises(error):
        model.remember(**{"image": picture(), **arguments})


def test_foreign_memories_are_refused(model, tiny):
    own = model.remember(picture(), "box")
    short = Memory.build([Caption("box")], [""], np.zeros((1, 9), np.int64), own.latent_id)
    large = Memory.build([Caption("box")], [""], np.full(own.tokens.shape, 4096), own.latent_id)
    for foreign in (dataclasses.replace(own, latent_id="other"), short, large):
        with pytest.raises(OptionError, match="expected"):
            model.generate(**ASKED, own=foreign)
        with pytest.raises(OptionError, match="expected"):
            model.remember(picture(), "box", own=foreign)
    for call in (lambda: tiny.remember(picture(), "box"), lambda: tiny.generate("box", own=own)):
        with pytest.raises(OptionError, match="reads no memory"):
            call()
    assert tiny.memory_with(None) is None


def test_on_the_command_line(memory_zoo, tmp_path, capsys):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, colour in zip(paths, ((255, 0, 0, 255), (0, 0, 255, 255)), strict=True):
        picture(colour).save(path)
    file, common = tmp_path / "deep" / "own.npz", ["--model", NAME, "--zoo", str(memory_zoo), "--json"]
    for count, (path, label) in enumerate(zip(paths, ("red box", "blue box"), strict=True), 1):
        assert main(["remember", str(path), label, "--tags", "cube, crate", "--memory", str(file), *common]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["pictures"] == count and len(found["tokens"]) == 64
    drawn = tmp_path / "drawn.png"
    assert main(["generate", "crate blue box", "--memory", str(file), "--out", str(drawn), *common]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["recalled"][0] == "blue box" and drawn.is_file()


@pytest.mark.parametrize("content", [None, b"", b"no memory"])
def test_bad_memory_files_on_the_command_line(memory_zoo, tmp_path, capsys, content):
    file = tmp_path / "own.npz"
    if content is not None:
        file.write_bytes(content)
    assert main(["generate", "box", "--memory", str(file), "--model", NAME, "--zoo", str(memory_zoo)]) == 2
    assert "own.npz" in capsys.readouterr().err
    assert not (tmp_path / "sticker.png").exists()


def test_memories_are_public():
    assert mvae.Memory is Memory and mvae.read_memory is read_memory

"""Every entry on this machine answers its golden inputs as it did when it was exported, up to what processors differ in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mvae
from mvae.config import recalled_at_most
from mvae.engine.pages import lay_out
from zoo import fetch, manifest

TINY_ZOO = Path(__file__).parents[1] / "data" / "tiny-zoo"
MEMORY_ZOO = TINY_ZOO.with_name("memory-zoo")
FOLDERS = {**fetch.entries(TINY_ZOO), **fetch.entries(MEMORY_ZOO), **fetch.entries(fetch.MODELS)}
NAMES = [(name, folder) for folder in FOLDERS.values() for name in mvae.available(folder)]
LOGIT_ERROR = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.1}
"""Root mean square against the spread of the golden logits; int8 rounds differently on processors without 8-bit dot products."""
PIXEL_ERROR = {"fp32": 0.01, "fp16": 0.01, "int8": 1.0}


@pytest.fixture(scope="module", params=NAMES, ids=lambda pair: pair[0])
def model_and_golden(request):
    name, folder = request.param
    listed = manifest.read(folder)
    manifest.verify(folder, listed, names=["golden.npz"])
    model = mvae.load(name, folder=folder)
    with np.load(folder / "golden.npz", allow_pickle=False) as file:
        return model, {
            key.removeprefix(model.level + "/"): file[key]
            for key in file.files
            if "/" not in key or key.startswith(model.level + "/")
        }


def test_prompts_become_the_same_text_ids(model_and_golden):
    model, golden = model_and_golden
    shape = model._seq2seq.shape
    place = shape.memory * shape.positions
    for prompt, ids, mask in zip(golden["prompts"], golden["text_ids"], golden["text_mask"], strict=True):
        text = ids[place:][mask[place:] == 1] - shape.text_offset
        if prompt:
            assert list(model._text(str(prompt), None).ids) == text.tolist()
            if place:
                memory, small = model.memory, shape.small_copies
                read = memory.read(str(prompt), None, recalled_at_most(shape.memory, small))
                pages = lay_out(read.tokens, read.small if small else None, shape.memory, model.latent)
                assert pages[1].ravel().tolist() == (mask[:place] == 1).tolist()
                assert (pages[0].ravel() * pages[1].ravel()).tolist() == (ids[:place] * mask[:place]).tolist()
        else:
            assert [model._text.end] == text.tolist() and not mask[:place].any()


def test_logits_and_likeliest_tokens(model_and_golden):
    """The golden tokens are fed back: one that differs by rounding would change all that follow."""
    model, golden = model_and_golden
    expected = golden["first_logits"][:, : model.latent.codebook]
    error = LOGIT_ERROR[model.level] * expected.std()
    decoding = model._seq2seq.begin(model._seq2seq.read_ids(golden["text_ids"], golden["text_mask"]))
    rows = list(range(len(expected)))
    for position in range(model.latent.positions):
        logits = decoding.logits()
        if position == 0:
            assert np.sqrt(((logits - expected) ** 2).mean()) <= error
        chosen = golden["tokens"][:, position]
        assert (logits[rows, chosen] >= logits.max(axis=1) - 4 * error).all(), position
        decoding.feed(chosen)


def test_pictures(model_and_golden):
    model, golden = model_and_golden
    for pixels, tokens, mean in zip(golden["image"], golden["image_tokens"], golden["mean"], strict=True):
        picture = Image.fromarray(pixels)
        found = model.mean(picture)
        assert np.sqrt(((found - mean) ** 2).mean()) <= LOGIT_ERROR[model.level] * max(mean.std(), 1e-3)
        assert np.mean(np.array(model.encode(picture)) != tokens) <= 0.25 * (model.level == "int8") + 0.02
    for tokens, pixels in zip(golden["decode_tokens"], golden["decoded"], strict=True):
        found = np.asarray(model.decode(tokens)).astype(int)
        assert np.abs(found - pixels).mean() <= PIXEL_ERROR[model.level]

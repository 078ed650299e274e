"""The engine on the tiny entry: the same answer whichever way it is asked, and nothing but typed refusals."""

import itertools
import json
import threading

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import mvae
from mvae.config import MAX_IMAGES_PER_CALL
from mvae.engine.decoder_graph import branches
from mvae.engine.philox import uniforms
from mvae.engine.sampler import guided, sample
from mvae.engine.sessions import EXACT_INT8
from mvae.errors import ImageError, OptionError, PromptError, TokensError

LEVELS = ("fp32", "fp16", "int8")


def standard_decoder(path, texts, tokens):
    """Logits [P, B, V] of Optimum's merged decoder driven the standard way: plain feeds, a cache that grows.

    In int8 its branches are graphs of their own: within an ``If`` the runtime is not exact on every processor.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry(*EXACT_INT8)
    suffix = path.name.removeprefix("decoder_model_merged")
    encoder = onnxruntime.InferenceSession(path.with_name("encoder_model" + suffix), options)
    graphs = branches(path.read_bytes(), path.name) if suffix == "_int8.onnx" else [path] * 2
    decoder, *later = (onnxruntime.InferenceSession(graph, options) for graph in graphs)
    length = max(map(len, texts))
    ids = np.array([(*text, *[0] * (length - len(text))) for text in texts], np.int64)
    mask = np.array([[1] * len(text) + [0] * (length - len(text)) for text in texts], np.int64)
    (hidden,) = encoder.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})
    inputs = {value.name: value for session in (decoder, *later) for value in session.get_inputs()}
    feeds = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask, "use_cache_branch": np.array([False])}
    for name, value in inputs.items():
        if name.startswith("past"):
            feeds[name] = np.zeros((len(texts), value.shape[1], 0, value.shape[3]), np.float32)
    for token in tokens:
        feeds["input_ids"] = np.full((len(texts), 1), token, np.int64)
        wanted = {value.name for value in decoder.get_inputs()}
        names = [value.name for value in decoder.get_outputs()]
        found = dict(zip(names, decoder.run(names, {key: value for key, value in feeds.items() if key in wanted}), strict=True))
        for name, value in found.items():
            if name != "logits" and (".decoder." in name or not feeds["use_cache_branch"][0]):
                feeds[name.replace("present", "past_key_values")] = value
        feeds["use_cache_branch"] = np.array([True])
        decoder = later[0]
        yield found["logits"][:, -1]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("guidance", [1, 2.5])
def test_the_loop_equals_the_standard_decoder(tiny_zoo, level, guidance):
    model = mvae.load(f"tiny-{level}", folder=tiny_zoo)
    sticker = model.generate("red apple", style="noto", seed=3, guidance=guidance)
    text = model._text("red apple", "noto").ids
    texts = [text] if guidance == 1 else [text, (model._text.end,)]
    path = tiny_zoo / "tiny" / "onnx" / f"decoder_model_merged{'' if level == 'fp32' else '_' + level}.onnx"
    start = json.loads((tiny_zoo / "tiny" / "config.json").read_text())["decoder_start_token_id"]
    decoding = model._seq2seq.begin(model._seq2seq.read(texts))
    numbers = uniforms(3, 0, model.latent.positions)
    for position, logits in enumerate(standard_decoder(path, texts, (start, *sticker.tokens[:-1]))):
        expected = logits[:, : model.latent.codebook]
        np.testing.assert_allclose(decoding.logits(), expected, atol=2e-4 * np.abs(expected).max())
        mine = decoding.logits().copy()
        row = mine[0] if guidance == 1 else guided(mine[0], mine[1], guidance)
        assert sample(row, numbers[position], model.defaults.temperature, model.defaults.top_k) == sticker.tokens[position]
        decoding.feed(sticker.tokens[position])


def test_same_arguments_same_sticker_other_arguments_another(tiny):
    first = tiny.generate("red apple", style="noto", seed=5)
    again = tiny.generate("  RED apple ", style="noto", seed=5)
    assert first.tokens == again.tokens and np.array_equal(np.asarray(first.image), np.asarray(again.image))
    others = [
        tiny.generate("red apple", style="noto", seed=6),
        tiny.generate("red apple", style="noto", seed=5, index=1),
        tiny.generate("red apple", seed=5),
        tiny.generate("blue car", style="noto", seed=5),
        tiny.generate("red apple", style="noto", seed=5, guidance=4),
        tiny.generate("red apple", style="noto", seed=5, temperature=0),
    ]
    assert len({sticker.tokens for sticker in (first, *others)}) == len(others) + 1


def test_a_sticker_says_what_it_is(tiny):
    sticker = tiny.generate("red apple", seed=2**63 - 1, guidance=1, temperature=0.5, top_k=7)
    size = tiny.image_size
    assert sticker.image.size == (size, size) and sticker.image.mode == "RGBA"
    assert len(sticker.tokens) == tiny.latent.positions and all(type(token) is int for token in sticker.tokens)
    assert max(sticker.tokens) < tiny.latent.codebook
    assert set(sticker.timings) == {"text", "tokens", "decode"} and all(value > 0 for value in sticker.timings.values())
    assert (sticker.share, sticker.seed, sticker.index, sticker.prompt_was_cut) == (1.0, 2**63 - 1, 0, False)
    assert sticker.options == mvae.Options(1.0, 0.5, 7)


def test_greedy_needs_no_seed(tiny):
    assert tiny.generate("sun", temperature=0, seed=1).tokens == tiny.generate("sun", temperature=0, seed=2).tokens
    assert tiny.generate("sun", temperature=0).tokens == tiny.generate("sun", top_k=1, seed=9).tokens


def test_streaming_ends_in_the_same_sticker(tiny):
    parts = list(tiny.stream("red apple", style="twemoji", seed=8))
    whole = tiny.generate("red apple", style="twemoji", seed=8)
    grid, row_tokens, mask = tiny.latent.shape[0], tiny.latent.row_tokens, tiny.latent.mask_token
    assert [part.share for part in parts] == [(row + 1) / grid for row in range(grid)]
    for row, part in enumerate(parts, 1):
        assert part.tokens == whole.tokens[: row * row_tokens] + (mask,) * (row_tokens * (grid - row))
        assert np.array_equal(np.asarray(part.image), np.asarray(tiny.decode(part.tokens)))
        assert ("decode" in part.timings) == (row == grid)
    assert all(a.timings["tokens"] < b.timings["tokens"] for a, b in itertools.pairwise(parts))


def test_streams_can_be_interleaved_and_left(tiny):
    streams = [tiny.stream("red apple", seed=seed) for seed in (1, 2)]
    next(tiny.stream("red apple", seed=3))
    parts = list(zip(*streams, strict=True))
    for seed, last in zip((1, 2), parts[-1], strict=True):
        assert last.tokens == tiny.generate("red apple", seed=seed).tokens


def test_many_images_are_those_asked_for_one_by_one(tiny):
    many = tiny.generate_many("red apple", 3, seed=4, style="noto")
    assert [sticker.index for sticker in many] == [0, 1, 2]
    assert [sticker.tokens for sticker in many] == [
        tiny.generate("red apple", seed=4, style="noto", index=i).tokens for i in range(3)
    ]


def test_threads_share_a_model(tiny):
    alone = [tiny.generate("red apple", seed=seed).tokens for seed in range(4)]
    found = [None] * 4

    def run(seed):
        found[seed] = list(tiny.stream("red apple", seed=seed))[-1].tokens

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_several_models_are_loaded_at_once(tiny_zoo):
    models = [
        mvae.load(f"tiny-{level}", folder=tiny_zoo, threads=threads) for level, threads in (("fp32", 1), ("fp16", 2), ("int8", 1))
    ]
    tokens = models[0].generate("red apple", seed=1).tokens
    pictures = [np.asarray(model.decode(tokens)).astype(int) for model in models]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.1
    assert [model.bytes for model in models] == [mvae.available(tiny_zoo)[model.name] for model in models]
    assert models[2].bytes < models[0].bytes


def test_the_memory_counts_among_the_bytes(memory_zoo):
    model = mvae.load("tiny-memory-int8", folder=memory_zoo)
    files = [*(memory_zoo / "tiny-memory" / "onnx").iterdir(), memory_zoo / "tiny-memory" / "memory.npz"]
    assert model.bytes == mvae.available(memory_zoo)[model.name] == sum(file.stat().st_size for file in files)


def test_a_negative_prompt_is_led_away_from(tiny):
    asked = {"prompt": "red apple", "seed": 3, "guidance": 3.0}
    plain = tiny.generate(**asked).tokens
    assert tiny.generate(**asked, negative="  ").tokens == plain != tiny.generate(**asked, negative="blue").tokens
    asked["guidance"] = 1
    assert tiny.generate(**asked, negative="blue").tokens == tiny.generate(**asked).tokens
    for wrong in ("x" * 300, None, 3):
        with pytest.raises(PromptError):
            tiny.generate("red apple", guidance=2.0, negative=wrong)


@pytest.mark.parametrize("name", ["tiny", "memory"])
def test_only_what_is_unknown_is_drawn_anew(tiny, memory_zoo, name):
    model = tiny if name == "tiny" else mvae.load("tiny-memory-int8", folder=memory_zoo)
    whole, mask = model.generate("blue car", seed=1).tokens, model.latent.mask_token
    assert model.generate("red apple", seed=2, start=whole).tokens == whole
    start = [mask if place % 3 == 0 else token for place, token in enumerate(whole)]
    drawn = model.generate("red apple", seed=2, start=start, temperature=2.0).tokens
    assert all(new == old for new, old in zip(drawn, start, strict=True) if old != mask) and drawn != whole and mask not in drawn
    assert drawn == model.generate("red apple", seed=2, start=start, temperature=2.0).tokens
    assert drawn != model.generate("red apple", seed=3, start=start, temperature=2.0).tokens
    *_, last = model.stream("red apple", seed=2, start=start, temperature=2.0)
    assert last.tokens == drawn
    for wrong in (whole[:-1], [mask + 1] * len(whole), [0.5] * len(whole)):
        with pytest.raises(TokensError):
            model.generate("red apple", start=wrong)


def test_nothing_known_is_drawn_as_without_a_start(tiny):
    start = [tiny.latent.mask_token] * tiny.latent.positions
    assert tiny.generate("sun", seed=1, start=start).tokens == tiny.generate("sun", seed=1).tokens


def test_encode_decode(tiny):
    picture = tiny.generate("red apple", seed=1).image
    tokens = tiny.encode(picture)
    assert len(tokens) == tiny.latent.positions and all(
        type(token) is int and 0 <= token < tiny.latent.codebook for token in tokens
    )
    assert tiny.encode(picture.resize((200, 200), 0).resize(picture.size, 0)) == tokens
    assert len(tiny.encode(Image.new("L", (7, 300), 90))) == tiny.latent.positions
    mean, log_variance = tiny.posterior(picture)
    assert mean.shape == log_variance.shape == (tiny.latent.channels, *tiny.latent.shape)
    assert np.array_equal(mean, tiny.mean(picture)) and mean.dtype == np.float32
    for wrong in (np.zeros((64, 64, 4), np.uint8), "picture.png", None, Image.new("F", (8, 8))):
        with pytest.raises(ImageError):
            tiny.encode(wrong)


def test_tokens_are_the_cells_of_the_prior_that_the_mean_falls_into(tiny):
    from statistics import NormalDist

    picture = tiny.generate("red apple", seed=1).image
    share = np.vectorize(NormalDist().cdf)(tiny.mean(picture).astype(np.float64)) * tiny.latent.levels
    cells = np.minimum(share.astype(int), tiny.latent.levels - 1).reshape(tiny.latent.coordinates, -1)
    expected = np.zeros(tiny.latent.positions, int)
    for coordinate in cells:
        expected = expected * tiny.latent.levels + coordinate
    on_an_edge = (np.abs(share - share.round()) < 1e-4).reshape(tiny.latent.coordinates, -1).any(axis=0)
    assert np.array_equal(np.array(tiny.encode(picture))[~on_an_edge], expected[~on_an_edge])


def test_decode_takes_any_sequence_of_whole_numbers_and_the_mask(tiny):
    tokens = [3] * tiny.latent.positions
    expected = np.asarray(tiny.decode(tokens))
    for same in (tuple(tokens), np.array(tokens), np.array(tokens, np.uint16)):
        assert np.array_equal(np.asarray(tiny.decode(same)), expected)
    tiny.decode([tiny.latent.mask_token] * tiny.latent.positions)
    assert tiny.decode_timed(tokens).timings["decode"] > 0


def test_tokens_of_another_latent_are_refused(tiny):
    sticker = tiny.generate("red apple")
    assert tiny.decode(sticker.tokens, sticker.latent_id) == sticker.image
    with pytest.raises(TokensError, match="latent '7'"):
        tiny.decode(sticker.tokens, "7")


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [0] * 63,
        [0] * 65,
        [0.0] * 64,
        [-1] + [0] * 63,
        [257] + [0] * 63,
        [[0] * 8] * 8,
        "0" * 64,
        [True] * 64,
        [2**70] + [0] * 63,
        None,
        [[0], [0, 1]],
        [None] * 64,
    ],
)
def test_tokens_that_are_refused(tiny, tokens):
    with pytest.raises(TokensError, match="expected 64 whole numbers from 0 to 256"):
        tiny.decode(tokens)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prompt": ""}, PromptError),
        ({"prompt": "x" * 201}, PromptError),
        ({"style": "manga"}, OptionError),
        ({"seed": -1}, OptionError),
        ({"seed": 2**63}, OptionError),
        ({"seed": 0.5}, OptionError),
        ({"guidance": float("nan")}, OptionError),
        ({"guidance": float("inf")}, OptionError),
        ({"temperature": -1}, OptionError),
        ({"top_k": 257}, OptionError),
        ({"index": -1}, OptionError),
        ({"index": 2**32}, OptionError),
    ],
)
def test_arguments_that_are_refused(tiny, arguments, error):
    arguments = {"prompt": "red apple"} | arguments
    with pytest.raises(error):
        tiny.generate(**arguments)
    with pytest.raises(error):
        next(tiny.stream(**arguments))


@pytest.mark.parametrize("count", [0, -1, MAX_IMAGES_PER_CALL + 1, 1.5, None])
def test_counts_that_are_refused(tiny, count):
    with pytest.raises(OptionError):
        tiny.generate_many("red apple", count)

"""Seq2seq: cache equals no cache, captions stay true, no prompt fails."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from mvae.config import Seq2SeqConfig
from mvae.data.captions import dominant_hue, may_mirror, nearest_colour, recoloured_label, reworded, with_article
from mvae.data.dataset import Pictures, augment, rotate_hue, scale, shift
from mvae.models.seq2seq import TEXT_END, build_seq2seq
from mvae.training.checkpoint import step_generator
from mvae.training.cross_entropy import head_cross_entropy
from mvae.training.sampling import sample_tokens
from mvae.training.seq2seq_stage import Seq2SeqModule
from mvae.training.text import encode_texts, train_tokenizer

CONFIG = Seq2SeqConfig(d_model=32, encoder_layers=1, decoder_layers=2, heads=2, feed_forward=64)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    meta = [{"label": "red apple", "tags": ["fruit", "healthy"]}, {"label": "grinning cat", "tags": ["pet"]}] * 20
    return train_tokenizer(Pictures(np.zeros((40, 8, 8, 4), np.uint8), [m["label"] for m in meta], meta), 600)


def test_vocabularies_are_separate_and_the_head_is_the_decoders_table():
    model = build_seq2seq(CONFIG)
    assert model.get_encoder().embed_tokens.weight.data_ptr() != model.model.decoder.embed_tokens.weight.data_ptr()
    assert model.lm_head.weight.data_ptr() == model.model.decoder.embed_tokens.weight.data_ptr()


def test_learned_positions_begin_as_sinusoids_and_move():
    still, moving = (build_seq2seq(replace(CONFIG, learned_positions=learned)) for learned in (False, True))
    moving.load_state_dict(still.state_dict())
    ids, tokens = torch.tensor([[5, 6, TEXT_END]]), torch.randint(0, 4096, (1, 64))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "decoder_input_ids": tokens}
    expected = still.eval()(**inputs).logits
    got = moving.eval()(**inputs).logits
    assert torch.equal(got, expected)
    got.square().mean().backward()
    for half in (moving.get_encoder(), moving.get_decoder()):
        assert half.embed_positions.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("learned", [False, True])
def test_cached_sampling_follows_the_uncached_distribution(learned):
    torch.manual_seed(0)
    model = build_seq2seq(replace(CONFIG, learned_positions=learned)).eval()
    ids, mask = torch.tensor([[5, 6, TEXT_END], [7, TEXT_END, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    tokens = sample_tokens(model, CONFIG, ids, mask, torch.tensor([[TEXT_END]]), guidance=1.0, temperature=1e-4, seed=0)
    assert tokens.shape == (2, 64) and tokens.max() < CONFIG.codebook
    # with temperature 0 every token must be the best one of an uncached pass over the whole sequence
    start = torch.full((2, 1), CONFIG.start_token)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.cat([start, tokens[:, :-1]], 1)).logits
    assert torch.equal(logits[..., : CONFIG.codebook].argmax(-1), tokens)


def test_head_cross_entropy_and_its_gradients_equal_torchs():
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(600, 16, generator=generator), torch.randn(50, 16, generator=generator)
    targets, shares = torch.randint(0, 50, (600,), generator=generator), torch.rand(600, generator=generator)
    gradients = []
    for function in (head_cross_entropy, lambda h, w, t: torch.nn.functional.cross_entropy(h @ w.T, t, reduction="none")):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        losses = function(h, w, targets)
        (losses * shares).sum().backward()
        gradients.append((losses.detach(), h.grad, w.grad))
    for mine, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-4, atol=1e-4)


def test_tokens_read_back_change_the_loss_of_what_follows_alone():
    torch.manual_seed(0)
    module = Seq2SeqModule(build_seq2seq(CONFIG), CONFIG).eval()
    tokens = torch.randint(0, 4096, (1, 64))
    read = tokens.clone()
    read[0, 20] = (read[0, 20] + 1) % 4096
    batch = {"tokens": tokens, "ids": torch.tensor([[5, TEXT_END]]), "mask": torch.tensor([[1, 1]])}
    with torch.no_grad():
        plain, disturbed = module(batch), module(batch | {"read": read})
    assert torch.equal(plain[0, :21], disturbed[0, :21]) and not torch.equal(plain[0, 21:], disturbed[0, 21:])


def test_text_padding_does_not_matter():
    torch.manual_seed(0)
    module = Seq2SeqModule(build_seq2seq(CONFIG), CONFIG).eval()
    tokens = torch.randint(0, 4096, (1, 64))
    short = {"tokens": tokens, "ids": torch.tensor([[5, TEXT_END]]), "mask": torch.tensor([[1, 1]])}
    padded = {"tokens": tokens, "ids": torch.tensor([[5, TEXT_END, 0, 0]]), "mask": torch.tensor([[1, 1, 0, 0]])}
    with torch.no_grad():
        torch.testing.assert_close(module(short), module(padded), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=200)
@given(text=st.text(max_size=60))
@example(text="<unk> and <eos>")
def test_every_text_is_encoded(tokenizer, text):
    ids, mask = encode_texts(tokenizer, [text, ""])
    assert ids[1].tolist()[0] == TEXT_END and mask[1].sum() == 1
    assert int(ids[0, int(mask[0].sum()) - 1]) == TEXT_END and 2 not in ids[0].tolist()


def test_case_does_not_matter(tokenizer):
    assert torch.equal(encode_texts(tokenizer, ["RED Apple"])[0], encode_texts(tokenizer, ["red apple"])[0])


def test_flags_writing_and_sides_are_not_mirrored():
    assert may_mirror({"label": "red apple", "group": "food-drink"})
    for label, group in (
        ("flag: chile", "flags"),
        ("left arrow", "objects"),
        ("ok button", "objects"),
        ("three o'clock", "travel-places"),
    ):
        assert not may_mirror({"label": label, "group": group})


def test_recoloured_captions_tell_the_truth():
    assert recoloured_label("red apple", "red", "green") == "green apple"
    assert recoloured_label("cat", "orange", "purple") == "purple cat"
    assert recoloured_label("green apple", "red", "blue") is None
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[4:12, 4:12] = (230, 20, 20, 255)
    assert nearest_colour(dominant_hue(picture)) == "red"
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    turned = rotate_hue(image, np.radians(120)) * 255
    assert nearest_colour(dominant_hue(turned[0].permute(1, 2, 0).round().byte().numpy())) == "green"
    assert dominant_hue(np.full((16, 16, 4), 255, np.uint8)) is None


def test_words():
    assert with_article("apple", 0.9) == "an apple" and with_article("cat", 0.9) == "a cat" and with_article("cat", 0.1) == "cat"
    assert reworded("cat", [], [0.5, 0.5]) == "cat" and reworded("cat", ["pet"], [0.0, 0.0]) == "pet"


def test_moves_keep_pixels_and_bounds():
    image = torch.rand(1, 4, 16, 16)
    assert torch.equal(shift(image, 3, -2)[..., 0:14, 3:], image[..., 2:, :-3])
    assert shift(image, 3, 0)[..., :3].abs().max() == 0
    torch.testing.assert_close(scale(image, 1.0), image, rtol=1e-4, atol=1e-5)
    premultiplied = torch.cat([image[:, :3] * image[:, 3:], image[:, 3:]], 1)
    turned = rotate_hue(premultiplied, 2.0)
    assert (turned[:, :3] <= turned[:, 3:] + 1e-6).all() and turned.min() >= 0


def test_a_batch_is_augmented_picture_by_picture():
    image = torch.rand(3, 4, 16, 16)
    image[:, :3] *= image[:, 3:]
    factors, angles = torch.tensor([0.8, 1.0, 1.1]), torch.tensor([0.0, 1.0, 3.0])
    for number in range(3):
        one = image[number : number + 1]
        torch.testing.assert_close(scale(image, factors)[number], scale(one, factors[number].item())[0])
        torch.testing.assert_close(rotate_hue(image, angles)[number], rotate_hue(one, angles[number].item())[0])
    before = image.clone()
    changed = augment(image, step_generator(0, 0))
    assert changed.shape == image.shape and torch.equal(image, before) and not torch.equal(changed, before)
    assert changed.min() >= 0 and (changed[:, :3] <= changed[:, 3:] + 1e-5).all()
    assert torch.equal(changed, augment(image, step_generator(0, 0)))

"""What a seq2seq with a memory reads in training."""

from dataclasses import replace

import numpy as np
import torch

from mvae.config import LatentConfig, Seq2SeqConfig
from mvae.data.dataset import Pictures
from mvae.engine.memory import Caption, Memory
from mvae.engine.pages import small_places
from mvae.engine.palette import Palette
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import TEXT_END, build_seq2seq
from mvae.training.recall import Recall, damaged, read_before_text, with_pictures
from mvae.training.sampling import sample_tokens
from mvae.training.seq2seq_stage import Seq2SeqModule
from tests.training.tiny_source import VAE

LABELS = ["red apple", "red apple", "green apple", "cat", "dog", "pizza"]
STYLES = ["noto", "twemoji", "noto", "noto", "noto", "noto"]
LATENT = LatentConfig(grid=2)
UNKNOWN = LATENT.mask_token


def recall(views: list[int]) -> Recall:
    """Six pictures with three views each, of which ``views`` are true; picture i, view v has tokens from 12 i + 4 v."""
    meta = [{"label": label, "style": style, "tags": []} for label, style in zip(LABELS, STYLES, strict=True)]
    pictures = Pictures(np.zeros((6, 8, 8, 4), np.uint8), LABELS, meta)
    tokens = torch.arange(6 * 3 * 4).view(6, 3, 4)
    memory = Memory.build([Caption(label) for label in LABELS], STYLES, tokens[:, 0].numpy(), "test")
    return Recall(memory, pictures, tokens, [views] * 6, candidates=4, latent=LATENT, progress=False)


def undamaged(drawn: torch.Tensor) -> set[int]:
    """First tokens of the rows [K, P] that are a view as it is."""
    return {row[0] for row in drawn.tolist() if row[0] % 4 == 0 and row == list(range(row[0], row[0] + 4))}


def test_no_view_reads_itself_and_others_are_read_as_they_were_drawn():
    reader = recall([0, 2])
    original, moved = set(), set()
    for seed in range(300):
        drawn, present = reader.draw([0, 0], [0, 2], ["cat", "cat"], 2, 1.0, torch.Generator().manual_seed(seed))
        assert drawn.shape == (2, 2, 4) and present.all()
        original |= undamaged(drawn[0])
        moved |= undamaged(drawn[1])
    assert 12 in original  # the other style of the same concept
    assert original & {0, 4, 8} == {8} and moved & {0, 4, 8} == {0}  # 4 begins a view that is not true
    assert all(first % 12 == 0 for first in (original | moved) - {8})


def test_other_pictures_are_read_nearest_first_most_of_the_time():
    reader = recall([0])
    nearest = reader.tokens[reader.nearest[0][:1], 0]
    drawn = [reader.draw([0], [0], ["cat"], 1, 0.0, torch.Generator().manual_seed(seed))[0][0] for seed in range(600)]
    others = [row for row in drawn if undamaged(row)]
    assert 0.4 < len(others) / len(drawn) < 0.8  # the rest are damaged copies
    assert 0.6 < np.mean([torch.equal(row, nearest) for row in others]) < 0.95


def test_more_than_a_third_of_the_draws_read_something_of_the_picture_itself():
    reader = recall([0, 1, 2])
    drawn = [reader.draw([3], [0], ["cat"], 1, 0.0, torch.Generator().manual_seed(seed))[0][0] for seed in range(600)]
    views = [bool(undamaged(row) & {40, 44}) for row in drawn]
    others = [bool(undamaged(row) - {40, 44}) for row in drawn]
    assert 0.1 < np.mean(views) < 0.25 and 0.4 < np.mean(others) < 0.65
    assert 36 not in set().union(*(undamaged(row) for row in drawn))


def test_a_second_sticker_is_there_now_and_then():
    reader = recall([0])
    draws = [reader.draw([0, 3], [0, 0], ["cat"] * 2, 2, 0.3, torch.Generator().manual_seed(seed)) for seed in range(300)]
    present = torch.cat([present for _, present in draws])
    present = present.any(2)
    assert present[:, 0].all() and 0.2 < present[:, 1].float().mean() < 0.4


def test_named_stickers_stand_in_their_order_and_nothing_else():
    tokens, present = recall([0]).of([(3, 1), (5,), (2, 4, 0)], [(None, None), (None,), (None,) * 3], 2)
    assert tokens[:, :, 0].tolist() == [[36, 12], [60, 0], [24, 48]]
    assert present.all(2).tolist() == present.any(2).tolist() == [[True, True], [True, False], [True, True]]


def test_what_is_drawn_in_another_colour_reads_the_original():
    reader = recall([0, 1, 2])
    drawn = [undamaged(reader.draw([3], [1], ["cat"], 1, 0.0, torch.Generator().manual_seed(seed))[0][0]) for seed in range(300)]
    read = set().union(*drawn)
    assert 36 in read and not read & {40, 44} and all(drawn)  # the original, never a view or a damaged copy
    assert np.mean([row == {36} for row in drawn]) > 0.35


def test_a_damaged_copy_loses_from_one_token_to_nearly_all():
    tokens = torch.arange(40).repeat(500, 1) + 100 * torch.arange(500)[:, None]
    found = damaged(tokens, -1, torch.zeros(500, dtype=torch.bool), torch.Generator().manual_seed(0))
    kept = (found == tokens).float().mean(1)
    assert kept.max() < 1 and kept.max() > 0.9 and kept.min() < 0.1 and 0.3 < kept.mean() < 0.7
    lost = found == -1
    assert ((lost != lost.roll(1, 1)).sum(1) <= 2).all()  # one run, round the end at most
    foreign = (found != tokens) & ~lost
    assert foreign.any() and torch.equal(found[foreign], tokens.roll(1, 0)[foreign])


def test_a_lightly_damaged_copy_has_a_few_wrong_tokens_and_lacks_none():
    tokens = torch.arange(40).repeat(500, 1) + 100 * torch.arange(500)[:, None]
    found = damaged(tokens, -1, torch.ones(500, dtype=torch.bool), torch.Generator().manual_seed(0))
    wrong = found != tokens
    assert (found != -1).all() and torch.equal(found[wrong], tokens.roll(1, 0)[wrong])
    assert wrong.sum(1).min() == 1 and 1 < wrong.float().sum(1).mean() < 5 and wrong.any(0).all()


def test_the_text_keeps_its_place_and_an_absent_memory_does_not_matter():
    config = Seq2SeqConfig(d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64, memory=2)
    ids, mask = torch.tensor([[5, TEXT_END]]), torch.tensor([[1, 1]])
    tokens, other = torch.randint(0, 4096, (2, 1, 2, 64))
    absent, present = torch.zeros(1, 2, 64, dtype=torch.bool), torch.ones(1, 2, 64, dtype=torch.bool)
    read = {name: read_before_text(m, p, ids, mask, config.text_offset)
            for name, m, p in (("a", tokens, absent), ("b", other, absent), ("c", tokens, present), ("d", other, present))}
    assert read["a"][0].shape == (1, 130) and read["c"][0][0, 128:].tolist() == [5 + 4098, TEXT_END + 4098]
    assert read["c"][0].max() < config.rows and read["c"][0][0, 0] == tokens[0, 0, 0]
    torch.manual_seed(0)
    module = Seq2SeqModule(build_seq2seq(config), config).eval()
    target = torch.randint(0, 4096, (1, 64))
    with torch.no_grad():
        loss = {name: module({"tokens": target, "ids": i, "mask": m}) for name, (i, m) in read.items()}
    assert (loss["a"] - loss["b"]).abs().max() < 2e-6 < 2e-5 < (loss["c"] - loss["d"]).abs().max()


def test_one_table_serves_what_is_read_and_what_is_written():
    config = Seq2SeqConfig(d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64, memory=1)
    model = build_seq2seq(config)
    tables = {model.get_encoder().embed_tokens.weight.data_ptr(), model.model.decoder.embed_tokens.weight.data_ptr()}
    assert tables == {model.lm_head.weight.data_ptr()} and len(model.lm_head.weight) == config.rows == 4098 + config.vocabulary
    there = torch.ones(1, 1, 64, dtype=torch.bool)
    ids, mask = read_before_text(torch.zeros(1, 1, 64, dtype=torch.long), there, torch.tensor([[TEXT_END]]),
                                 torch.ones(1, 1, dtype=torch.long), config.text_offset)
    empty = torch.tensor([[TEXT_END]])
    drawn = sample_tokens(model.eval(), config, ids, mask, empty, guidance=2.0, temperature=1.0, seed=0, top_k=1)
    assert torch.equal(drawn, sample_tokens(model, config, ids, mask, empty, guidance=2.0, temperature=1e-4, seed=5))
    assert drawn.max() < config.codebook


def test_pictures_never_trained_on_stand_behind_in_the_memory():
    tokens = torch.arange(6)[:, None].expand(6, 64).numpy()
    memory = Memory.build([Caption(label) for label in LABELS], STYLES, tokens, "test")
    vae = MVAE(VAE).eval()
    pixels = torch.randint(0, 256, (3, VAE.image_size, VAE.image_size, 4), dtype=torch.uint8).numpy()
    metas = [{"label": f"new thing {n}", "style": "noto", "concept": str(n)} for n in range(3)]
    pictures = Pictures(pixels, [meta["label"] for meta in metas], metas)
    larger = with_pictures(memory, pictures, vae)
    assert len(larger) == 9 and (larger.tokens[:6] == memory.tokens).all()
    assert larger.label(int(larger.recall("new thing 1", "noto", 1)[0])) == "new thing 1"
    assert (larger.tokens[6:] == vae.encode_tokens(pictures.batch(range(3))).numpy()).all()


def with_small(views: list[int]) -> Recall:
    """As :func:`recall`; the small copy of picture i has token 100 + i."""
    reader = recall(views)
    reader.small, reader.places = 100 + torch.arange(6)[:, None], torch.from_numpy(small_places(LATENT))
    return reader


def test_the_last_page_shows_small_copies_of_what_a_caption_names():
    tokens, present = with_small([0]).of([(3, 1), (5,)], [(None, None), (None,)], 2)
    assert tokens[:, 0].tolist() == [[36, 37, 38, 39], [60, 61, 62, 63]]
    assert tokens[:, 1].tolist() == [[103, 101, 0, 0], [105, 0, 0, 0]]
    assert present.tolist() == [[[True] * 4, [True, True, False, False]], [[True] * 4, [True, False, False, False]]]


def test_a_small_copy_never_betrays_what_is_missing():
    reader, shown = with_small([0, 1, 2]), 0
    for seed in range(300):
        tokens, present = reader.draw([3, 5], [0, 0], ["cat", "cat"], 2, 0.5, torch.Generator().manual_seed(seed))
        small = tokens[0, 1][present[0, 1]].tolist()
        assert len(set(small)) == len(small)
        if present[0, 1, 0]:  # of the picture itself only where nothing is missing of it
            assert (small[0] == 103 and UNKNOWN not in tokens[0, 0]) or small[0] == 100 + tokens[0, 0, 0].item() // 12
        shown += present[0, 1, 0].item()
        assert not present[0, 1, 2:].any()
    assert 120 < shown < 260


def in_colours() -> Recall:
    """As :func:`with_small`, with a palette that adds 1000 for purple and nothing else."""
    reader = with_small([0])
    table = np.stack([np.arange(4096), np.minimum(np.arange(4096) + 1000, 4095)]).astype(np.uint16)
    reader.palette = Palette(("red", "purple"), table)
    return reader


def test_what_is_named_is_read_in_its_colour():
    tokens, _ = in_colours().of([(3, 1), (5,), (3,)], [(None, "purple"), ("purple",), (None,)], 2)
    assert tokens[:, 0, 0].tolist() == [36, 1060, 36] and tokens[:, 1, :2].tolist() == [[103, 1101], [1105, 0], [103, 0]]


def test_a_label_with_a_colour_reads_its_neighbours_in_that_colour():
    reader, colours = in_colours(), set()
    for seed in range(60):
        tokens, _ = reader.draw([3], [0], ["purple cat"], 2, 0.0, torch.Generator().manual_seed(seed))
        known = [int(token) for token in tokens[0, 0] if token != UNKNOWN]
        colours |= {token >= 1000 for token in known}
        tokens, _ = reader.draw([0], [0], ["red apple"], 2, 0.0, torch.Generator().manual_seed(seed))
        assert all(token < 1000 or token == UNKNOWN for token in tokens[0, 0].tolist())
    assert colours == {True}


def test_the_palette_of_a_run_is_that_of_its_memory():
    memory = Memory.build([Caption(label) for label in LABELS], STYLES, np.zeros((6, 64), int), "test")
    palette = Palette(("red",), np.zeros((1, 4096), np.uint16))
    vae = MVAE(VAE).eval()
    pixels = np.zeros((1, VAE.image_size, VAE.image_size, 4), np.uint8)
    pictures = Pictures(pixels, ["noto new"], [{"label": "new", "style": "noto", "concept": "0"}])
    assert with_pictures(replace(memory, palette=palette), pictures, vae).palette is palette

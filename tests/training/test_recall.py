"""What a seq2seq with a memory reads in training."""

import numpy as np
import torch

from mvae.config import Seq2SeqConfig
from mvae.data.dataset import Pictures
from mvae.engine.memory import Memory
from mvae.models.seq2seq import TEXT_END, build_seq2seq
from mvae.training.recall import Recall, read_before_text
from mvae.training.seq2seq_stage import Seq2SeqModule

LABELS = ["red apple", "red apple", "green apple", "cat", "dog", "pizza"]
STYLES = ["noto", "twemoji", "noto", "noto", "noto", "noto"]


def recall() -> Recall:
    meta = [{"label": label, "style": style, "tags": []} for label, style in zip(LABELS, STYLES, strict=True)]
    pictures = Pictures(np.zeros((6, 8, 8, 4), np.uint8), LABELS, meta)
    tokens = torch.arange(6 * 2 * 4).view(6, 2, 4)
    memory = Memory.build(LABELS, [[]] * 6, STYLES, tokens[:, 0].numpy(), "test")
    return Recall(memory, pictures, tokens, candidates=4, progress=False)


def test_a_picture_never_reads_itself_but_its_recoloured_view_may():
    reader = recall()
    own, recoloured = set(), set()
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        drawn = reader.draw([0, 0], [0, 1], 2, generator)
        assert drawn.shape == (2, 2, 4)
        own |= set(drawn[0, :, 0].tolist())
        recoloured |= set(drawn[1, :, 0].tolist())
    assert 0 not in own and 8 in own  # token 8 begins the other style of the same concept
    assert 0 in recoloured
    assert all(first % 8 == 0 for first in own | recoloured)  # pictures as they were drawn, never views of them


def test_most_draws_read_the_nearest_and_some_do_not():
    reader = recall()
    nearest = reader.tokens[reader.nearest[0][:2], 0]
    same = [
        torch.equal(reader.draw([0], [0], 2, torch.Generator().manual_seed(seed))[0], nearest) for seed in range(300)
    ]
    assert 0.6 < np.mean(same) < 0.9


def test_the_text_keeps_its_place_and_an_absent_memory_does_not_matter():
    config = Seq2SeqConfig(d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64, memory=2)
    ids, mask = torch.tensor([[5, TEXT_END]]), torch.tensor([[1, 1]])
    tokens, other = torch.randint(0, 4096, (2, 1, 2, 64))
    absent, present = torch.tensor([False]), torch.tensor([True])
    read = {name: read_before_text(m, p, ids, mask, config.vocabulary)
            for name, m, p in (("a", tokens, absent), ("b", other, absent), ("c", tokens, present), ("d", other, present))}
    assert read["a"][0].shape == (1, 130) and read["c"][0][0, 128:].tolist() == [5, TEXT_END]
    assert read["c"][0].max() < config.rows and read["c"][0][0, 0] == tokens[0, 0, 0] + 4100
    torch.manual_seed(0)
    module = Seq2SeqModule(build_seq2seq(config), config).eval()
    target = torch.randint(0, 4096, (1, 64))
    with torch.no_grad():
        loss = {name: module({"tokens": target, "ids": i, "mask": m}) for name, (i, m) in read.items()}
    assert (loss["a"] - loss["b"]).abs().max() < 2e-6 < 2e-5 < (loss["c"] - loss["d"]).abs().max()

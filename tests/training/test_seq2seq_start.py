"""Where a seq2seq begins: what its first weights already know."""

from itertools import pairwise

import torch

from mvae.config import LatentConfig, Seq2SeqConfig
from mvae.models.seq2seq import TEXT_END, build_seq2seq
from mvae.models.seq2seq_start import TABLE_SCALE, begin, coordinate_rows
from mvae.training.recall import read_before_text

LATENT = LatentConfig(grid=6, levels=4, coordinates=3)


def test_rows_of_near_tokens_are_near():
    torch.manual_seed(0)
    rows = coordinate_rows(LATENT, 64)
    assert rows.shape == (64, 64) and abs(rows.std() - TABLE_SCALE) < 1e-4
    digits = torch.stack([(torch.arange(64) // 4**c) % 4 for c in range(3)], 1)
    apart = (digits[:, None] - digits[None]).abs().sum(-1)
    distance = torch.cdist(rows, rows)
    means = [distance[apart == steps].mean() for steps in range(5)]
    assert means[0] < 1e-3 and all(a < b for a, b in pairwise(means))


def test_the_first_head_reads_the_place_that_is_written():
    torch.manual_seed(0)
    config = Seq2SeqConfig(
        codebook=64, positions=36, d_model=96, encoder_layers=1, decoder_layers=2, heads=2, feed_forward=64, memory=1
    )
    model = build_seq2seq(config).eval()
    begin(model, config, LATENT)
    model.set_attn_implementation("eager")
    memory, text = torch.randint(0, 64, (8, 1, 36)), torch.tensor([[5, TEXT_END]]).repeat(8, 1)
    there = torch.ones_like(memory, dtype=torch.bool)
    ids, mask = read_before_text(memory, there, text, torch.ones_like(text), config.text_offset)
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.randint(0, 64, (8, 36)), output_attentions=True)
    for layer in out.cross_attentions:
        aligned, other = layer[..., :36].mean(0)
        hit = (aligned.argmax(-1) - torch.arange(36)).abs() <= 1
        assert hit.float().mean() > 0.75 and aligned.diagonal().mean() > 3 * other.diagonal().mean()


def test_without_a_memory_only_the_table_changes():
    config = Seq2SeqConfig(codebook=64, positions=36, d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64)
    model = build_seq2seq(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    begin(model, config, LATENT)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"model.decoder.embed_tokens.weight", "lm_head.weight"}

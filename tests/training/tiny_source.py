"""Random weights for export tests, and the entry that the runtime tests load.

    python -m tests.training.tiny_source     writes tests/data/tiny-zoo/tiny and tests/data/memory-zoo/tiny-memory again
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from export.source import Source, round_to_half
from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.engine.memory import Caption, Memory
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import build_seq2seq

ENTRY = Path(__file__).resolve().parents[1] / "data" / "tiny-zoo" / "tiny"
MEMORY_ENTRY = ENTRY.parents[1] / "memory-zoo" / "tiny-memory"
VAE = VaeConfig(image_size=64, patch=4, levels=4, latent_id="test", encoder_widths=(8, 12), encoder_blocks=(1, 1),
                decoder_widths=(12, 8), decoder_blocks=(1, 1))
SEQ2SEQ = Seq2SeqConfig(vocabulary=260, codebook=256, d_model=32, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=64)


LABELS = ("red apple", "green apple", "blue car", "smiling cat")


def tiny_memory(small_copies: bool = False) -> Memory:
    """Four stickers of random tokens, with small copies if they are wanted."""
    draw, places = np.random.default_rng(0), VAE.latent.positions
    tokens, small = (draw.integers(0, VAE.latent.codebook, (len(LABELS), count)) for count in (places, places // 4))
    captions, styles = [Caption(label) for label in LABELS], ["noto", "twemoji", "noto", "noto"]
    return Memory.build(captions, styles, tokens, VAE.latent_id, small if small_copies else None)


def tiny_source(seed: int = 0, memory: int = 0, learned_positions: bool = False, small_copies: bool = False) -> Source:
    """Tiny models whose every layer differs and matters: fresh ones hide mistakes, being half zeros and half alike."""
    torch.manual_seed(seed)
    config = replace(SEQ2SEQ, memory=memory, learned_positions=learned_positions, small_copies=small_copies)
    vae, seq2seq = MVAE(VAE), build_seq2seq(config)
    with torch.no_grad():
        for parameter in [*vae.parameters(), *seq2seq.parameters()]:
            if parameter.requires_grad and parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter)).add_(0.5 * (parameter.mean() > 0.5))
            elif parameter.requires_grad and parameter.ndim == 2:
                parameter.mul_(4)
        vae.encoder.head.weight.mul_(3)
        vae.decoder.tail[3].weight.mul_(2)
        for _ in range(20):  # give BatchNorm statistics of something
            vae.decoder(vae.latents_from_tokens(torch.randint(0, VAE.latent.codebook, (8, 64))))
            vae.encoder(torch.rand(8, 4, VAE.image_size, VAE.image_size))
    training = {"recipe": {"name": "tiny"}, "note": "random weights, for tests"}
    name = "tiny-memory" if memory else "tiny"
    return Source(name, round_to_half(vae), round_to_half(seq2seq), tiny_tokenizer(), training, "Apache-2.0",
                  ("nothing: the weights are random",), memory=tiny_memory(small_copies).to_bytes() if memory else None)


def tiny_tokenizer() -> bytes:
    """A byte-level tokenizer as ``mvae.training.text`` makes them, with an alphabet and hardly any merges."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=SEQ2SEQ.vocabulary, special_tokens=["<pad>", "<eos>", "<unk>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(["red apple"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return tokenizer.to_str(pretty=True).encode()


def main() -> None:
    from export.entry import build_entry

    torch.set_num_threads(1)
    say = {"say": lambda line: print(line, file=sys.stderr)}
    made = [
        build_entry(tiny_source(), ENTRY, **say),
        build_entry(tiny_source(memory=2, small_copies=True), MEMORY_ENTRY, levels=("int8",), **say),
    ]
    print(json.dumps([report.to_dict() for report in made]))


if __name__ == "__main__":
    main()

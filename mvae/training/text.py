"""The tokenizer: a byte-level BPE trained on the captions. Bytes are its alphabet, so no prompt can fail to be read."""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from mvae.config import STYLES, TEXT_MAX_TOKENS, caption
from mvae.data.dataset import Pictures
from mvae.files import write_atomic
from mvae.models.seq2seq import TEXT_END, TEXT_PAD

SPECIALS = ["<pad>", "<eos>", "<unk>"]


def train_tokenizer(pictures: Pictures, vocabulary: int) -> Tokenizer:
    """Learn at most ``vocabulary`` pieces from labels, tags and style words, and once for each concept from its words in other
    languages; text is NFKC-normalised and lower-cased."""
    lines = []
    for text, meta in zip(pictures.captions, pictures.meta, strict=True):
        lines += [text, meta.get("label", text), *meta.get("tags", [])]
    concepts = {meta.get("concept"): meta.get("names", {}) for meta in pictures.meta}
    lines += [word for names in concepts.values() for said in names.values() for word in said]
    return label_tokenizer(lines + [caption("a", style) for style in STYLES] * 50, vocabulary)


def label_tokenizer(lines: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn at most ``vocabulary`` pieces from lines of text, of which 259 are the marks and the bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", TEXT_END)])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write ``tokenizer.json`` atomically."""
    write_atomic(path, tokenizer.to_str(pretty=True).encode())


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Texts → (ids, mask), int64 [B, T] padded to the longest; the empty text is the end mark alone."""
    tokenizer.encode_special_tokens = True  # "<eos>" in a caption is five characters like any others, as in the engine
    rows = [tokenizer.encode(text).ids[: TEXT_MAX_TOKENS - 1] if text else [] for text in texts]
    rows = [[i for i in row if i != TEXT_END] + [TEXT_END] for row in rows]
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), TEXT_PAD)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids, mask

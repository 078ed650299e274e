"""Beginning with the weights of an earlier seq2seq that read other pieces of text, or another number of stickers."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import MarianConfig, MarianMTModel

from mvae.config import Seq2SeqConfig
from mvae.errors import DataError
from mvae.models.seq2seq import from_marian, marian_config
from mvae.training.checkpoint import load_weights

_CONSTANT = "embed_positions.weight"
"""Sinusoids: as many as the encoder reads, and never learned."""


def stored_seq2seq(folder: Path, config: Seq2SeqConfig) -> MarianMTModel:
    """The seq2seq of a zoo entry, of any width, that reads and writes the same ids as one of ``config``.

    Raises :class:`DataError` where it is missing or its ids are others.
    """
    stored, wanted = _stored_config(folder), marian_config(config)
    names = ("vocab_size", "decoder_vocab_size", "max_position_embeddings", "memory", "text_offset", "small_copies")
    pairs = {name: (getattr(stored, name, None), getattr(wanted, name, None)) for name in names}
    if differ := {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}:
        raise DataError(f"{folder}: its seq2seq has other ids: {differ} (got, expected)")
    return _filled(stored, folder)


def any_stored_seq2seq(folder: Path) -> MarianMTModel:
    """The seq2seq of a zoo entry, whatever it reads and writes. Raises :class:`DataError` where it is missing."""
    return _filled(_stored_config(folder), folder)


def _stored_config(folder: Path) -> MarianConfig:
    try:
        return MarianConfig.from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'config.json'}: not the configuration of a seq2seq ({error})") from None


def _filled(config: MarianConfig, folder: Path) -> MarianMTModel:
    model = from_marian(config)
    load_weights(model, folder / "model.safetensors")
    return model


def begin_with(model: MarianMTModel, config: Seq2SeqConfig, tokenizer: Tokenizer, start: Path) -> int:
    """Copy the weights in ``start`` (a run or an entry) into ``model``; text pieces are matched by their spelling, those that the
    earlier tokenizer did not know stay as they are. Returns how many were matched.

    Raises :class:`DataError` where a file is missing, the widths differ, or one of the two has no memory.
    """
    try:
        weights = {name: tensor.float() for name, tensor in load_file(start / "model.safetensors").items()}
        before = Tokenizer.from_file(str(start / "tokenizer.json")).get_vocab(with_added_tokens=True)
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{start}: cannot be begun with ({error})") from None
    except Exception as error:  # the tokenizers' binding raises bare Exception
        raise DataError(f"{start / 'tokenizer.json'}: not a tokenizer ({error})") from None
    if not config.memory:
        raise DataError(f"{start}: to begin with other text pieces needs a model with a memory, whose one table holds them")
    own, known = model.state_dict(), tokenizer.get_vocab(with_added_tokens=True)
    pairs = [(known[piece], before[piece]) for piece in known if piece in before]
    with torch.no_grad():
        for name, tensor in weights.items():
            if name.endswith(_CONSTANT) and not config.learned_positions:
                continue
            if name not in own:
                raise DataError(f"{start}: holds {name}, which the model does not know")
            there = own[name]
            if len(there) == config.rows and there.shape[1:] == tensor.shape[1:] and len(tensor) > config.text_offset:
                there[: config.text_offset] = tensor[: config.text_offset]
                for new, old in pairs:
                    there[config.text_offset + new] = tensor[config.text_offset + old]
            elif there.shape == tensor.shape:
                there.copy_(tensor)
            else:
                raise DataError(f"{start}: {name} is {tuple(tensor.shape)}; expected {tuple(there.shape)}")
    return len(pairs)

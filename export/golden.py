"""``golden.npz``: fixed inputs of an entry and what every level answers, replayed by the tests, the server and the browser.

| name | shape | |
|---|---|---|
| prompts | [Q] | texts; the last one is empty, the text of classifier-free guidance |
| text_ids, text_mask | int64 [Q, T] | |
| image | uint8 [N, S, S, 4] | straight alpha |
| decode_tokens | int64 [N, P] | tokens of the images; of the first only the upper half, the rest is the mask token |
| LEVEL/first_logits | float32 [Q, V] | logits after the start mark |
| LEVEL/tokens | int64 [Q, P] | most likely token after token, no guidance |
| LEVEL/image_tokens, LEVEL/mean | int64 [N, P], float32 [N, C, h, w] | |
| LEVEL/decoded | uint8 [N, S, S, 4] | |

float answers may differ in the last digits from one processor to another, and where two tokens are almost equally likely so may
a token and all that follow it; int8 rounds a little differently on processors without 8-bit dot products.
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from export.calibration import decoder_inputs, with_unknown
from export.sessions import Level
from export.source import Source
from mvae.engine.memory import Memory
from mvae.errors import DataError, ExportError
from mvae.training.recall import read_before_text, recalled
from mvae.training.text import encode_texts

PROMPTS = ("red apple", "noto smiling cat face with heart-eyes", "fluent-3d blue car", "")
IMAGES = 3
INPUTS = ("prompts", "text_ids", "text_mask", "image", "decode_tokens")
Arrays = dict[str, np.ndarray]


def golden_inputs(source: Source, pictures: np.ndarray) -> Arrays:
    """Inputs for an entry that has none yet; ``pictures`` uint8 [N, S, S, 4]."""
    ids, mask = _read(source)
    image = pictures[:: max(1, len(pictures) // IMAGES)][:IMAGES]
    tokens = decoder_inputs(source.vae, image)
    return {"prompts": np.array(PROMPTS), "text_ids": ids.numpy(), "text_mask": mask.numpy(), "image": image,
            "decode_tokens": with_unknown(tokens, source.vae.config.latent, every=IMAGES)}


def _read(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of the prompts; with a memory, what is recalled for each stands before its text."""
    ids, mask = encode_texts(Tokenizer.from_str(source.tokenizer.decode()), list(PROMPTS))
    if source.memory is None:
        return ids, mask
    asked = [(prompt, None, ()) for prompt in PROMPTS]
    config = source.seq2seq.config
    tokens, present = recalled(
        Memory.from_bytes(source.memory), asked, config.memory, source.vae.config.latent, getattr(config, "small_copies", False)
    )
    present &= torch.tensor([bool(prompt) for prompt in PROMPTS])[:, None, None]
    return read_before_text(tokens, present, ids, mask, config.text_offset)


def golden_answers(inputs: Arrays, level: Level, source: Source) -> Arrays:
    """What one level answers, by the names of the table above without ``LEVEL/``."""
    config, latent = source.seq2seq.config, source.vae.config.latent
    hidden = level.hidden(inputs["text_ids"], inputs["text_mask"])
    start = np.full((len(hidden), 1), config.decoder_start_token_id, np.int64)
    encoded = level.encode(inputs["image"])
    return {
        "first_logits": level.forced(hidden, inputs["text_mask"], start)[:, 0],
        "tokens": level.greedy(hidden, inputs["text_mask"], config.decoder_start_token_id, latent.codebook, latent.positions),
        "image_tokens": encoded["tokens"],
        "mean": encoded["mean"],
        "decoded": level.decode(inputs["decode_tokens"]),
    }


def write_golden(path: Path, inputs: Arrays, answers: dict[str, Arrays]) -> None:
    """Store inputs and the answers of every level. The file's bytes depend on the arrays alone."""
    named = {f"{level}/{name}": value for level, found in answers.items() for name, value in found.items()}
    np.savez_compressed(path, **inputs, **named)


def read_golden(path: Path) -> tuple[Arrays, dict[str, Arrays]]:
    """``(inputs, answers by level)``. Raises :class:`DataError` for anything that is not a golden file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path}: not a golden file ({error})") from None
    missing = [name for name in INPUTS if name not in stored]
    if missing:
        raise DataError(f"{path}: has no {missing}; expected {list(INPUTS)}")
    answers: dict[str, Arrays] = {}
    for name, value in stored.items():
        level, slash, what = name.partition("/")
        if slash:
            answers.setdefault(level, {})[what] = value
    return {name: stored[name] for name in INPUTS}, answers


def compare_golden(expected: dict[str, Arrays], got: dict[str, Arrays]) -> None:
    """Check that graphs made again answer as those before did, up to what processors differ in.

    Raises :class:`ExportError` naming level, output, difference and limit.
    """
    for level in expected.keys() & got.keys():
        limit = 0.1 if level == "int8" else 1e-3
        for name in ("first_logits", "mean"):
            before, after = expected[level][name], got[level][name]
            difference = float(np.sqrt(np.mean((after - before) ** 2)) / max(float(before.std()), 1e-6))
            if not difference <= limit:
                raise ExportError(f"{level}/{name}: differs from the golden answer by {difference:.3g} of its spread, "
                                  f"expected at most {limit}")
        before, after = (found[level]["decoded"].astype(np.int16) for found in (expected, got))
        difference, limit = float(np.abs(after - before).mean()), 1.0 if level == "int8" else 0.01
        if not difference <= limit:
            raise ExportError(f"{level}/decoded: differs by {difference:.3g} levels of 255 on average, expected at most {limit}")

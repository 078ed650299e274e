"""What the arms of the memory study are asked to draw, and how it is scored."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm
from transformers import MarianMTModel

from mvae.config import LatentConfig, Seq2SeqConfig, caption
from mvae.data.captions import HUES, dominant_hue, may_recolour, nearest_colour, recoloured_label
from mvae.data.dataset import Pictures, rotate_hue
from mvae.engine.memory import Memory
from mvae.engine.options import Options
from mvae.evaluate.ceilings import hits, recognition
from mvae.evaluate.judge import Judge
from mvae.evaluate.through_tokens import tokens_of
from mvae.models.export_wrappers import DecoderGraph
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import TEXT_END
from mvae.training.recall import caption_of, read_before_text, recalled
from mvae.training.sampling import sample_tokens
from mvae.training.text import encode_texts

BATCH = 64


@dataclass(frozen=True)
class Asked:
    """One sticker to draw, and what it should show."""

    words: str
    style: str
    concept: str
    hidden: int | None = None
    """Sticker of the memory that must not be recalled: the very drawing asked for, where the concept was never trained on."""
    colour: str | None = None


@dataclass
class Set:
    """Stickers asked for under one heading, with the real drawings that they are held against."""

    name: str
    asked: list[Asked]
    real: Tensor
    """Premultiplied float [N, 4, S, S]."""
    memory: Memory | None = field(default=None, repr=False)


def choose(pictures: Pictures, count: int, seed: int) -> list[int]:
    """``count`` pictures, or all, in an order fixed by ``seed``."""
    return np.random.default_rng(seed).permutation(len(pictures))[:count].tolist()


def trained(pictures: Pictures, memory: Memory, count: int, seed: int = 0) -> Set:
    """Captions and styles that were trained on; the memory holds the very drawings."""
    chosen = choose(pictures, count, seed)
    metas = [pictures.meta[i] for i in chosen]
    return Set("trained", [Asked(m["label"], m["style"], m["concept"]) for m in metas], pictures.batch(chosen), memory)


def left_out(unseen: Pictures, vae: MVAE, memory: Memory, count: int, seed: int = 0) -> Set:
    """Concepts that were never trained on, whose drawings in the *other* styles are in the memory."""
    metas, known = unseen.meta, len(memory)
    larger = memory.with_stickers([caption_of(m) for m in metas], [m["style"] for m in metas], tokens_of(vae, unseen).numpy())
    chosen = choose(unseen, count, seed)
    asked = [Asked(metas[i]["label"], metas[i]["style"], metas[i]["concept"], hidden=known + i) for i in chosen]
    return Set("never seen, other styles in the memory", asked, unseen.batch(chosen), larger)


def recoloured(pictures: Pictures, memory: Memory, count: int, seed: int = 0) -> Set:
    """Trained objects in a colour that they were not drawn in; held against the real drawings, recoloured."""
    asked, real = [], []
    generator = np.random.default_rng(seed)
    for i in choose(pictures, len(pictures), seed):
        meta = pictures.meta[i]
        hue = dominant_hue(pictures.pixels[i]) if may_recolour(meta) else None
        if hue is None:
            continue
        old = nearest_colour(hue)
        new = str(generator.choice([word for word in HUES if word != old]))
        words = recoloured_label(meta["label"], old, new)
        if words is None:
            continue
        asked.append(Asked(words, meta["style"], meta["concept"], colour=new))
        real.append(rotate_hue(pictures.batch([i]), math.radians(HUES[new] - hue)))
        if len(asked) == count:
            break
    return Set("colour × object", asked, torch.cat(real), memory)


def draw(
    model: MarianMTModel, config: Seq2SeqConfig, tokenizer: Tokenizer, latent: LatentConfig, asked: Set,
    guidance: float | None = None, seed: int = 0,
) -> Tensor:
    """Tokens int64 [N, positions] with the product's own sampling options, but for ``guidance`` where it is given."""
    options, found = Options.usual(config.memory), []
    guidance = options.guidance if guidance is None else guidance
    for start in tqdm(range(0, len(asked.asked), BATCH), desc=asked.name, leave=False):
        part = asked.asked[start : start + BATCH]
        ids, mask = encode_texts(tokenizer, [caption(a.words, a.style) for a in part])
        if config.memory:
            wanted = [(a.words, a.style, () if a.hidden is None else (a.hidden,)) for a in part]
            pages = recalled(asked.memory, wanted, config.memory, latent, config.small_copies)
            ids, mask = read_before_text(*pages, ids, mask, config.text_offset)
        found.append(sample_tokens(
            model, config, ids, mask, torch.tensor([[TEXT_END]]), guidance=guidance, temperature=options.temperature,
            top_k=min(options.top_k, config.codebook), seed=seed + start,
        ))
    return torch.cat(found)


def decode(vae: MVAE, tokens: Tensor) -> np.ndarray:
    """uint8 straight-alpha stickers [N, S, S, 4], as the exported decoder gives them."""
    graph = DecoderGraph(vae)
    with torch.no_grad():
        return np.concatenate([graph(part).numpy() for part in tokens.split(BATCH)])


def score(judge: Judge, stickers: np.ndarray, asked: list[Asked]) -> dict[str, float]:
    """Shares 0 … 1: ``object`` and ``object_5``, named first or among five by the judge; ``colour``: of the wanted hue."""
    ranks, _ = recognition(judge, stickers, np.array([a.concept for a in asked]))
    found = {"object": hits(ranks, 1), "object_5": hits(ranks, 5)}
    if all(a.colour for a in asked):
        hues = [dominant_hue(np.asarray(Image.fromarray(sticker).convert("RGBa"))) for sticker in stickers]
        found["colour"] = float(np.mean(
            [hue is not None and nearest_colour(hue) == a.colour for hue, a in zip(hues, asked, strict=True)]
        ))
    return found

"""The memory in training: for every picture the stickers whose captions lie nearest, other views or damaged copies of it, never
the picture itself."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mvae.data.dataset import Pictures
from mvae.engine.memory import Caption, Memory
from mvae.models.mvae import MVAE

BATCH = 64
FIRST_CHOICE = 0.7
"""Share of draws that read the nearest stickers, as in use; the rest reads any of the candidates, against blind trust."""
OWN_SHARE = 0.6
"""Share of draws that may read something of the very picture: a damaged copy, or another view."""
DAMAGED_SHARE = 0.6
"""Share of these that read a damaged copy, where the picture is to be drawn as it is. A view, above all a recoloured one, reads
the original: that is what the memory holds when "purple cat" is asked for."""


class Recall:
    """Draws what the encoder reads beside each caption.

    No picture ever reads itself: it would be copied, and nothing learned. Instead it may read another view of itself (a
    mirrored, moved or recoloured view the original, and the other way round), which teaches redrawing, or a damaged copy, which
    teaches to keep what fits together and to draw the rest anew.
    """

    def __init__(
        self, memory: Memory, pictures: Pictures, tokens: Tensor, views: list[list[int]], candidates: int, unknown: int,
        progress: bool = True,
    ):
        """``tokens``: int64 [N, V, P] of every view; ``views``: those of each picture that are true; ``memory`` holds the N
        pictures themselves, in their order; ``unknown``: the token that stands for one not known."""
        self.tokens, self.views, self.unknown = tokens, views, unknown
        labels = [meta["label"] for meta in pictures.meta]
        styles = [meta.get("style") or None for meta in pictures.meta]
        bar = tqdm(range(len(pictures)), desc="memory", disable=not progress)
        self.nearest = [memory.nearest(labels[i], styles[i], candidates, exclude=[i]).tolist() for i in bar]

    def draw(
        self, index: list[int], views: list[int], count: int, distracted: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """What is read beside each of B views: tokens int64 [B, count, P], and which are there, bool [B, count].

        One sticker, and with the chance ``distracted`` a second one that the caption does not speak of.
        """
        read: list[list[tuple[int, int]]] = []
        draws = torch.rand(len(index), 5, generator=generator).tolist()
        for picture, view, draw in zip(index, views, draws, strict=True):
            known = [(other, 0) for other in self.nearest[picture]]
            others = [other for other in self.views[picture] if other != view]
            if draw[0] < OWN_SHARE:
                other_view = view == 0 and others and draw[3] >= DAMAGED_SHARE
                own = others[int(draw[1] * len(others))] if other_view else 0
                known.insert(0, (picture, own))
            if draw[2] >= FIRST_CHOICE:
                known = [known[place] for place in torch.randperm(len(known), generator=generator).tolist()]
            read.append(known[:count])
        present = torch.zeros(len(index), count, dtype=torch.bool)
        present[:, 0] = True
        if count > 1:
            present[:, 1] = torch.tensor([draw[4] < distracted for draw in draws])
        chosen = torch.tensor(read)
        drawn = self.tokens[chosen[..., 0], chosen[..., 1]]
        copied = (chosen == torch.tensor([*zip(index, views, strict=True)])[:, None]).all(-1, keepdim=True)
        return torch.where(copied, damaged(drawn.flatten(0, 1), self.unknown, generator).view_as(drawn), drawn), present

    def of(self, named: list[tuple[int, ...]], count: int) -> tuple[Tensor, Tensor]:
        """The stickers that captions name, in their order: as :meth:`draw`."""
        tokens = torch.zeros(len(named), count, self.tokens.shape[2], dtype=self.tokens.dtype)
        present = torch.zeros(len(named), count, dtype=torch.bool)
        for row, pictures in enumerate(named):
            for place, picture in enumerate(pictures[:count]):
                tokens[row, place], present[row, place] = self.tokens[picture, 0], True
        return tokens, present


def damaged(tokens: Tensor, unknown: int, generator: torch.Generator) -> Tensor:
    """int64 [B, P] with a run of each row's tokens unknown and a share of them another row's; at least one token is lost.

    How much is lost differs from row to row, from a little to nearly everything.
    """
    count, places = tokens.shape
    draws = torch.rand(count, 4, generator=generator)
    place = torch.arange(places)
    start = (draws[:, :1] * places).long()
    length = 1 + (draws[:, 1:2] ** 2 * (places - 1)).long()
    gone = (place - start) % places < length
    foreign = torch.rand(tokens.shape, generator=generator) < draws[:, 2:3] * draws[:, 3:4]
    return torch.where(gone, unknown, torch.where(foreign, tokens.roll(1, 0), tokens))


def memory_of(metas: Sequence[dict], tokens: Tensor, latent_id: str) -> Memory:
    """Every picture by its caption. ``metas``: N samples' fields; ``tokens``: int64 [N, P]."""
    captions = [caption_of(meta) for meta in metas]
    return Memory.build(captions, [meta.get("style") or "" for meta in metas], tokens.numpy(), latent_id)


@torch.no_grad()
def with_pictures(memory: Memory, pictures: Pictures, vae: MVAE) -> Memory:
    """``memory`` and more pictures behind: what was never trained on can still be read, and redrawn."""
    device = next(vae.parameters()).device
    parts = [range(start, min(start + BATCH, len(pictures))) for start in range(0, len(pictures), BATCH)]
    tokens = torch.cat([vae.encode_tokens(pictures.batch(part, device)).cpu() for part in parts])
    metas = pictures.meta
    return memory.with_stickers([caption_of(meta) for meta in metas], [meta.get("style") or "" for meta in metas], tokens.numpy())


def caption_of(meta: dict) -> Caption:
    """What a sample is found by: its label, tags and labels in other languages."""
    names = dict.fromkeys(said[0] for said in meta.get("names", {}).values())
    return Caption(meta["label"], tuple(meta.get("tags", ())), tuple(name for name in names if name != meta["label"]))


def recalled(
    memory: Memory, asked: Sequence[tuple[str, str | None, Collection[int]]], count: int
) -> tuple[Tensor, Tensor]:
    """What is read beside each of B prompts, as the engine recalls it: int64 [B, count, P], and which are there, bool [B, count].

    ``asked``: prompt, style, and stickers that must not be recalled.
    """
    tokens = torch.zeros(len(asked), count, memory.tokens.shape[1], dtype=torch.int64)
    present = torch.zeros(len(asked), count, dtype=torch.bool)
    for row, (prompt, style, hidden) in enumerate(asked):
        found = memory.recall(prompt, style, count, exclude=hidden)
        tokens[row, : len(found)] = torch.from_numpy(memory.tokens[found].astype(np.int64))
        present[row, : len(found)] = True
    return tokens, present


def read_before_text(memory: Tensor, present: Tensor, ids: Tensor, mask: Tensor, text_offset: int) -> tuple[Tensor, Tensor]:
    """What the encoder reads: tokens [B, K, P], then the text's ids [B, T] moved by ``text_offset``; masks likewise.

    ``present`` bool [B, K]: what is not there is masked, never left out, so that the text keeps its place.
    """
    seen = memory.flatten(1)
    there = present.repeat_interleave(memory.shape[2], 1)
    return torch.cat([torch.where(there, seen, 0), ids + text_offset], 1), torch.cat([there.to(mask.dtype), mask], 1)

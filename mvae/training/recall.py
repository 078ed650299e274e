"""The memory in training: for every picture the stickers whose captions lie nearest, other views or damaged copies of it, never
the picture itself."""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from mvae.config import LatentConfig, recalled_at_most
from mvae.data.dataset import Pictures
from mvae.engine.caption_index import words_of
from mvae.engine.memory import Caption, Memory
from mvae.engine.pages import lay_out, small_page, small_places
from mvae.engine.palette import Palette, colours_asked, named_colours
from mvae.models.mvae import MVAE

BATCH = 64
LIGHT = 0.5
"""Share of damaged copies of which only a few tokens are wrong and none is missing: what is asked for as it is in the memory is
to be drawn as it is there, and a place that is not known must not be the only sign of that."""
FIRST_CHOICE = 0.7
"""Share of draws that read the nearest stickers, as in use; the rest reads any of the candidates, against blind trust."""
OWN_SHARE = 0.6
"""Share of draws that may read something of the very picture: a damaged copy, or another view."""
DAMAGED_SHARE = 0.6
"""Share of these that read a damaged copy, where the picture is to be drawn as it is. A view, above all a recoloured one, reads
the original: that is what the memory holds when "purple cat" is asked for."""


class Recall:
    """Draws what the encoder reads beside each caption.

    Pages are those of :mod:`mvae.engine.pages`. With small copies the last page shows what the first one holds, and now and then
    a sticker that the caption does not speak of. Of another view, or a copy that lacks places, there is none: it would betray it.

    No picture ever reads itself: it would be copied, and nothing learned. Instead it may read another view of itself (a
    mirrored, moved or recoloured view the original, and the other way round), which teaches redrawing, or a damaged copy, which
    teaches to keep what fits together and to draw the rest anew. Where the memory has a palette, a colour asked for is read.
    """

    def __init__(
        self, memory: Memory, pictures: Pictures, tokens: Tensor, views: list[list[int]], candidates: int, latent: LatentConfig,
        progress: bool = True,
    ):
        """``tokens``: int64 [N, V, P] of every view; ``views``: those of each picture that are true; ``memory`` holds the N
        pictures themselves, in their order."""
        self.tokens, self.views, self.unknown = tokens, views, latent.mask_token
        self.small = self.places = None
        if memory.small is not None:
            self.small, self.places = torch.from_numpy(memory.small.astype(np.int64)), torch.from_numpy(small_places(latent))
        labels = [meta["label"] for meta in pictures.meta]
        styles = [meta.get("style") or None for meta in pictures.meta]
        bar = tqdm(range(len(pictures)), desc="memory", disable=not progress)
        self.palette = memory.palette
        self.words = [words_of(meta["label"]) for meta in pictures.meta]
        self.nearest = [memory.nearest(labels[i], styles[i], candidates, exclude=[i]).tolist() for i in bar]

    def draw(
        self, index: list[int], views: list[int], labels: list[str], count: int, distracted: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """What is read beside each of B views on ``count`` pages: tokens int64 [B, count, P], and which are there, bool likewise.

        ``labels``: what the views show. One sticker, and with the chance ``distracted`` a second one that the caption does not
        speak of.
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
            read.append(known[: max(2, count)])
        chosen = torch.tensor(read)
        further = torch.tensor([draw[4] < distracted for draw in draws])
        copied = (chosen == torch.tensor([*zip(index, views, strict=True)])[:, None]).all(-1)
        wholes = count if self.small is None else count - 1
        colours = [self._colours(label, row) for label, row in zip(labels, chosen[:, :2, 0].tolist(), strict=True)]
        drawn = recoloured(self.palette, self.tokens[chosen[:, :wholes, 0], chosen[:, :wholes, 1]], colours)
        light = torch.rand(copied.shape, generator=generator) < LIGHT
        spoilt = damaged(drawn.flatten(0, 1), self.unknown, light[:, :wholes].flatten(), generator).view_as(drawn)
        drawn = torch.where(copied[:, :wholes, None], spoilt, drawn)
        present = torch.zeros(len(index), wholes, dtype=torch.bool)
        present[:, 0] = True
        if wholes > 1:
            present[:, 1] = further
        if self.small is None:
            return drawn, present[..., None].repeat(1, 1, drawn.shape[2])
        plain = (chosen[..., 1] == 0) & ((chosen[..., 0] != torch.tensor(index)[:, None]) | (copied & light))
        shown = plain[:, :2] & torch.stack([plain[:, 0], further], 1)
        return self._with_small(drawn, present, chosen[:, :2, 0], colours, shown)

    def _colours(self, label: str, pictures: list[int]) -> list[str | None]:
        """In which colour a label, which names one thing, asks for each of the pictures that may be read for it."""
        asked = words_of(label)
        named = [] if self.palette is None else named_colours(asked, self.palette.words)
        if not any(named):
            return [None] * len(pictures)
        return [colours_asked(asked, named, [self.words[picture]], [len(asked) - 1])[0] for picture in pictures]

    def _with_small(
        self, wholes: Tensor, present: Tensor, pictures: Tensor, colours: list[list[str | None]], small: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Pages [B, K, P], of which ``present`` [B, K] are there, then a page of small copies: those of ``pictures`` [B, 2], in
        their ``colours``, that are ``small``."""
        page = torch.zeros(len(wholes), wholes.shape[2], dtype=wholes.dtype)
        there = torch.zeros(page.shape, dtype=torch.bool)
        copies = recoloured(self.palette, self.small[pictures], colours)
        for copy, places in enumerate(self.places):
            page[:, places] = copies[:, copy]
            there[:, places] = small[:, copy, None]
        page = torch.where(there, page, 0)
        wholes_there = present[..., None].expand_as(wholes)
        return torch.cat([wholes, page[:, None]], 1), torch.cat([wholes_there, there[:, None]], 1)

    def of(
        self, named: list[tuple[int, ...]], colours: list[tuple[str | None, ...]], count: int
    ) -> tuple[Tensor, Tensor]:
        """The stickers that captions name, in their order and in the colours asked for: as :meth:`draw`."""
        wholes = count if self.small is None else count - 1
        tokens = torch.zeros(len(named), wholes, self.tokens.shape[2], dtype=self.tokens.dtype)
        present = torch.zeros(len(named), wholes, dtype=torch.bool)
        for row, pictures in enumerate(named):
            for place, picture in enumerate(pictures[:wholes]):
                tokens[row, place], present[row, place] = self.tokens[picture, 0], True
        asked = [[*row, None, None] for row in colours]
        tokens = recoloured(self.palette, tokens, asked)
        if self.small is None:
            return tokens, present[..., None].repeat(1, 1, tokens.shape[2])
        pictures = torch.tensor([(row[0], row[1] if len(row) > 1 else row[0]) for row in named])
        return self._with_small(tokens, present, pictures, asked, torch.tensor([(True, len(row) > 1) for row in named]))


def recoloured(palette: Palette | None, tokens: Tensor, colours: list[list[str | None]]) -> Tensor:
    """int64 [B, K, …]: sticker k of row b in ``colours[b][k]``; longer lists of colours than K are cut off."""
    if palette is None or not any(map(any, colours)):
        return tokens
    made = [
        palette.recoloured(stickers, asked[: len(stickers)]) for stickers, asked in zip(tokens.numpy(), colours, strict=True)
    ]
    return torch.from_numpy(np.stack(made))


def damaged(tokens: Tensor, unknown: int, light: Tensor, generator: torch.Generator) -> Tensor:
    """int64 [B, P] with a run of each row's tokens unknown and a share of them another row's; at least one token is lost.

    How much is lost differs from row to row, from a little to nearly everything; rows that are ``light``, bool [B], lose up to a
    tenth of their tokens, all of them to another row.
    """
    count, places = tokens.shape
    draws = torch.rand(count, 4, generator=generator)
    place, light = torch.arange(places), light[:, None]
    start = (draws[:, :1] * places).long()
    length = 1 + (draws[:, 1:2] ** 2 * (places - 1)).long()
    gone = ((place - start) % places < length) & ~light
    share = torch.where(light, 0.1 * draws[:, 2:3], draws[:, 2:3] * draws[:, 3:4])
    foreign = (torch.rand(tokens.shape, generator=generator) < share) | (light & (place == start))
    found = torch.where(gone, unknown, torch.where(foreign, tokens.roll(1, 0), tokens))
    whole = (found == tokens).all(1, keepdim=True)  # the other row's tokens are the same there
    return torch.where(whole & (place == start), unknown, found)


def memory_of(metas: Sequence[dict], tokens: Tensor, latent_id: str, small: Tensor | None = None) -> Memory:
    """Every picture by its caption. ``metas``: N samples' fields; ``tokens``: int64 [N, P]; ``small``: int64 [N, Q]."""
    return Memory.build(*_about(metas), tokens.numpy(), latent_id, None if small is None else small.numpy())


def with_pictures(memory: Memory, pictures: Pictures, vae: MVAE) -> Memory:
    """``memory`` and more pictures behind: what was never trained on can still be read, and redrawn."""
    small = None if memory.small is None else small_tokens(vae, pictures, progress=False).numpy()
    return memory.with_stickers(*_about(pictures.meta), encode_pixels(vae, pictures.pixels).numpy(), small)


def small_tokens(vae: MVAE, pictures: Pictures, progress: bool = True) -> Tensor:
    """Tokens of every picture's small copy, int64 [N, Q]."""
    places = torch.from_numpy(small_places(vae.config.latent)[0])
    bar = tqdm(pictures.pixels, desc="small copies", disable=not progress)
    pages = np.stack([np.asarray(small_page(Image.fromarray(pixels, "RGBa"))) for pixels in bar])
    return encode_pixels(vae, pages, progress)[:, places]


@torch.no_grad()
def encode_pixels(vae: MVAE, pixels: np.ndarray, progress: bool = False) -> Tensor:
    """Premultiplied pictures uint8 [N, S, S, 4] → tokens int64 [N, P]."""
    device, parts = next(vae.parameters()).device, []
    for start in tqdm(range(0, len(pixels), BATCH), desc="encoding", disable=not progress):
        images = torch.from_numpy(pixels[start : start + BATCH]).to(device).permute(0, 3, 1, 2).float().div_(255)
        parts.append(vae.encode_tokens(images.contiguous(memory_format=torch.channels_last)).cpu())
    return torch.cat(parts)


def encode_drawn(vae: MVAE, drawn: Iterable[np.ndarray]) -> Tensor:
    """As :func:`encode_pixels`, of pictures [S, S, 4] that are drawn one by one: never more than a batch of them is held."""
    drawn, parts = iter(drawn), []
    while batch := list(islice(drawn, BATCH)):
        parts.append(encode_pixels(vae, np.stack(batch)))
    return torch.cat(parts) if parts else torch.zeros(0, vae.config.latent.positions, dtype=torch.int64)


def _about(metas: Sequence[dict]) -> tuple[list[Caption], list[str]]:
    return [caption_of(meta) for meta in metas], [meta.get("style") or "" for meta in metas]


def caption_of(meta: dict) -> Caption:
    """What a sample is found by: its label, tags and labels in other languages."""
    names = dict.fromkeys(said[0] for said in meta.get("names", {}).values())
    return Caption(meta["label"], tuple(meta.get("tags", ())), tuple(name for name in names if name != meta["label"]))


def recalled(
    memory: Memory, asked: Sequence[tuple[str, str | None, Collection[int]]], count: int, latent: LatentConfig, small_copies: bool
) -> tuple[Tensor, Tensor]:
    """What is read beside each of B prompts, as the engine recalls it: int64 [B, count, P], and which are there, bool likewise.

    ``count``: pages; ``asked``: prompt, style, and stickers that must not be recalled.
    """
    pages = []
    for prompt, style, hidden in asked:
        read = memory.read(prompt, style, recalled_at_most(count, small_copies), exclude=hidden)
        pages.append(lay_out(read.tokens, read.small if small_copies else None, count, latent))
    return tuple(torch.from_numpy(np.stack(part)) for part in zip(*pages, strict=True))


def read_before_text(memory: Tensor, present: Tensor, ids: Tensor, mask: Tensor, text_offset: int) -> tuple[Tensor, Tensor]:
    """What the encoder reads: tokens [B, K, P], then the text's ids [B, T] moved by ``text_offset``; masks likewise.

    ``present`` bool [B, K, P]: what is not there is masked, never left out, so that the text keeps its place.
    """
    seen, there = memory.flatten(1), present.flatten(1)
    return torch.cat([torch.where(there, seen, 0), ids + text_offset], 1), torch.cat([there.to(mask.dtype), mask], 1)

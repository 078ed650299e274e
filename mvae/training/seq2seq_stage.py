"""The seq2seq's stage: cross-entropy of image tokens given captions, in nats per token."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import MarianMTModel

from mvae.config import Seq2SeqConfig, caption
from mvae.data.captions import in_another_language, reworded, with_article
from mvae.data.dataset import Pictures
from mvae.data.paraphrase import in_a_sentence, in_other_order, mistyped
from mvae.engine.options import Options
from mvae.engine.palette import Palette
from mvae.models.mvae import MVAE
from mvae.models.quantile import cell_index, cells_to_tokens
from mvae.models.seq2seq import TEXT_END, build_seq2seq
from mvae.models.seq2seq_start import begin
from mvae.objective import at_side, token_distillation
from mvae.training.checkpoint import step_generator
from mvae.training.cross_entropy import head_cross_entropy
from mvae.training.recall import Recall, memory_of, read_before_text, recalled, small_tokens
from mvae.training.recipe import Seq2SeqStage
from mvae.training.sampling import sample_tokens
from mvae.training.scenes import Scenes
from mvae.training.sheets import save_sheet
from mvae.training.text import encode_texts
from mvae.training.vae_stage import epoch_indices
from mvae.training.views import Views
from mvae.training.warm_start import stored_seq2seq


def evenly(length: int, count: int) -> list[int]:
    """At most ``count`` indices below ``length``, evenly spaced, both ends included."""
    return torch.linspace(0, length - 1, min(count, length)).long().tolist()


class Seq2SeqModule(nn.Module):
    """Marian behind the loop's one-argument call; the softmax runs over image tokens alone."""

    def __init__(self, model: MarianMTModel, config: Seq2SeqConfig):
        super().__init__()
        self.model, self.config = model, config

    def forward(self, batch: dict) -> Tensor | dict[str, Tensor]:
        """Cross-entropy of every token, [B, positions], nats; with a key ``distilled`` a dictionary of it, ``nats``, and of
        ``logits`` [B, positions, codebook]. ``read``: the tokens read back, where they are not ``tokens``.
        """
        hidden, table = self.hidden(batch), self.model.lm_head.weight[: self.config.codebook]
        nats = head_cross_entropy(hidden.flatten(0, 1), table, batch["tokens"].flatten()).view_as(batch["tokens"])
        return {"nats": nats, "logits": nn.functional.linear(hidden, table)} if batch.get("distilled") else nats

    def hidden(self, batch: dict) -> Tensor:
        """What the decoder ends with, [B, positions, d]."""
        tokens, read = batch["tokens"], batch.get("read", batch["tokens"])
        start = torch.full_like(tokens[:, :1], self.config.start_token)
        return self.model.model(
            input_ids=batch["ids"],
            attention_mask=batch["mask"],
            decoder_input_ids=torch.cat([start, read[:, :-1]], 1),
            use_cache=False,
        ).last_hidden_state


def _teacher(folder: Path, config: Seq2SeqConfig) -> Seq2SeqModule:
    """The seq2seq in ``folder``, standing still, for a student with ``config``."""
    module = Seq2SeqModule(stored_seq2seq(folder, config), config).eval().requires_grad_(False)
    if not torch.cuda.is_available():
        module.model.set_attn_implementation("eager")
    return module


class Seq2SeqTraining:
    """See :class:`mvae.training.loop.Stage`."""

    def __init__(self, recipe: Seq2SeqStage, pictures: Pictures, views: Views, unseen: Pictures, vae: MVAE, tokenizer: Tokenizer,
                 scenes: Scenes | None = None, palette: Palette | None = None):
        self.recipe, self.pictures, self.views, self.unseen = recipe, pictures, views, unseen
        self.vae, self.tokenizer = vae.eval(), tokenizer
        self.schedule, self.config, self.scenes = recipe.schedule, recipe.config, scenes
        torch.manual_seed(recipe.schedule.seed)
        model = build_seq2seq(recipe.config)
        if recipe.informed_start:
            begin(model, recipe.config, vae.config.latent)
        self.module = Seq2SeqModule(model, recipe.config)
        if not torch.cuda.is_available():
            # On CPUs the backward pass of fused attention takes a third of the step at this size; plain products do not.
            self.module.model.set_attn_implementation("eager")
        self.teacher = None if recipe.teacher is None else _teacher(Path(recipe.teacher), recipe.config)
        self.controller: dict = {}
        self.choices = [[v for v, text in enumerate(row) if v and text] for row in views.labels]
        self.memory, self.recall = None, None
        if recipe.config.memory:
            tokens = views.tokens(vae.config)
            small = small_tokens(vae, pictures) if recipe.config.small_copies else None
            self.memory = replace(memory_of(pictures.meta, tokens[:, 0], vae.config.latent_id, small), palette=palette)
            views_read = [[0, *row] for row in self.choices]
            self.recall = Recall(self.memory, pictures, tokens, views_read, recipe.memory_candidates, vae.config.latent)

    def settings(self) -> dict:
        return {**asdict(self.recipe), "pictures": len(self.pictures)}

    def before_step(self, module: nn.Module, step: int) -> None:
        """Nothing changes within a run."""

    def words(self, index: int, view: int, draw: list[float]) -> str:
        """A caption for one view: the label or other words for it, with or without article and style word, or nothing."""
        recipe, meta = self.recipe, self.pictures.meta[index]
        if draw[0] < recipe.drop_text:
            return ""
        text, others = self.views.labels[index][view], meta.get("names")
        style = None if draw[4] < recipe.drop_style else meta.get("style")
        if others and view == 0 and draw[1] < recipe.languages:
            return caption(in_another_language(others, draw[2:4]), style)
        if draw[1] < recipe.languages + recipe.word_augmentation and view == 0:
            return caption(reworded(text, meta.get("tags", []), draw[2:4]), style)
        return caption(self.as_people_say(with_article(text, draw[2]), draw[8]), style)

    def as_people_say(self, words: str, draw: float) -> str:
        """``words``, or now and then a sentence with them, another order, a typing error."""
        share = self.recipe.sentences
        if draw >= share:
            return words
        random = Random(int(draw * 2**40))
        return random.choice((in_a_sentence, in_other_order, mistyped))(words, random)

    def batch(self, step: int, rank: int, world: int) -> dict:
        generator = step_generator(self.schedule.seed, step, rank)
        indices = epoch_indices(len(self.pictures), self.schedule.batch, step, self.schedule.seed)[rank::world].tolist()
        draws = torch.rand(len(indices), 9, generator=generator).tolist()
        chosen, texts = [], []
        for index, draw in zip(indices, draws, strict=True):
            others = self.choices[index]
            view = others[int(draw[6] * len(others))] if others and draw[5] >= self.recipe.original_share else 0
            chosen.append(view)
            texts.append(self.words(index, view, draw))
        mean = self.views.mean[indices, chosen].float()
        sampled = torch.tensor([draw[7] < self.recipe.posterior_share for draw in draws])[:, None, None, None]
        noise = torch.randn(mean.shape, generator=generator) * self.views.deviation[indices, chosen].float()
        cells = cell_index(torch.where(sampled, mean + noise, mean), self.vae.config.levels)
        tokens = cells_to_tokens(cells, self.vae.config.levels, self.vae.config.depth)
        composed = self._compose(texts, tokens, generator)
        ids, mask = encode_texts(self.tokenizer, texts)
        if self.recall is not None:
            labels = [self.views.labels[index][view] for index, view in zip(indices, chosen, strict=True)]
            pages, distracted = self.config.memory, self.recipe.distracted
            known, there = self.recall.draw(indices, chosen, labels, pages, distracted, generator)
            if composed:
                rows, numbers = list(composed), list(composed.values())
                named, colours = [self.scenes.named[n] for n in numbers], [self.scenes.colours[n] for n in numbers]
                known[rows], there[rows] = self.recall.of(named, colours, pages)
            kept = torch.rand(len(indices), generator=generator) >= self.recipe.drop_memory
            there = there & (kept & torch.tensor([bool(t) for t in texts]))[:, None, None]
            ids, mask = read_before_text(known, there, ids, mask, self.config.text_offset)
        read = self._disturbed(tokens, generator)
        return {"tokens": tokens, "read": read, "ids": ids, "mask": mask, "distilled": self.teacher is not None}

    def in_phase(self, batch: dict, step: int) -> dict:
        """``batch``: nothing changes within a run."""
        return batch

    def _compose(self, texts: list[str], tokens: Tensor, generator: torch.Generator) -> dict[int, int]:
        """Puts compositions in the place of some rows' texts and tokens; row → composition."""
        if self.scenes is None:
            return {}
        composed = {}
        for row, draw in enumerate(torch.rand(len(texts), 6, generator=generator).tolist()):
            if draw[0] >= self.recipe.scene_share:
                continue
            number = composed[row] = int(draw[1] * len(self.scenes))
            words = self.as_people_say(with_article(self.scenes.words[number], draw[2]), draw[3])
            style = None if draw[4] < self.recipe.drop_style else self.scenes.styles[number]
            texts[row] = "" if draw[5] < self.recipe.drop_text else caption(words, style)
            tokens[row] = self.scenes.tokens[number]
        return composed

    def _disturbed(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """``tokens`` with a share of each row taken from the next row, at the same places (``input_noise``)."""
        share = self.recipe.input_noise * torch.rand(len(tokens), 1, generator=generator)
        swapped = torch.rand(tokens.shape, generator=generator) < share
        return torch.where(swapped, tokens.roll(1, 0), tokens)

    def loss(self, outputs: Tensor | dict[str, Tensor], batch: dict, step: int) -> tuple[Tensor, dict[str, float]]:
        if self.teacher is None:
            loss = outputs.float().mean()
            return loss, {"nats_per_token": loss.item(), "nats_per_image": loss.item() * self.config.positions}
        nats, logits = outputs["nats"].float().mean(), outputs["logits"]
        teacher = self.teacher.to(logits.device)
        with torch.no_grad(), torch.autocast(logits.device.type, dtype=logits.dtype, enabled=logits.dtype != torch.float32):
            wanted = nn.functional.linear(teacher.hidden(batch), teacher.model.lm_head.weight[: self.config.codebook])
        distance, share = token_distillation(wanted, logits).mean(), self.recipe.distillation
        metrics = {"nats_per_token": nats.item(), "nats_per_image": nats.item() * self.config.positions}
        return (1 - share) * nats + share * distance, metrics | {"distillation_nats": distance.item()}

    def interval_metrics(self) -> dict[str, float]:
        return {}

    def encode(self, parts: Sequence[tuple[Pictures, list[int]]]) -> tuple[Tensor, Tensor]:
        """What the encoder reads for the captions of some pictures: recalled stickers, if there is a memory, and the text.

        A picture that is in the memory does not recall itself.
        """
        ids, mask = encode_texts(self.tokenizer, [pictures.captions[i] for pictures, index in parts for i in index])
        if self.memory is None:
            return ids, mask
        asked = [
            (pictures.meta[i]["label"], pictures.meta[i].get("style"), [i] if pictures is self.pictures else ())
            for pictures, index in parts for i in index
        ]
        pages = recalled(self.memory, asked, self.config.memory, self.vae.config.latent, self.config.small_copies)
        return read_before_text(*pages, ids, mask, self.config.text_offset)

    def _nats(self, model: nn.Module, pictures: Pictures, count: int = 256) -> float:
        """Cross-entropy of exact tokens given "STYLE label", nats per token, on evenly spaced pictures."""
        device = next(model.parameters()).device
        index = evenly(len(pictures), count)
        self.vae.to(device)
        tokens = self.vae.encode_tokens(pictures.batch(index, device))
        ids, mask = self.encode([(pictures, index)])
        return model({"tokens": tokens, "ids": ids.to(device), "mask": mask.to(device)}).float().mean().item()

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Per column: the real drawing, the same through the tokens, two stickers of its caption. The last 8 are unseen."""
        device = next(model.parameters()).device
        self.vae.to(device)
        shown = [(self.pictures, evenly(len(self.pictures), 40)), (self.unseen, evenly(len(self.unseen), 8))]
        image = torch.cat([pictures.batch(index, device) for pictures, index in shown])
        texts = [pictures.captions[i] for pictures, index in shown for i in index]
        ids, mask = self.encode(shown)
        empty = torch.tensor([[TEXT_END]])
        drawn, options = [], Options.usual(self.config.memory)
        for seed in (0, 1):
            tokens = sample_tokens(
                model.model, self.config, ids, mask, empty, guidance=options.guidance, temperature=options.temperature, seed=seed,
                top_k=min(options.top_k, self.config.codebook),
            )
            drawn.append(self.vae.decode_tokens(tokens))
        through = self.vae.decode_tokens(self.vae.encode_tokens(image))
        save_sheet(path, [at_side(image, through.shape[-1]), through, *drawn], texts)
        with open(path.parent / "sheets.csv", "a") as file:
            file.write(f"{path.stem},{self._nats(model, self.pictures):.4f},{self._nats(model, self.unseen):.4f}\n")

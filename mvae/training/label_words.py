"""The seq2seq front end of the mVAE among the nine systems: a prompt that names a class → the tokens of an image of it.

Legend: B batch, T text pieces, P tokens of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.config import Seq2SeqConfig
from mvae.models.seq2seq import build_seq2seq
from mvae.training.system_loop import rate
from mvae.training.text import encode_texts, label_tokenizer

DIGITS = dict(zip("0123456789", ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), strict=True))
PROMPTS = ("{}", "a {}", "a picture of {}", "draw {}", "one {} please")
"""Ways of saying it that are trained; the first is the one that is judged."""
PIECES = 320
UNSAID = 0.1
"""Share of the training images whose prompt is left empty: what guidance leads away from (Ho & Salimans 2022)."""


@dataclass(frozen=True)
class Drawing:
    """How a data set's words are learned and drawn."""

    guidance: float
    """1: none."""
    candidates: int = 1
    """Images drawn for each that is kept: the seq2seq itself chooses (:meth:`mvae.engine.system_words.SystemWords.posterior`)."""
    temperature: float = 1.0
    epochs: float = 1.0
    """Of the words, to one of the systems."""


DRAWING = {
    "mnist": Drawing(1.6), "fashion-mnist": Drawing(2.0, candidates=8, temperature=0.9, epochs=2.5),
    "cifar10": Drawing(4.0, candidates=3),
}
"""Chosen on the first seed: the more alike the classes of a set are, the more it takes to draw what the word says, and the fewer
kinds of it are drawn."""


def spoken(label: str) -> str:
    """A class in words: digits are spelled out."""
    return DIGITS.get(label, label.lower())


class LabelWords(nn.Module):
    """A stock encoder-decoder transformer (:mod:`mvae.models.seq2seq`) with a tokenizer of the class names."""

    def __init__(self, codebook: int, positions: int, classes: Sequence[str]):
        super().__init__()
        self.classes = [spoken(label) for label in classes]
        self.config = Seq2SeqConfig(
            vocabulary=max(PIECES, codebook + 2), codebook=codebook, positions=positions, d_model=64, encoder_layers=1,
            decoder_layers=2, heads=4, feed_forward=192,
        )
        self.tokenizer: Tokenizer = label_tokenizer([form.format(name) for form in PROMPTS for name in self.classes], PIECES)
        self.model = build_seq2seq(self.config)

    def prompts(self, form: str = PROMPTS[0]) -> tuple[Tensor, Tensor]:
        """Ids and mask int64 [classes + 1, T] of every class, said in one way, and of nothing said."""
        ids, mask = encode_texts(self.tokenizer, [*(form.format(name) for name in self.classes), ""])
        device = next(self.parameters()).device
        return ids.to(device), mask.to(device)

    def forward(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """Logits [B, t, codebook] of what follows ``tokens`` [B, t], which begin with the start mark."""
        said = self.model(input_ids=ids, attention_mask=mask, decoder_input_ids=tokens, use_cache=False)
        return said.logits[..., : self.config.codebook]

    @torch.no_grad()
    def draw(self, labels: Tensor, seed: int, temperature: float = 1.0) -> Tensor:
        """int64 [B] classes → tokens int64 [B, P], drawn without guidance (:mod:`mvae.engine.system_words` has it)."""
        ids, mask = self.prompts()
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.full((len(labels), 1), self.config.start_token, device=ids.device)
        for _ in range(self.config.positions):
            logits = self(ids[labels], mask[labels], tokens)[:, -1].float().cpu()
            drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
            tokens = torch.cat([tokens, drawn.to(ids.device)], 1)
        return tokens[:, 1:]


def train_words(words: LabelWords, tokens: Tensor, labels: Tensor, *, epochs: int, seed: int, batch: int = 256) -> dict:
    """Cross-entropy of the tokens int64 [N, P] given a prompt for their class int64 [N], or an empty one; AdamW with a cosine.

    Returns the last epoch's mean in nats a token.
    """
    ids, mask = zip(*(words.prompts(form) for form in PROMPTS), strict=True)
    generator, steps = torch.Generator().manual_seed(seed), max(1, len(tokens) // batch)
    optimiser = torch.optim.AdamW(words.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, epochs * steps, "cosine"))
    start, total = tokens.new_full((len(tokens), 1), words.config.start_token), torch.zeros((), device=tokens.device)
    read = torch.cat([start, tokens[:, :-1]], 1)
    words.train()
    for _ in range(epochs):
        order, total = torch.randperm(len(tokens), generator=generator).to(tokens.device), torch.zeros_like(total)
        for rows in order[: steps * batch].view(steps, -1) if len(order) >= batch else order[None]:
            form = int(torch.randint(len(PROMPTS), (), generator=generator))
            said = torch.rand(len(rows), generator=generator).to(rows.device) >= UNSAID
            chosen = torch.where(said, labels[rows], len(words.classes))
            logits = words(ids[form][chosen], mask[form][chosen], read[rows])
            loss = F.cross_entropy(logits.flatten(0, 1), tokens[rows].flatten())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.detach()
    words.eval()
    return {"nats_per_token": total.item() / steps, "epochs": epochs}

"""Trains one of the systems of the comparison (:mod:`mvae.models.system`) on images in memory: a number of epochs, nothing
hidden.

Legend: N images, C channels, S side. All sums are nats per image.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from mvae.errors import OptionError, TrainingError
from mvae.models.system import System

OPTIMISERS = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
LOSS = "loss"
"""Beside the terms' names, which are others."""


@dataclass(frozen=True)
class Settings:
    """How a system is trained. The paper's fixed settings (Table 7) are the defaults: batch 100, RMSprop at 1e-3."""

    epochs: int = 20
    batch: int = 100
    optimiser: str = "rmsprop"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    """``constant``, or ``cosine``: down to zero at the last step, after a warm-up of a twentieth of the run."""
    seed: int = 0

    def __post_init__(self) -> None:
        known = self.optimiser in OPTIMISERS and self.schedule in ("constant", "cosine")
        if not known or self.epochs < 1 or self.batch < 1 or not self.learning_rate > 0:
            raise OptionError(
                f"training settings {self}; expected an optimiser of {sorted(OPTIMISERS)}, a schedule of constant and cosine, "
                "at least one epoch and image a batch, and a learning rate above 0"
            )


@dataclass
class Fitted:
    """What was logged, one entry an epoch."""

    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    terms: list[dict[str, float]] = field(default_factory=list)


def fit(
    system: System, images: Tensor, settings: Settings, *, binarised: bool = True,
    after_epoch: Callable[[int, System], None] = lambda epoch, system: None, progress: bool = False,
) -> Fitted:
    """Train ``system`` on float images [N, C, S, S] in [0, 1], both on the same device; ``binarised``: every epoch draws black or
    white pixels anew.

    ``after_epoch`` is called with the epochs done, 1 …; what it raises ends the training. Raises :class:`TrainingError` where the
    loss stops being finite, at the end of that epoch.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.Generator(images.device).manual_seed(settings.seed + 1)
    torch.manual_seed(settings.seed)
    optimiser = made_optimiser(system, settings)
    batches = max(1, len(images) // settings.batch)
    total, found, step = settings.epochs * batches, Fitted(), 0
    for epoch in tqdm(range(settings.epochs), desc=system.name, unit="epoch", disable=not progress):
        begun, sums = time.perf_counter(), {}
        order = torch.randperm(len(images), generator=generator).to(images.device)
        system.train()
        for number in range(batches):
            x = images[order[number * settings.batch : (number + 1) * settings.batch]]
            if binarised:
                x = torch.bernoulli(x, generator=noise)
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * rate(step, total, settings.schedule)
            try:
                loss, terms = system.loss(x)
            except ValueError as error:  # a distribution whose parameters are not numbers
                about = f"{system.name}: no finite posterior in step {step} ({error!s:.100}); lower the learning rate"
                raise TrainingError(about) from None
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            step += 1
            for name, term in {LOSS: loss, **terms}.items():
                sums[name] = sums.get(name, 0.0) + term.detach().mean()
        # Looked at once an epoch, since a GPU is waited for at every look; a sum never becomes finite again.
        means = dict(zip(sums, (torch.stack(list(sums.values())).double() / batches).tolist(), strict=True))
        if not math.isfinite(means[LOSS]):
            raise TrainingError(f"{system.name}: the loss is {means[LOSS]} in epoch {epoch + 1}; lower the learning rate")
        found.seconds.append(time.perf_counter() - begun)
        found.loss.append(means.pop(LOSS))
        found.terms.append(means)
        system.eval()
        after_epoch(epoch + 1, system)
    return found


def made_optimiser(system: System, settings: Settings) -> torch.optim.Optimizer:
    """The optimiser named. Adam and AdamW step in one pass over the weights: the same arithmetic, rounded otherwise."""
    fused = {} if settings.optimiser == "rmsprop" else {"fused": True}
    return OPTIMISERS[settings.optimiser](system.parameters(), settings.learning_rate, **fused)


def rate(step: int, total: int, schedule: str) -> float:
    """Share of the learning rate in one step."""
    if schedule == "constant":
        return 1.0
    warm = max(1, total // 20)
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / total)))


@torch.no_grad()
def held_out(system: System, images: Tensor, chunk: int = 1000) -> dict[str, float]:
    """Means of the objective's terms over images as they are, one sample of the latent each, with a seed of its own; and
    ``negative_elbo``, their unweighted sum of distortion and rate."""
    state, sums = torch.get_rng_state(), {}
    torch.manual_seed(0)
    try:
        for part in images.split(chunk):
            for name, term in system.terms(part).items():
                sums[name] = sums.get(name, 0.0) + float(term.sum())
    finally:
        torch.set_rng_state(state)
    found = {name: value / len(images) for name, value in sums.items()}
    return found | {"negative_elbo": found["distortion"] + found["rate"]}

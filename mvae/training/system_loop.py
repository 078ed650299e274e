"""Trains one of the systems of the comparison (:mod:`mvae.models.system`) on images in memory: a number of epochs, nothing
hidden.

Legend: N images, C channels, S side. All sums are nats per image.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from mvae.errors import OptionError, TrainingError
from mvae.models.system import System

OPTIMISERS = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


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
    """Train ``system`` on float images [N, C, S, S] in [0, 1]; ``binarised``: every epoch draws black or white pixels anew.

    ``after_epoch`` is called with the epochs done, 1 …; what it raises ends the training. Raises :class:`TrainingError` where the
    loss stops being finite.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    torch.manual_seed(settings.seed)
    optimiser = OPTIMISERS[settings.optimiser](system.parameters(), settings.learning_rate)
    batches = max(1, len(images) // settings.batch)
    total, found, step = settings.epochs * batches, Fitted(), 0
    for epoch in tqdm(range(settings.epochs), desc=system.name, unit="epoch", disable=not progress):
        begun, order, sums, terms_sum = time.perf_counter(), torch.randperm(len(images), generator=generator), 0.0, {}
        system.train()
        for number in range(batches):
            x = images[order[number * settings.batch : (number + 1) * settings.batch]]
            if binarised:
                x = torch.bernoulli(x, generator=generator)
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * rate(step, total, settings.schedule)
            try:
                loss, terms = system.loss(x)
            except ValueError as error:  # a distribution whose parameters are not numbers
                about = f"{system.name}: no finite posterior in step {step} ({error!s:.100}); lower the learning rate"
                raise TrainingError(about) from None
            if not torch.isfinite(loss):
                raise TrainingError(f"{system.name}: the loss is {loss.item()} in step {step}; lower the learning rate")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            step, sums = step + 1, sums + loss.item()
            for name, term in terms.items():
                terms_sum[name] = terms_sum.get(name, 0.0) + term.detach().mean().item()
        found.seconds.append(time.perf_counter() - begun)
        found.loss.append(sums / batches)
        found.terms.append({name: value / batches for name, value in terms_sum.items()})
        system.eval()
        after_epoch(epoch + 1, system)
    return found


def rate(step: int, total: int, schedule: str) -> float:
    """Share of the learning rate in one step."""
    if schedule == "constant":
        return 1.0
    warm = max(1, total // 20)
    return min((step + 1) / warm, 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / total)).item()))


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

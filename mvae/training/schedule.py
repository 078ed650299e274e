"""Learning-rate schedule, optimisers and the moving average of the weights."""

import math

import torch
from torch import nn

from mvae.errors import DataError
from mvae.training.muon import Muon
from mvae.training.recipe import Schedule


def learning_rate_factor(step: int, schedule: Schedule) -> float:
    """Linear warm-up to 1, then a cosine to ``schedule.floor`` at the last step."""
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    progress = min(1.0, (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup))
    return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * progress))


_OUTSIDE = ("embed", "shared", "head", "tail.3")
"""Parts of a parameter's name that mark tables and output layers: Muon is for what lies between them."""


def build_optimisers(model: nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """One or two optimisers; each parameter group remembers its peak rate as ``base_lr``.

    No weight decay on vectors (norms, biases). Raises :class:`DataError` on an unknown optimiser.
    """
    if schedule.optimiser not in ("adamw", "muon"):
        raise DataError(f"optimiser: got {schedule.optimiser!r}, expected 'adamw' or 'muon'")
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    hidden = []
    if schedule.optimiser == "muon":
        hidden = [(n, p) for n, p in parameters if p.ndim > 1 and not any(part in n for part in _OUTSIDE)]
    names = {n for n, _ in hidden}
    matrices = [p for n, p in parameters if n not in names and p.ndim > 1]
    vectors = [p for n, p in parameters if n not in names and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": schedule.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=schedule.learning_rate, betas=(0.9, 0.95), fused=True)
    ]
    if hidden:
        rate = schedule.hidden_learning_rate or schedule.learning_rate
        optimisers.append(Muon([p for _, p in hidden], lr=rate, weight_decay=schedule.weight_decay))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["base_lr"] = group["lr"]
    return optimisers


class WeightAverage:
    """Exponential moving average of a module's parameters and BatchNorm statistics; warms up like (1 + t) / (10 + t).

    What stands still (frozen parameters, statistics of modules in evaluation mode) is copied, not averaged: the rest of the model
    was trained against exactly that.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.values = {name: tensor.detach().clone() for name, tensor in state_tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        moving, still = [], []
        for path, module in model.named_modules():
            prefix = f"{path}." if path else ""
            for name, tensor in module.named_parameters(recurse=False):
                (moving if tensor.requires_grad else still).append((prefix + name, tensor))
            for name, tensor in module.named_buffers(recurse=False):
                (moving if module.training else still).append((prefix + name, tensor))
        pairs = [(self.values[name], tensor.detach()) for name, tensor in moving if name in self.values]
        torch._foreach_lerp_([average for average, _ in pairs], [tensor for _, tensor in pairs], 1 - decay)
        for name, tensor in still:
            if name in self.values:
                self.values[name].copy_(tensor)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Overwrite ``model``'s tensors with the average."""
        for name, tensor in state_tensors(model).items():
            tensor.copy_(self.values[name])


def state_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and floating-point buffers that a state dictionary holds, tied tensors once."""
    kept = set(model.state_dict())
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor for name, tensor in named if name in kept and tensor.is_floating_point()}

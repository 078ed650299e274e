"""Muon for matrices and convolution kernels, its work shared among the processes of a run.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; step size as in Liu et al. 2025, "Muon is scalable
for LLM training". ``torch.optim.Muon`` takes matrices only and repeats all of its work in every process; in a convolutional VAE
there are no matrices, and with two processes of one core each the repeated work was a sixth of a seq2seq step.
"""

import torch
import torch.distributed as dist
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that pushes singular values towards 1: steep at 0 rather than exact at 1."""
_ITERATIONS = 5


def orthogonalise(matrices: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """[N, rows, columns] → the nearest semi-orthogonal matrices, roughly: singular values end within about 0.7 … 1.2.

    ``dtype``: what is computed in; bf16 is exact enough, but much slower than fp32 where the processor has no such products.
    """
    a, b, c = _COEFFICIENTS
    x = matrices.to(dtype)
    wide = x.shape[-2] <= x.shape[-1]
    x = x if wide else x.mT
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised per parameter; a kernel [out, in, h, w] counts as the matrix [out, in·h·w].

    ``lr`` means what it means for AdamW: an update's root mean square is 0.2·lr. Parameters of one shape are orthogonalised
    together; where several processes train together each takes its share, then all exchange the updates.
    """

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = torch.bfloat16
        """What updates are computed in; the run's own precision is the fast one."""

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """One update; gradients must be the same in every process, as DistributedDataParallel leaves them."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                updates = self._updates(parameters, group["momentum"])
                for parameter, update in zip(parameters, updates, strict=True):
                    rows, columns = parameter.shape[0], parameter.numel() // parameter.shape[0]
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-0.2 * group["lr"] * max(rows, columns) ** 0.5)

    def _updates(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
            directions.append(parameter.grad.lerp(buffer, momentum))  # Nesterov's look ahead
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
        places = [part.view(p.shape) for part, p in zip(flat.split([p.numel() for p in parameters]), parameters, strict=True)]
        groups: dict[tuple, list[int]] = {}
        for number, parameter in enumerate(parameters):
            groups.setdefault((parameter.shape[0], parameter.numel() // parameter.shape[0]), []).append(number)
        # Dealt out largest first, going on where the last shape ended, so that single matrices do not all fall to one process.
        dealt = 0
        for shape in sorted(groups, key=lambda shape: -shape[0] * shape[1] * min(shape)):
            members = groups[shape]
            mine = members[(rank - dealt) % world :: world]
            dealt += len(members)
            if mine:
                made = orthogonalise(torch.stack([directions[n].flatten(1) for n in mine]), self.dtype)
                for number, matrix in zip(mine, made, strict=True):
                    places[number].copy_(matrix.view(parameters[number].shape))
        if world > 1:
            dist.all_reduce(flat)
        return places

"""Atomic safetensors checkpoints: weights, EMA, optimiser moments, controller and the step, which is the data cursor and the seed
of every random draw (see :func:`step_generator`), so that a killed run goes on exactly as if it had not been killed."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mvae.errors import DataError, TrainingError
from mvae.files import replacing
from mvae.training.schedule import WeightAverage, state_tensors

FORMAT = "mvae-checkpoint-1"


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The source of all randomness of one step: depends on (seed, step, rank) alone, so no generator state is carried along."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) * 64 + rank)


def float_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """The floating-point tensors of :func:`unique_state` as float32: what a finished run stores."""
    return {name: tensor.float() for name, tensor in unique_state(module).items() if tensor.is_floating_point()}


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write safetensors atomically."""
    with replacing(path) as partial:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata)


def save_checkpoint(
    path: Path, *, step: int, model: nn.Module, average: WeightAverage, optimisers: list, controller: dict, fingerprint: str
) -> None:
    """Store everything that the rest of the run depends on."""
    tensors = {f"model/{n}": t.clone() for n, t in unique_state(model).items()}
    tensors |= {f"ema/{n}": t for n, t in average.values.items()}
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser/{number}/{index}/{name}"] = torch.as_tensor(value)
    metadata = {"format": FORMAT, "step": str(step), "controller": json.dumps(controller), "fingerprint": fingerprint}
    save_tensors(path, tensors, metadata)


def unique_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dictionary without second names of tied tensors, which safetensors refuses."""
    seen, state = {}, {}
    for name, tensor in model.state_dict().items():
        if seen.setdefault(tensor.data_ptr(), name) == name or tensor.numel() == 0:
            state[name] = tensor
    return state


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill ``module`` from safetensors of any floating type; second names of tied tensors, step counters and constant tables (the
    sinusoidal positions, which transformers does not save) may be absent, nothing else.

    Raises :class:`DataError` for an unreadable file, and naming the tensors where names or shapes differ.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not readable as safetensors ({error})") from error
    try:
        missing, unexpected = module.load_state_dict({n: t.float() for n, t in tensors.items()}, strict=False)
    except RuntimeError as error:
        raise DataError(f"{path}: does not fit {type(module).__name__} ({str(error).splitlines()[-1].strip()})") from error
    constant = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    absent = sorted(set(missing) & set(state_tensors(module)) - constant)
    if absent or unexpected:
        raise DataError(f"{path}: {type(module).__name__} misses {absent[:3]} and does not know {sorted(unexpected)[:3]}")


def load_checkpoint(
    path: Path, *, model: nn.Module, average: WeightAverage, optimisers: list, fingerprint: str
) -> tuple[int, dict]:
    """Restore a run in place and return (next step, controller state).

    Raises :class:`TrainingError` where the file is damaged or belongs to other settings.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path}: unreadable checkpoint ({error}); delete it to start over") from error
    if metadata.get("format") != FORMAT or metadata.get("fingerprint") != fingerprint:
        raise TrainingError(
            f"{path}: made by format {metadata.get('format')} with settings {metadata.get('fingerprint')}, expected {FORMAT} "
            f"with {fingerprint}; use another --out or delete it"
        )
    weights = {n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = set(model.state_dict()) - set(unique_state(model))
    if unexpected or set(missing) - tied:
        raise TrainingError(f"{path}: missing {sorted(set(missing) - tied)[:3]}, unexpected {unexpected[:3]} tensors")
    for name in average.values:
        average.values[name].copy_(tensors[f"ema/{name}"])
    for number, optimiser in enumerate(optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimiser/{number}/"):
                _, _, index, key = name.split("/", 3)
                state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        for parameter, values in optimiser.state.items():
            # Fused optimisers walk parameters and moments in memory order: moments need the parameter's (channels-last) layout.
            for key, value in values.items():
                if value.shape == parameter.shape:
                    values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return int(metadata["step"]), json.loads(metadata["controller"])

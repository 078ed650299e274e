"""The training loop both stages share: steps, clipping, schedule, EMA, metrics, sheets, checkpoints; alone or under torchrun."""

import hashlib
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mvae.errors import TrainingError
from mvae.training.checkpoint import load_checkpoint, save_checkpoint, save_tensors, unique_state
from mvae.training.metrics import MetricsLog
from mvae.training.muon import Muon
from mvae.training.precision import settle_precision
from mvae.training.recipe import Schedule
from mvae.training.schedule import WeightAverage, build_optimisers, learning_rate_factor, state_tensors

LOG_EVERY = 25


class Stage(Protocol):
    """What the loop asks of a stage."""

    schedule: Schedule
    module: nn.Module
    """Its ``forward(batch)`` returns everything :meth:`loss` needs."""
    controller: dict
    """Small state that lives beside the weights, for example β; ``log_learning_rate`` is a factor of the schedule's rate."""

    def settings(self) -> dict: ...

    def batch(self, step: int, rank: int, world: int) -> dict:
        """What one step learns from; depends on the arguments alone, so that other processes may make it ahead."""

    def in_phase(self, batch: dict, step: int) -> dict:
        """``batch`` with what depends on how far the run is."""

    def before_step(self, module: nn.Module, step: int) -> None: ...

    def loss(self, outputs, batch, step: int) -> tuple[torch.Tensor, dict[str, float]]: ...

    def interval_metrics(self) -> dict[str, float]: ...

    def sheet(self, model: nn.Module, path: Path) -> None: ...


def fingerprint(stage: Stage) -> str:
    """Sixteen hexadecimal digits of everything that changes what a step does; how often a run is saved does not."""
    settings = {**stage.settings(), "schedule": asdict(stage.schedule)}
    for name in ("checkpoint_minutes", "sheet_minutes"):
        settings["schedule"].pop(name)
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def process_group() -> tuple[int, int]:
    """(rank, world size); joins the group that torchrun announces in the environment."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), dist.get_world_size()


class _Steps(Dataset):
    """Step → the batch that one process learns from in it."""

    def __init__(self, stage: Stage, rank: int, world: int):
        self.stage, self.rank, self.world = stage, rank, world

    def __getitem__(self, step: int) -> dict:
        return self.stage.batch(step, self.rank, self.world)


def batches(stage: Stage, first: int, rank: int, world: int, workers: int) -> Iterator[dict]:
    """The batches of steps ``first``, ``first`` + 1, … without end; ``workers`` processes make them ahead, or none."""
    steps = _Steps(stage, rank, world)
    if not workers:
        return map(steps.__getitem__, count(first))
    return iter(DataLoader(
        steps, batch_size=None, sampler=count(first), num_workers=workers, prefetch_factor=4, multiprocessing_context="fork"
    ))


def fitted(steps: int, done: int, seconds_per_step: float, seconds_left: float) -> int:
    """How many steps a run of at most ``steps`` has, given how far it is and how much time is left: at least one more."""
    return min(steps, done + max(1, int(seconds_left / seconds_per_step)))


def train_stage(
    stage: Stage, out: Path, *, resume: bool, progress: bool = True, workers: int = 0, minutes: float | None = None
) -> nn.Module:
    """Run ``stage`` to its last step below ``out`` and return the model with its averaged weights.

    ``workers``: processes that make batches ahead. ``minutes``: time that the schedule is fitted to, by the speed measured on
    the way; it never gets more steps than the recipe gives it.

    Writes ``checkpoint.safetensors``, ``ema.safetensors``, ``metrics.csv`` and ``sheet-STEP.png``. SIGTERM or Ctrl-C saves first.
    Raises :class:`TrainingError` if the loss stops being finite or if ``out`` holds a run and ``resume`` is off.
    """
    rank, world = process_group()
    schedule = stage.schedule
    device = f"cuda:{rank % max(1, torch.cuda.device_count())}" if torch.cuda.is_available() else "cpu"
    if schedule.batch % world:
        raise TrainingError(f"batch: got {schedule.batch} pictures for {world} processes, expected a multiple of them")
    out.mkdir(parents=True, exist_ok=True)
    module = stage.module.to(device)
    average = WeightAverage(module, schedule.ema)
    optimisers = build_optimisers(module, schedule)
    mark, path, first = fingerprint(stage), out / "checkpoint.safetensors", 0
    if path.exists():
        if not resume:
            raise TrainingError(f"{out}: holds a run already; pass --resume to go on with it, or choose another --out")
        first, stage.controller = load_checkpoint(path, model=module, average=average, optimisers=optimisers, fingerprint=mark)
    dtype = settle_precision(schedule.precision, device, stage.controller)
    for optimiser in optimisers:
        if isinstance(optimiser, Muon):
            optimiser.dtype = dtype
    wrapped = DistributedDataParallel(module, find_unused_parameters=True) if world > 1 else module
    log = MetricsLog(out / "metrics.csv", first) if rank == 0 else None
    stop = {"asked": False}

    def ask_stop(*_) -> None:
        stop["asked"] = True

    source = batches(stage, first, rank, world, workers)
    previous = {number: signal.signal(number, ask_stop) for number in (signal.SIGTERM, signal.SIGINT)}

    def save(step: int) -> None:
        if rank == 0:
            save_checkpoint(
                path,
                step=step,
                model=module,
                average=average,
                optimisers=optimisers,
                controller=stage.controller,
                fingerprint=mark,
            )
            save_tensors(out / "ema.safetensors", averaged_state(module, average), {"step": str(step)})

    saved = shown = logged = time.monotonic()
    deadline = None if minutes is None else logged + 60 * minutes
    bar = tqdm(initial=first, total=schedule.steps, desc=out.name, disable=not progress or rank > 0)
    step = counted = first
    try:
        module.train()
        while step < stage.schedule.steps:
            stage.before_step(module, step)
            batch = stage.in_phase(next(source), step)
            batch = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
            torch.manual_seed((schedule.seed * 1_000_003 + step) * 64 + rank)  # dropout and posterior noise
            with torch.autocast(device.split(":")[0], dtype=dtype, enabled=dtype != torch.float32):
                outputs = wrapped(batch)
            loss, metrics = stage.loss(outputs, batch, step)
            if not math.isfinite(loss.item()):
                raise TrainingError(
                    f"step {step}: loss is {loss.item()}; the last checkpoint in {out} is intact, lower the learning rate"
                )
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(module.parameters(), schedule.clip)
            factor = learning_rate_factor(step, stage.schedule) * math.exp(stage.controller.get("log_learning_rate", 0.0))
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = group["base_lr"] * factor
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            average.update(module, step)
            done, now = step + 1, time.monotonic()
            ended = done == stage.schedule.steps
            if log:
                log.add({"loss": loss.item(), "gradient_norm": norm.item(), **metrics})
            if done % LOG_EVERY == 0 or ended:
                speed = (now - logged) / (done - counted)
                if log:
                    row = log.write(
                        done,
                        {"learning_rate": schedule.learning_rate * factor, **stage.interval_metrics(), "seconds_per_step": speed},
                    )
                    bar.set_postfix({k: f"{row[k]:.4g}" for k in list(row)[1:2] + list(metrics)[:3]})
                if deadline is not None and not ended:
                    stage.schedule = replace(schedule, steps=_agreed(fitted(schedule.steps, done, speed, deadline - now), world))
                    bar.total = stage.schedule.steps
                logged, counted = time.monotonic(), done
            bar.update()
            step = done
            if now - saved >= schedule.checkpoint_minutes * 60 or stop["asked"] or ended:
                save(done)
                saved = time.monotonic()
            if rank == 0 and (now - shown >= schedule.sheet_minutes * 60 or ended):
                show_sheet(stage, module, average, out / f"sheet-{done:06d}.png")
                shown = logged = time.monotonic()
                counted = done
            if stop["asked"]:
                raise KeyboardInterrupt(f"stopped after step {done}; --resume goes on")
    finally:
        bar.close()
        del source  # its processes end with it
        for number, handler in previous.items():
            signal.signal(number, handler)
        if world > 1 and dist.is_initialized():
            dist.barrier()
    average.copy_to(module)
    return module.eval()


def _agreed(steps: int, world: int) -> int:
    """The first process's number of steps, in all processes of a run."""
    if world == 1:
        return steps
    chosen = [steps]
    dist.broadcast_object_list(chosen, src=0)
    return chosen[0]


def averaged_state(module: nn.Module, average: WeightAverage) -> dict[str, torch.Tensor]:
    """The state dictionary with averaged values where there are any."""
    return {name: average.values.get(name, tensor) for name, tensor in unique_state(module).items()}


def show_sheet(stage: Stage, module: nn.Module, average: WeightAverage, path: Path) -> None:
    """Draw a sheet with the averaged weights, leaving the training weights as they were."""
    kept = {name: tensor.detach().clone() for name, tensor in state_tensors(module).items()}
    average.copy_to(module)
    module.eval()
    with torch.no_grad():
        stage.sheet(module, path)
        for name, tensor in state_tensors(module).items():
            tensor.copy_(kept[name])
    module.train()

"""The training loop both stages share: steps, clipping, schedule, EMA, metrics, sheets, checkpoints; alone or under torchrun."""

import hashlib
import json
import math
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
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

    def batch(self, step: int, rank: int, world: int): ...

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


def train_stage(stage: Stage, out: Path, *, resume: bool, progress: bool = True) -> nn.Module:
    """Run ``stage`` to its last step below ``out`` and return the model with its averaged weights.

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
    bar = tqdm(range(first, schedule.steps), initial=first, total=schedule.steps, desc=out.name, disable=not progress or rank > 0)
    try:
        module.train()
        for step in bar:
            stage.before_step(module, step)
            batch = stage.batch(step, rank, world)
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
            factor = learning_rate_factor(step, schedule) * math.exp(stage.controller.get("log_learning_rate", 0.0))
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = group["base_lr"] * factor
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            average.update(module, step)
            done, now = step + 1, time.monotonic()
            if log:
                log.add({"loss": loss.item(), "gradient_norm": norm.item(), **metrics})
                if done % LOG_EVERY == 0 or done == schedule.steps:
                    speed = (now - logged) / max(1, log.count)
                    row = log.write(
                        done,
                        {"learning_rate": schedule.learning_rate * factor, **stage.interval_metrics(), "seconds_per_step": speed},
                    )
                    bar.set_postfix({k: f"{row[k]:.4g}" for k in list(row)[1:2] + list(metrics)[:3]})
                    logged = time.monotonic()
            if now - saved >= schedule.checkpoint_minutes * 60 or stop["asked"] or done == schedule.steps:
                save(done)
                saved = time.monotonic()
            if rank == 0 and (now - shown >= schedule.sheet_minutes * 60 or done == schedule.steps):
                show_sheet(stage, module, average, out / f"sheet-{done:06d}.png")
                shown = logged = time.monotonic()
            if stop["asked"]:
                raise KeyboardInterrupt(f"stopped after step {done}; --resume goes on")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if world > 1 and dist.is_initialized():
            dist.barrier()
    average.copy_to(module)
    return module.eval()


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

"""Trains and measures one network of ``reproduce reference``, on one thread; a killed run goes on after its last whole phase:

    python -m mvae.reproduce.reference_run NAME DATA OUT SEEDS CLUSTERING_SEEDS short|long
"""

import json
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributions import Distribution

from mvae.data.benchmarks import load_benchmark
from mvae.evaluate.classifier import to_float
from mvae.machine import cpu_name
from mvae.models.beta_vae import BetaVae
from mvae.models.gmvae import Gmvae
from mvae.models.s_vae import SVae
from mvae.models.vade import Vade
from mvae.models.vae import Vae
from mvae.reproduce.arms import result_of
from mvae.reproduce.reference_codes import vq_vae
from mvae.reproduce.reference_jobs import Job, jobs
from mvae.reproduce.reference_measures import bits, clustering, log_likelihood
from mvae.training.checkpoint import save_tensors
from mvae.training.system_loop import Fitted, fit, held_out
from mvae.training.vade_start import begin_mixture, pretrain

SYSTEMS = {"vae": Vae, "s_vae": SVae, "vade": Vade, "gmvae": Gmvae, "beta_vae": BetaVae, "vq_vae": vq_vae}


def run_job(job: Job, data: Path, out: Path) -> dict:
    """Train and measure, or what an earlier process stored in ``out/JOB/result.json``."""

    def make() -> dict:
        torch.set_num_threads(1)
        device = torch.device("cuda" if job.graphics and torch.cuda.is_available() else "cpu")
        train, test = (load_benchmark(data / job.data, split) for split in ("train", "test"))
        if device.type == "cuda":  # to check a distribution's parameters is to wait for the GPU, at every step
            Distribution.set_default_validate_args(False)
        images, seen = to_float(train.images[: job.images or None]).to(device), to_float(test.images)
        if job.binarised:
            seen = torch.bernoulli(seen, generator=torch.Generator().manual_seed(0))
        seen = seen.to(device)
        system, seconds = trained(job, images, out / job.name, device)
        found = measured(job, system, images, seen, test.labels)
        return found | {"epoch_seconds": seconds, "device": processor(device)}

    return result_of(job, out, make)


def measured(job: Job, system: nn.Module, images: Tensor, seen: Tensor, labels) -> dict[str, float]:
    """The job's measures on test images ``seen``; ``images`` are those of training."""
    if job.measure == "likelihood":
        return {"log_likelihood": log_likelihood(system, seen, job.samples), **held_out(system, seen)}
    if job.measure == "clustering":
        return {"accuracy": clustering(system, seen, labels)}
    if job.measure == "bits":
        return bits(system, seen, images)
    return held_out(system, seen)


def trained(job: Job, images: Tensor, folder: Path, device: torch.device) -> tuple[nn.Module, float]:
    """The system after all phases, and the median seconds of an epoch of the last one."""
    torch.manual_seed(job.seed)
    system, done, seconds = SYSTEMS[job.system](job.config, **job.options).to(device), 0, 0.0

    def warm(epochs: int) -> None:
        system.rate_weight = min(1.0, (epochs + 1) / (job.warm_up + 1))

    def begin() -> Fitted:
        logged = pretrain(system, images, replace(job.pretraining, seed=job.seed), binarised=job.binarised)
        begin_mixture(system, images, seed=job.seed)
        return logged

    if job.pretraining is not None:
        seconds = stored(job, folder / "start.safetensors", system, begin)
    for number, phase in enumerate(job.phases):
        settings, before = replace(phase, seed=100 * job.seed + number), done
        warm(done)

        def train(settings=settings, before=before) -> Fitted:
            return fit(system, images, settings, binarised=job.binarised, after_epoch=lambda epoch, _: warm(before + epoch))

        seconds, done = stored(job, folder / f"phase-{number}.safetensors", system, train), done + phase.epochs
    system.rate_weight = 1.0
    return system.eval(), seconds


def stored(job: Job, path: Path, system: nn.Module, make) -> float:
    """Fill ``system`` with the weights in ``path``, if they are of this job, or with what ``make`` trains, which is stored.
    Returns the median seconds of its epochs."""
    settings = json.dumps(asdict(job))
    if path.is_file():
        with safe_open(path, "pt") as file:
            about = file.metadata()
        if about["settings"] == settings:
            system.load_state_dict(load_file(path))
            return float(about["seconds"])
    seconds = statistics.median(make().seconds)
    save_tensors(path, system.state_dict(), {"settings": settings, "seconds": f"{seconds:.6g}"})
    return seconds


def processor(device: torch.device) -> str:
    """What a job ran on, by name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def _one(name: str, data: str, out: str, seeds: str, clustering_seeds: str, length: str) -> None:
    found = jobs(int(seeds), int(clustering_seeds), length == "short")
    run_job(next(job for job in found if job.name == name), Path(data), Path(out))


if __name__ == "__main__":
    _one(*sys.argv[1:])

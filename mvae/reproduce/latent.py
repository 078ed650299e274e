"""``python -m mvae reproduce latent``: VAEs over grids, levels, rates and losses at equal size and budget, in one table.

Each arm is trained by a process of its own (one thread each, ``--workers`` side by side) into ``OUT/ARM``; a killed study goes on
where it was. The table says what each latent keeps of never-seen drawings and what its tokens cost.
"""

import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from mvae.bench import measure as bench
from mvae.config import DEFAULT_MODEL, LatentConfig
from mvae.data.dataset import load_pictures
from mvae.engine.model import load
from mvae.evaluate.results import write_study
from mvae.evaluate.through_tokens import tokens_of
from mvae.models.mvae import MVAE, capacity_nats
from mvae.reproduce.arms import Arm, choose, result_of, run_side_by_side
from mvae.reproduce.latent_arms import arms
from mvae.reproduce.latent_plot import draw
from mvae.reproduce.vae_measures import reconstruction
from mvae.training.loop import train_stage
from mvae.training.metrics import read_metrics
from mvae.training.vae_stage import VaeTraining

COLUMNS = (
    "arm", "about", "tokens", "codebook", "bytes", "parameters", "decoder_mmac",
    "token_ceiling", "token_ceiling_5", "real_ceiling", "of_real_ceiling", "token_ceiling_seen", "real_ceiling_seen",
    "psnr", "ssim", "psnr_64", "perceptual", "codes_used", "token_nats", "kl_nats", "rate_nats", "capacity_nats",
    "tokens_ms", "steps", "batch", "seconds", "command",
)


def bytes_an_image(latent: LatentConfig) -> int:
    """What ``encode`` writes for one picture, without the file's header."""
    return math.ceil(latent.positions * math.log2(latent.codebook) / 8)


def token_statistics(tokens: Tensor, codebook: int) -> dict[str, float]:
    """Distinct tokens over all positions and pictures, and the entropy of their common distribution in nats a token."""
    share = torch.bincount(tokens.flatten(), minlength=codebook) / tokens.numel()
    used = share[share > 0]
    return {"codes_used": len(used), "token_nats": -(used * used.log()).sum().item()}


def decoder_macs(vae: MVAE) -> int:
    """Multiplications of one decoded picture, convolutions alone."""
    counted = []

    def count(layer: torch.nn.Conv2d, _, output: Tensor) -> None:
        counted.append(layer.weight.numel() * output.shape[2] * output.shape[3])

    hooks = [m.register_forward_hook(count) for m in vae.decoder.modules() if isinstance(m, torch.nn.Conv2d)]
    vae.decode_tokens(torch.zeros(1, vae.config.latent.positions, dtype=torch.long))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def run_arm(arm: Arm, data: Path, out: Path) -> dict:
    """Train and measure one arm; ``OUT/ARM/result.json`` of the same settings is taken as it is."""
    return result_of(arm, out, lambda: _train_and_measure(arm, data, out / arm.name))


def _train_and_measure(arm: Arm, data: Path, folder: Path) -> dict:
    train, unseen = (load_pictures(data, size=128, split=split, progress=False) for split in ("train", "unseen"))
    begun = time.monotonic()
    vae = train_stage(VaeTraining(arm.stage, train, unseen), folder / "vae", resume=True).vae.eval()
    seconds, config = time.monotonic() - begun, arm.stage.config
    return {
        "arm": arm.name,
        "about": arm.about,
        "tokens": config.latent.positions,
        "codebook": config.latent.codebook,
        "bytes": bytes_an_image(config.latent),
        "parameters": sum(p.numel() for p in vae.parameters()),
        "decoder_mmac": decoder_macs(vae) / 1e6,
        **reconstruction(vae, data, unseen),
        **token_statistics(tokens_of(vae, unseen), config.latent.codebook),
        "rate_nats": arm.stage.rate_nats,
        "capacity_nats": capacity_nats(config),
        "steps": arm.stage.schedule.steps,
        "batch": arm.stage.schedule.batch,
        "seconds": round(seconds, 1),
    }


def last_rate(path: Path) -> float:
    """KL a picture in nats at the end of a run: what the arm came to within its steps."""
    return float(read_metrics(path)[-1]["kl_nats"])


def milliseconds_a_token() -> float:
    """Median of the default model's token loop, one thread, over its tokens. A longer sequence costs a little more a token."""
    model = load(DEFAULT_MODEL, threads=1)
    return bench([model], 20)[0]["tokens_ms"]["p50"] / model.latent.positions


def run_all(
    data: Path, out: Path, *, steps: int, batch: int, workers: int, only: list[str] | None, results: Path, plot: Path
) -> list[dict]:
    """Every arm, then the table and the plot. Raises :class:`OptionError` for an unknown arm, :class:`TrainingError` for one
    that failed."""
    chosen = choose(arms(steps, batch), only, workers)
    run_side_by_side(chosen, out, __spec__.name, [str(data), str(out), str(steps), str(batch)], workers)
    command = f"python -m mvae reproduce latent --steps {steps} --batch {batch} --workers {workers}"
    cost = milliseconds_a_token()
    rows = [{**run_arm(arm, data, out), "command": command} for arm in chosen]
    for row in rows:
        row["tokens_ms"] = cost * row["tokens"]
        row["kl_nats"] = last_rate(out / row["arm"] / "vae" / "metrics.csv")
    write_study(results, "latent", COLUMNS, rows)
    draw(rows, plot)
    return rows


def _one(name: str, data: str, out: str, steps: str, batch: str) -> None:
    torch.set_num_threads(1)
    arm = next(arm for arm in arms(int(steps), int(batch)) if arm.name == name)
    run_arm(arm, Path(data), Path(out))


if __name__ == "__main__":
    _one(*sys.argv[1:])

"""``python -m mvae reproduce latent``: VAEs over grids, levels, rates and losses at equal size and budget, in one table.

Each arm is trained by a process of its own (one thread each, ``--workers`` side by side) into ``OUT/ARM``; a killed study goes on
where it was. The table says what each latent keeps of never-seen drawings and what its tokens cost.
"""

import csv
import json
import math
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mvae.bench import measure as bench
from mvae.config import DEFAULT_MODEL, LatentConfig
from mvae.data.dataset import Pictures, load_pictures
from mvae.engine.model import load
from mvae.errors import OptionError, TrainingError
from mvae.evaluate.ceilings import measure
from mvae.evaluate.drawings import list_drawings
from mvae.evaluate.judge import Judge
from mvae.evaluate.results import result_path, write_csv
from mvae.evaluate.through_tokens import sample_drawings, tokens_of, torch_roundtrip
from mvae.files import write_atomic
from mvae.models.mvae import MVAE, capacity_nats
from mvae.models.perceptual import PerceptualDistance
from mvae.reproduce.latent_arms import Arm, arms
from mvae.reproduce.latent_plot import draw
from mvae.training.loop import train_stage
from mvae.training.vae_stage import VaeTraining

SEEN_DRAWINGS = 1000
"""Drawings of trained concepts that are judged beside all of the never-seen ones."""
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


@torch.no_grad()
def perceptual_distance(vae: MVAE, pictures: Pictures) -> float:
    """Mean distance in Lite1's features between pictures and what comes back through the tokens."""
    distance, found = PerceptualDistance(variant=1), []
    for start in range(0, len(pictures), 32):
        image: Tensor = pictures.batch(range(start, min(start + 32, len(pictures))))
        found.append(distance(image, vae.decode_tokens(vae.encode_tokens(image))))
    return torch.cat(found).mean().item()


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


def stored_result(arm: Arm, folder: Path) -> dict | None:
    """What an earlier process measured, if it was of the same settings."""
    path = folder / "result.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found if found.pop("settings", None) == settings_of(arm) else None


def settings_of(arm: Arm) -> dict:
    """As they come back from a JSON file."""
    return json.loads(json.dumps(asdict(arm)))


def run_arm(arm: Arm, data: Path, out: Path) -> dict:
    """Train and measure one arm; ``OUT/ARM/result.json`` of the same settings is taken as it is."""
    folder = out / arm.name
    stored = stored_result(arm, folder)
    if stored is not None:
        return stored
    train, unseen = (load_pictures(data, size=128, split=split, progress=False) for split in ("train", "unseen"))
    begun = time.monotonic()
    vae = train_stage(VaeTraining(arm.stage, train, unseen), folder / "vae", resume=True).vae.eval()
    seconds = time.monotonic() - begun
    judge, listed, config = Judge(), list_drawings(data, "train"), arm.stage.config
    drawings = {name: sample_drawings(listed, name, count) for name, count in (("unseen", len(listed)), ("train", SEEN_DRAWINGS))}
    never, seen = (measure(judge, drawings[name], torch_roundtrip(vae), config.image_size, name) for name in drawings)
    found = {
        "arm": arm.name,
        "about": arm.about,
        "tokens": config.latent.positions,
        "codebook": config.latent.codebook,
        "bytes": bytes_an_image(config.latent),
        "parameters": sum(p.numel() for p in vae.parameters()),
        "decoder_mmac": decoder_macs(vae) / 1e6,
        **{name: never[name] for name in ("token_ceiling", "token_ceiling_5", "real_ceiling", "psnr", "ssim", "psnr_64")},
        "of_real_ceiling": never["token_ceiling"] / never["real_ceiling"],
        "token_ceiling_seen": seen["token_ceiling"],
        "real_ceiling_seen": seen["real_ceiling"],
        "perceptual": perceptual_distance(vae, unseen),
        **token_statistics(tokens_of(vae, unseen), config.latent.codebook),
        "rate_nats": arm.stage.rate_nats,
        "capacity_nats": capacity_nats(config),
        "steps": arm.stage.schedule.steps,
        "batch": arm.stage.schedule.batch,
        "seconds": round(seconds, 1),
    }
    write_atomic(folder / "result.json", json.dumps({**found, "settings": settings_of(arm)}, indent=1).encode())
    return found


def last_rate(path: Path) -> float:
    """KL a picture in nats at the end of a run: what the arm came to within its steps."""
    with open(path, newline="") as file:
        return float(list(csv.DictReader(file))[-1]["kl_nats"])


def milliseconds_a_token() -> float:
    """Median of the default model's token loop, one thread, over its tokens. A longer sequence costs a little more a token."""
    model = load(DEFAULT_MODEL, threads=1)
    return bench([model], 20)[0]["tokens_ms"]["p50"] / model.latent.positions


def run_all(
    data: Path, out: Path, *, steps: int, batch: int, workers: int, only: list[str] | None, results: Path, plot: Path
) -> list[dict]:
    """Every arm, then the table and the plot. Raises :class:`OptionError` for an unknown arm, :class:`TrainingError` for one
    that failed."""
    known = arms(steps, batch)
    unknown = sorted(set(only or []) - {arm.name for arm in known})
    if unknown or workers < 1:
        raise OptionError(f"arms {unknown}, {workers} workers; expected some of {[a.name for a in known]} and at least 1 worker")
    chosen = [arm for arm in known if not only or arm.name in only]
    command = f"python -m mvae reproduce latent --steps {steps} --batch {batch} --workers {workers}"
    waiting, running = [arm for arm in chosen if stored_result(arm, out / arm.name) is None], {}
    with tqdm(total=len(chosen), initial=len(chosen) - len(waiting), desc="arms", unit="arm") as bar:
        while waiting or running:
            while waiting and len(running) < workers:
                arm = waiting.pop(0)
                (out / arm.name).mkdir(parents=True, exist_ok=True)
                log = open(out / arm.name / "log.txt", "w")  # noqa: SIM115 (closed with its process)
                line = [sys.executable, "-m", __spec__.name, arm.name, str(data), str(out), str(steps), str(batch)]
                running[arm.name] = (subprocess.Popen(line, stdout=log, stderr=log), log)
            time.sleep(0.5)
            for name, (process, log) in list(running.items()):
                if process.poll() is not None:
                    log.close()
                    del running[name]
                    bar.update()
                    if process.returncode:
                        for other, _ in running.values():
                            other.terminate()
                        raise TrainingError(f"arm {name} ended with {process.returncode}; see {out / name / 'log.txt'}")
    cost = milliseconds_a_token()
    rows = [{**run_arm(arm, data, out), "command": command} for arm in chosen]
    for row in rows:
        row["tokens_ms"] = cost * row["tokens"]
        row["kl_nats"] = last_rate(out / row["arm"] / "vae" / "metrics.csv")
    shown = [{k: f"{row[k]:.5g}" if isinstance(row[k], float) else row[k] for k in COLUMNS} for row in rows]
    write_csv(result_path(results, "latent", "arms"), COLUMNS, shown)
    draw(rows, plot)
    return rows


def _one(name: str, data: str, out: str, steps: str, batch: str) -> None:
    torch.set_num_threads(1)
    arm = next(arm for arm in arms(int(steps), int(batch)) if arm.name == name)
    run_arm(arm, Path(data), Path(out))


if __name__ == "__main__":
    _one(*sys.argv[1:])

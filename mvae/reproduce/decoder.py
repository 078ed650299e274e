"""``python -m mvae reproduce decoder``: what fine-tuning a finished VAE's decoder buys, by loss, the encoder standing still.

Every arm starts from the same weights and trains for the same steps on exact tokens, so that the tokens stay what they are; the
row "as it was" is the VAE before. A killed study goes on where it was.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from mvae.data.dataset import load_pictures
from mvae.evaluate.results import write_study
from mvae.reproduce.arms import Arm, choose, digest, result_of, run_side_by_side
from mvae.reproduce.vae_measures import reconstruction
from mvae.training.frozen_latent import stored_vae
from mvae.training.loop import train_stage
from mvae.training.recipe import Schedule, VaeStage, load_recipe
from mvae.training.vae_stage import VaeTraining

COLUMNS = (
    "arm", "about", "token_ceiling", "token_ceiling_5", "real_ceiling", "of_real_ceiling", "token_ceiling_seen",
    "real_ceiling_seen", "psnr", "psnr_seen", "ssim", "psnr_64", "perceptual", "steps", "batch", "command",
)
BEFORE = "as it was"


def arms(stage: VaeStage, start: str, steps: int, batch: int) -> list[Arm]:
    """``stage``: how the VAE was trained; ``start``: its checksum. One learning rate for all, a half of the first training's."""
    schedule = Schedule(
        steps=steps, batch=batch, learning_rate=1e-3, hidden_learning_rate=2e-3, warmup=min(20, steps), optimiser="muon",
        ema=0.99, sheet_minutes=60,
    )
    plain = replace(
        stage, schedule=schedule, freeze_encoder_from=0.0, freeze_statistics_from=0.0, perceptual_from=0.0, adversarial_from=0.0
    )
    return [
        Arm("plain", "the loss that it was trained with", plain, start),
        Arm("perceptual", "twice the perceptual distance", replace(plain, perceptual=2 * plain.perceptual), start),
        Arm("matching", "distance of a patch discriminator's activations", replace(plain, matching=0.05), start),
        Arm("adversarial", "that, and the discriminator's opinion", replace(plain, matching=0.05, adversarial=0.01), start),
    ]


def run_arm(arm: Arm, run: Path, data: Path, out: Path) -> dict:
    """Fine-tune and measure one arm; the decoder is left in ``OUT/ARM/vae/ema.safetensors``."""

    def make() -> dict:
        train, unseen = (load_pictures(data, size=128, split=split, progress=False) for split in ("train", "unseen"))
        training = VaeTraining(arm.stage, train, unseen, run / "vae.safetensors")
        vae = train_stage(training, out / arm.name / "vae", resume=True).vae.eval()
        return {"arm": arm.name, "about": arm.about, **reconstruction(vae, data, unseen)}

    return result_of(arm, out, make)


def run_all(
    run: Path, data: Path, out: Path, *, recipe: str, steps: int, batch: int, workers: int, only: list[str] | None, results: Path
) -> list[dict]:
    """The VAE as it was, then every arm.

    Raises :class:`OptionError` for an unknown arm, :class:`DataError` where ``run`` holds no VAE, :class:`TrainingError` for an
    arm that failed.
    """
    stage, before, start = load_recipe(recipe).vae, stored_vae(run), digest(run)
    chosen = choose(arms(stage, start, steps, batch), only, workers)
    run_side_by_side(chosen, out, __spec__.name, [str(run), str(data), str(out), recipe, str(steps), str(batch)], workers)
    unseen = load_pictures(data, size=128, split="unseen")
    untouched = Arm(BEFORE, "before any of it", replace(stage, config=before.config), start)
    rows = [result_of(untouched, out, lambda: {"arm": BEFORE, "about": untouched.about, **reconstruction(before, data, unseen)})]
    rows += [{**run_arm(arm, run, data, out), "steps": steps, "batch": batch} for arm in chosen]
    options = f"--run {run} --recipe {recipe} --steps {steps} --batch {batch} --workers {workers}"
    common = dict.fromkeys(COLUMNS, "") | {"command": f"python -m mvae reproduce decoder {options}"}
    write_study(results, "decoder", COLUMNS, [common | row for row in rows])
    return rows


def _one(name: str, run: str, data: str, out: str, recipe: str, steps: str, batch: str) -> None:
    torch.set_num_threads(1)
    found = arms(load_recipe(recipe).vae, digest(Path(run)), int(steps), int(batch))
    run_arm(next(arm for arm in found if arm.name == name), Path(run), Path(data), Path(out))


if __name__ == "__main__":
    _one(*sys.argv[1:])

"""``python -m mvae reproduce seq2seq``: what each decision about the seq2seq is worth, one arm a decision, equal steps.

All arms learn the tokens of one VAE. Measured are the likelihood of exact tokens of trained and never-seen captions and what the
judge recognises in freely drawn stickers of trained ones. A killed study goes on where it was.
"""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from mvae.data.dataset import load_pictures
from mvae.engine.memory import MEMORY, Memory
from mvae.evaluate.judge import Judge
from mvae.evaluate.results import write_study
from mvae.models.seq2seq import build_seq2seq
from mvae.reproduce.arms import Arm, choose, digest, result_of, run_side_by_side
from mvae.reproduce.memory_arms import VIEWS, take_over, vae_of
from mvae.reproduce.memory_draws import decode, draw, score, trained
from mvae.training.checkpoint import load_weights
from mvae.training.cli import train
from mvae.training.frozen_latent import stored_vae
from mvae.training.metrics import read_metrics
from mvae.training.recipe import Recipe, Seq2SeqStage, load_recipe

COLUMNS = (
    "arm", "about", "nats_trained", "nats_unseen", "object", "object_5", "stickers", "parameters", "steps", "batch",
    "seconds_per_step", "command",
)
REFERENCE = "reference"


def arms(stage: Seq2SeqStage, start: str, steps: int, batch: int) -> list[Arm]:
    """Each differs from the recipe's ``stage`` in one decision; ``start``: checksum of the VAE whose tokens are learned."""
    schedule = replace(stage.schedule, steps=steps, batch=batch, warmup=min(stage.schedule.warmup, steps // 4), sheet_minutes=600)
    reference = replace(stage, schedule=schedule)

    def arm(name: str, about: str, config: dict | None = None, rate: float = 1.0, **stage) -> Arm:
        changed = replace(reference.config, **(config or {}))
        rates = replace(schedule, learning_rate=rate * schedule.learning_rate)
        return Arm(name, about, replace(reference, config=changed, schedule=rates, **stage), start)

    wider = 16 * round(reference.config.d_model / 12)
    return [
        arm(REFERENCE, "the recipe"),
        arm("random-start", "tables and attention begin at random", informed_start=False),
        arm("learned-positions", "position embeddings are trained", {"learned_positions": True}),
        arm("dropout", "a tenth of the activations dropped", {"dropout": 0.1}),
        arm("deeper", "twice the decoder's layers", {"decoder_layers": 2 * reference.config.decoder_layers}),
        arm("wider", "a third wider", {"d_model": wider, "feed_forward": 4 * wider}),
        arm("exact-tokens", "no tokens sampled from the posterior", posterior_share=0.0),
        arm("sampled-tokens", "all tokens sampled from the posterior's cell masses", posterior_share=1.0),
        arm("originals", "no augmented views", original_share=1.0),
        arm("views", "half of the draws augmented", original_share=0.5),
        arm("undisturbed", "tokens read back are never swapped", input_noise=0.0),
        arm("disturbed", "up to a quarter of them swapped", input_noise=0.25),
        arm("drop-text", "a quarter of the captions dropped for guidance", drop_text=0.25),
        arm("slow", "half the learning rate", rate=0.5),
        arm("fast", "twice the learning rate", rate=2.0),
    ]


def stage_of(recipe: str, run: Path) -> Seq2SeqStage:
    """The recipe's seq2seq for the tokens of the VAE in ``run``. Raises :class:`DataError` where there is none."""
    stage, latent = load_recipe(recipe).seq2seq, vae_of(run).latent
    return replace(stage, config=replace(stage.config, codebook=latent.codebook, positions=latent.positions))


def recipe_of(arm: Arm, run: Path, recipe: str) -> Recipe:
    """``recipe`` with the arm's stage and the VAE of ``run``."""
    base = load_recipe(recipe)
    return replace(base, name=f"seq2seq study, {arm.name}", vae=replace(base.vae, config=vae_of(run)), seq2seq=arm.stage)


def run_arm(arm: Arm, run: Path, data: Path, out: Path, recipe: str, samples: int) -> dict:
    """Train and measure one arm in ``OUT/ARM``."""
    return result_of(arm, out, lambda: _train_and_measure(arm, run, data, out / arm.name, recipe, samples))


def _train_and_measure(arm: Arm, run: Path, data: Path, folder: Path, recipe: str, samples: int) -> dict:
    take_over(run, folder)
    train(recipe_of(arm, run, recipe), folder, data=data, resume=True, stage="seq2seq")
    vae, config = stored_vae(folder), arm.stage.config
    model = build_seq2seq(config).eval()
    load_weights(model, folder / "model.safetensors")
    pictures = load_pictures(data, size=vae.config.image_size, split="train", progress=False)
    memory = Memory.from_bytes((folder / MEMORY).read_bytes()) if config.memory else None
    asked = trained(pictures, memory, samples)
    tokens = draw(model, config, Tokenizer.from_file(str(folder / "tokenizer.json")), vae.config.latent, asked)
    (folder / VIEWS).unlink()
    with open(folder / "seq2seq" / "sheets.csv", newline="") as file:
        *_, (_, nats_trained, nats_unseen) = csv.reader(file)
    seconds = [float(row["seconds_per_step"]) for row in read_metrics(folder / "seq2seq" / "metrics.csv")]
    return {
        "arm": arm.name, "about": arm.about, "nats_trained": float(nats_trained), "nats_unseen": float(nats_unseen),
        **score(Judge(), decode(vae, tokens), asked.asked), "stickers": len(asked.asked),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "steps": arm.stage.schedule.steps, "batch": arm.stage.schedule.batch, "seconds_per_step": sum(seconds) / len(seconds),
    }


def run_all(
    run: Path, data: Path, out: Path, *, recipe: str, steps: int, batch: int, samples: int, workers: int, only: list[str] | None,
    results: Path,
) -> list[dict]:
    """Every arm, then the table. Raises :class:`OptionError` for an unknown arm, :class:`DataError` where ``run`` holds no VAE,
    :class:`TrainingError` for an arm that failed."""
    chosen = choose(arms(stage_of(recipe, run), digest(run), steps, batch), only, workers)
    options = [str(run), str(data), str(out), recipe, str(steps), str(batch), str(samples)]
    run_side_by_side(chosen, out, __spec__.name, options, workers)
    command = (
        f"python -m mvae reproduce seq2seq --run {run} --recipe {recipe} --steps {steps} --batch {batch} --samples {samples} "
        f"--workers {workers}"
    )
    rows = [{**run_arm(arm, run, data, out, recipe, samples), "command": command} for arm in chosen]
    write_study(results, "seq2seq", COLUMNS, rows)
    return rows


def _one(name: str, run: str, data: str, out: str, recipe: str, steps: str, batch: str, samples: str) -> None:
    torch.set_num_threads(1)
    found = arms(stage_of(recipe, Path(run)), digest(Path(run)), int(steps), int(batch))
    run_arm(next(arm for arm in found if arm.name == name), Path(run), Path(data), Path(out), recipe, int(samples))


if __name__ == "__main__":
    _one(*sys.argv[1:])

"""``python -m mvae reproduce memory``: does a seq2seq that reads the stickers with the nearest captions draw better than one that
reads the text alone, at equal training time and equal bytes?"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer

from mvae.config import Seq2SeqConfig
from mvae.data.dataset import load_pictures
from mvae.engine.memory import Memory
from mvae.errors import OptionError
from mvae.evaluate.judge import Judge
from mvae.evaluate.results import write_study
from mvae.evaluate.through_tokens import tokens_of
from mvae.models.export_wrappers import straight_pixels
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import build_seq2seq
from mvae.reproduce.memory_arms import ARMS, equal_bytes, stored_weights, train_arm, vae_of
from mvae.reproduce.memory_draws import BATCH, Set, decode, draw, left_out, recoloured, score, trained
from mvae.training.checkpoint import load_weights
from mvae.training.frozen_latent import stored_vae
from mvae.training.metrics import read_metrics
from mvae.training.recall import memory_of
from mvae.training.sheets import save_sheet

COLUMNS = (
    "set", "arm", "about", "guidance", "object", "object_5", "colour", "stickers", "parameters", "memory_bytes", "bytes", "steps",
    "seconds_per_step", "command",
)
SHOWN = 48
GUIDANCE = (1.25, 3.0, 5.0)
"""Every arm is drawn from with each: what reads a memory needs more of it than what does not."""


def run_all(
    run: Path, data: Path, out: Path, *, minutes: float, samples: int, workers: int, only: list[str] | None, results: Path,
) -> list[dict]:
    """Train the arms, draw, judge, and write the table.

    Raises :class:`OptionError` for an unknown arm or numbers out of range.
    """
    unknown = sorted(set(only or []) - {arm.name for arm in ARMS})
    if unknown or minutes <= 0 or samples < 1 or workers < 1:
        raise OptionError(
            f"arms {unknown}, {minutes} minutes, {samples} samples, {workers} workers; expected some of {[a.name for a in ARMS]} "
            "and positive numbers"
        )
    config, vae = vae_of(run), stored_vae(run)
    pictures, unseen = (load_pictures(data, size=config.image_size, split=split) for split in ("train", "unseen"))
    memory = memory_of(pictures.meta, tokens_of(vae, pictures), config.latent_id)
    arms = [arm for arm in equal_bytes(config, len(memory.to_bytes())) if not only or arm.name in only]
    folders = {arm.name: train_arm(arm, run, data, out, minutes, workers) for arm in arms}
    sets = [trained(pictures, memory, samples), left_out(unseen, vae, memory, samples), recoloured(pictures, memory, samples)]
    judge, rows = Judge(), []
    command = f"python -m mvae reproduce memory --run {run} --minutes {minutes:g} --samples {samples} --workers {workers}"
    if only:
        command += f" --only {' '.join(only)}"
    reference: dict[str, list] = {}
    for asked in sets:
        kept = torch.cat([vae.encode_tokens(part) for part in asked.real.split(BATCH)])
        reference[asked.name] = [asked.real[:SHOWN], vae.decode_tokens(kept[:SHOWN])]
        for name, stickers in (("real drawings", straight_pixels(asked.real).numpy()), ("through the tokens", decode(vae, kept))):
            rows.append({"set": asked.name, "arm": name, **score(judge, stickers, asked.asked), "stickers": len(asked.asked)})
    for arm in arms:
        rows += _measure(arm, folders[arm.name], vae, memory, sets, reference, judge)
    rows.sort(key=lambda row: [asked.name for asked in sets].index(row["set"]))
    rows = [{**row, "command": command} for row in rows]
    write_study(results, "memory", COLUMNS, [dict.fromkeys(COLUMNS, "") | row for row in rows], digits=4)
    return rows


def _measure(arm, folder: Path, vae: MVAE, memory: Memory, sets: list[Set], reference: dict, judge: Judge) -> list[dict]:
    """One arm on every set; leaves a sheet a set in its folder."""
    config = Seq2SeqConfig.from_dict(json.loads((folder / "seq2seq_config.json").read_text()))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = build_seq2seq(config).eval()
    load_weights(model, folder / "model.safetensors")
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    stored = len(memory.to_bytes()) if config.memory else 0
    log = read_metrics(folder / "seq2seq" / "metrics.csv")
    about = {
        "arm": arm.name, "about": arm.about, "parameters": parameters, "memory_bytes": stored,
        "bytes": stored_weights(config) + stored, "steps": int(log[-1]["step"]),
        "seconds_per_step": sum(float(row["seconds_per_step"]) for row in log) / len(log),
    }
    rows = []
    for asked in sets:
        for guidance in GUIDANCE:
            tokens = draw(model, config, tokenizer, vae.config.latent, asked, guidance)
            measured = score(judge, decode(vae, tokens), asked.asked)
            rows.append({"set": asked.name, **about, "guidance": guidance, **measured, "stickers": len(asked.asked)})
            name = "".join(c if c.isalnum() else "-" for c in f"{asked.name} {guidance:g}")
            titles = [f"{a.style} {a.words}" for a in asked.asked[:SHOWN]]
            save_sheet(folder / f"{name}.png", [*reference[asked.name], vae.decode_tokens(tokens[:SHOWN])], titles)
    return rows

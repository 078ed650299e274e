"""``python -m mvae train RECIPE``: both stages of one run, and the files that the export reads.

    python -m mvae train small --out runs/small --resume
    torchrun --nproc-per-node 2 -m mvae train small --out runs/small

``OUT/vae`` and ``OUT/seq2seq`` hold checkpoints, metrics and sheets; ``OUT`` itself the finished weights and configurations.
"""

import argparse
import hashlib
import json
import shutil
import time
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer

from mvae.config import VaeConfig
from mvae.data.compose import KINDS
from mvae.data.dataset import Pictures, load_pictures
from mvae.engine.memory import MEMORY
from mvae.errors import DataError
from mvae.files import write_atomic
from mvae.models.fake_quantise import plain_again
from mvae.models.mvae import MVAE
from mvae.training.checkpoint import float_state, load_weights, save_tensors
from mvae.training.frozen_latent import reference_encoder
from mvae.training.loop import process_group, train_stage
from mvae.training.palette import SHARE, compute_palette
from mvae.training.recall import with_pictures
from mvae.training.recipe import Recipe, load_recipe
from mvae.training.scenes import compute_scenes, stored_scenes
from mvae.training.seq2seq_stage import Seq2SeqTraining
from mvae.training.text import save_tokenizer, train_tokenizer
from mvae.training.vae_stage import VaeTraining
from mvae.training.views import compute_views
from mvae.training.warm_start import begin_with


def run(args: argparse.Namespace) -> dict:
    """Train and return a summary. Raises :class:`DataError` for a bad recipe or data, :class:`TrainingError` for a bad run."""
    recipe = load_recipe(args.recipe)
    out = args.out or Path("runs") / recipe.name
    pace = {"workers": args.workers, "minutes": args.minutes}
    return train(recipe, out, data=args.data, resume=args.resume, stage=args.stage, warm_start=args.warm_start, **pace)


def train(
    recipe: Recipe, out: Path, *, data: Path | None = None, resume: bool = False, stage: str = "all",
    warm_start: Path | None = None, progress: bool = True, workers: int = 0, minutes: float | None = None,
) -> dict:
    """Train ``recipe`` below ``out``; the seq2seq needs the VAE's stage finished first. Returns seconds by stage.

    ``warm_start``: a run or zoo entry. With ``stage`` "vae" its VAE is the starting point; otherwise its VAE is taken as it is
    and its seq2seq is the starting point. Schedules begin afresh. ``workers`` processes make batches ahead; ``minutes`` is what
    each stage may take, as :func:`mvae.training.loop.train_stage` says.
    """
    if workers < 0 or (minutes is not None and minutes <= 0):
        raise DataError(f"workers {workers}, minutes {minutes}: expected 0 or more workers, and more than 0 minutes")
    rank, _ = process_group()
    pace = {"workers": workers, "minutes": minutes}
    progress = progress and rank == 0
    source = Path(data or recipe.data)
    size = recipe.vae.config.image_size
    pictures = load_pictures(source, size=size, split="train", progress=progress)
    try:
        unseen = load_pictures(source, size=size, split="unseen", progress=progress)
    except DataError:
        unseen = pictures  # a small folder of one's own may have no held-out part: the sheets then show what was learned
    if warm_start is not None and stage != "vae":
        if rank == 0:
            adopt_vae(warm_start, out, recipe)
        stage = "seq2seq"
        if dist.is_initialized():
            dist.barrier()
    started, summary = time.monotonic(), {"recipe": recipe.name, "pictures": len(pictures), "out": str(out)}
    try:
        if stage in ("vae", "all"):
            training = VaeTraining(recipe.vae, pictures, unseen, warm_start and warm_start / "vae.safetensors")
            vae = plain_again(train_stage(training, out / "vae", resume=resume, progress=progress, **pace).vae)
            if rank == 0:
                write_atomic(out / "vae_config.json", json.dumps(recipe.vae.config.to_dict(), indent=1).encode())
                save_tensors(out / "vae.safetensors", float_state(vae))
            summary["vae_seconds"] = round(time.monotonic() - started, 1)
        if dist.is_initialized():
            dist.barrier()
        if stage in ("seq2seq", "all"):
            started = time.monotonic()
            train_seq2seq(recipe, out, source, pictures, unseen, resume=resume, progress=progress, rank=rank, start=warm_start,
                          pace=pace)
            summary["seq2seq_seconds"] = round(time.monotonic() - started, 1)
        if rank == 0:
            facts = {"recipe": recipe.to_dict(), "torch": torch.__version__, "data": data_facts(source), "summary": summary}
            write_atomic(out / "run.json", json.dumps(facts, indent=1, default=str).encode())
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return summary


def data_facts(source: Path) -> dict:
    """What the run was trained on, for the manifest: the data index's checksum, or the shard's."""
    path = source if source.is_file() else source / "index.json"
    return {"name": source.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None}


def load_vae(out: Path, recipe: Recipe) -> MVAE:
    """The finished VAE of a run. Raises :class:`DataError` where its stage has not been run."""
    path = out / "vae.safetensors"
    if not path.exists():
        raise DataError(f"{path}: not found; train the VAE first (--stage vae)")
    vae = MVAE(recipe.vae.config)
    load_weights(vae, path)
    return vae.to(memory_format=torch.channels_last).eval()


def train_seq2seq(
    recipe: Recipe, out: Path, source: Path, pictures: Pictures, unseen: Pictures, *, resume: bool, progress: bool, rank: int,
    start: Path | None = None, pace: dict,
) -> None:
    """Tokenizer, views and the seq2seq itself."""
    folder = out / "seq2seq"
    vae = load_vae(out, recipe)
    if recipe.vae.distilled_latent is not None:  # the seq2seq learns the reference's tokens, not those of a student of it
        vae.encoder = reference_encoder(Path(recipe.vae.distilled_latent)).to(memory_format=torch.channels_last)
    path = out / "tokenizer.json"
    encoder = b"".join(t.numpy().tobytes() for t in vae.encoder.state_dict().values())
    facts = repr((len(pictures), recipe.seq2seq.views, data_facts(source)))
    mark = hashlib.sha256(encoder + facts.encode()).hexdigest()[:16]
    made = rank == 0
    if dist.is_initialized() and not made:
        dist.barrier()  # the first process makes tokenizer and views, the others read them
    teacher = recipe.seq2seq.teacher
    own_words = recipe.seq2seq.new_tokenizer or (start is None and teacher is None)
    if made and start is None and teacher is not None and not path.exists():
        write_atomic(path, (Path(teacher) / "tokenizer.json").read_bytes())
    if made and own_words and not (resume and path.exists()):
        save_tokenizer(train_tokenizer(pictures, recipe.seq2seq.config.vocabulary - 4), path)
    tokenizer = Tokenizer.from_file(str(path))
    vae.to("cuda" if torch.cuda.is_available() else "cpu")
    views = compute_views(
        vae, pictures, recipe.seq2seq.views, recipe.seq2seq.schedule.seed, folder / "views.safetensors", mark, progress
    )
    scenes = palette = None
    if recipe.seq2seq.scenes:
        kept, scene_mark = folder / "scenes.safetensors", f"{mark} {recipe.seq2seq.scenes} {KINDS}"
        scenes = stored_scenes(kept, scene_mark)
        if scenes is None:
            toned = load_pictures(source, size=recipe.vae.config.image_size, role="tone", split="train", progress=progress)
            count, seed = recipe.seq2seq.scenes, recipe.seq2seq.schedule.seed
            scenes = compute_scenes(vae, pictures, toned, count, seed, kept, scene_mark, progress)
        if recipe.seq2seq.config.memory:
            palette = compute_palette(
                vae, pictures, views.tokens(vae.config)[:, 0].numpy(), recipe.seq2seq.schedule.seed,
                folder / "palette.safetensors", f"{mark} {SHARE}", progress,
            )
    if dist.is_initialized() and made:
        dist.barrier()
    training = Seq2SeqTraining(recipe.seq2seq, pictures, views, unseen, vae, tokenizer, scenes, palette)
    if start is not None:
        if own_words:
            begin_with(training.module.model, recipe.seq2seq.config, tokenizer, start)
        else:
            load_weights(training.module.model, start / "model.safetensors")
    module = train_stage(training, folder, resume=resume, progress=progress, **pace)
    if rank == 0:
        write_atomic(out / "seq2seq_config.json", json.dumps(recipe.seq2seq.config.to_dict(), indent=1).encode())
        if training.memory is not None:
            whole = training.memory if unseen is pictures else with_pictures(training.memory, unseen, vae)
            write_atomic(out / MEMORY, whole.to_bytes())
        save_tensors(out / "model.safetensors", float_state(module.model))


def adopt_vae(entry: Path, out: Path, recipe: Recipe) -> None:
    """Copy an entry's VAE, and its tokenizer unless the recipe learns one, into the run ``out``.

    Raises :class:`DataError` where they are missing or differ.
    """
    needed = ("vae_config.json", "vae.safetensors", "tokenizer.json", "model.safetensors")
    missing = [name for name in needed if not (entry / name).is_file()]
    if missing:
        raise DataError(f"warm start: {entry} lacks {missing}, expected a zoo entry with {list(needed)}")
    found = VaeConfig.from_dict(json.loads((entry / "vae_config.json").read_text()))
    if found != recipe.vae.config:
        raise DataError(f"warm start: {entry} holds {found}, expected the recipe's {recipe.vae.config}")
    out.mkdir(parents=True, exist_ok=True)
    for name in needed[:2] if recipe.seq2seq.new_tokenizer else needed[:3]:
        if not (out / name).exists():
            shutil.copyfile(entry / name, out / name)

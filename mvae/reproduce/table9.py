"""``python -m mvae reproduce table9``: nine systems with the same network, images, number of epochs and sampler rule, measured
alike; and the paper's claims beside, as claimed.

The sampler rule: for every class a mixture of Gaussians in latent space (:mod:`mvae.evaluate.class_mixture`); the mVAE also
draws through its own seq2seq, from words.
"""

import json
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mvae.data.benchmarks import CLASSES, Labelled, load_benchmark
from mvae.engine.stored_system import StoredSystem, load_system
from mvae.engine.system_files import FOLDER, INDEX, WORDS
from mvae.engine.system_titles import SYSTEM_TITLES
from mvae.errors import OptionError
from mvae.evaluate.classifier import to_float
from mvae.evaluate.results import write_study
from mvae.machine import cpu_name
from mvae.models.systems import build_system
from mvae.reproduce.arms import over_seeds, run_modules
from mvae.reproduce.table9_measures import DRAWN, measure, measured_path
from mvae.reproduce.table9_training import MINIATURISED, folder_of, is_trained, settings, system_config
from mvae.training.system_loop import fit

ROWS = tuple(SYSTEM_TITLES)
TRAINED = tuple(name for name in ROWS if name != MINIATURISED)
CLAIMED = {
    "vae": (75.3, 2), "vade": (92.5, 58), "gmvae": (94.7, 43), "info_vae": (65.9, 39), "beta_vae": (86.1, 17),
    "vq_vae": (85.6, 5), "s_vae": (78.3, 58), "vae_gan": (61.7, 43), "mvae": (97.2, 2),
}
"""What the paper's Table 9 prints: "accuracy of generated image" in percent and seconds an epoch, without saying of what data
(the VQ-VAE's two numbers stand in each other's column there). They stand beside ours and are never used."""
SPREAD = (
    "cga", "coverage", "density", "frechet", "negative_elbo", "bits_per_dim", "psnr", "latent_accuracy", "probe_accuracy",
    "clustering_accuracy", "words_cga", "words_coverage", "words_density", "words_frechet",
)
COLUMNS = (
    "arm", "system", "data", "claimed", "claimed_seconds", "seeds", "epochs", "real_accuracy",
    *(f"{n}{part}" for n in SPREAD for part in ("", "_sd")),
    "epoch_seconds", "parameters", "bytes", "encode_ms", "decode_ms", "images", "cpu", "command",
)
TIMED_STEPS, TIMED = 40, 300
"""Training steps, and images encoded and decoded, that are timed."""


def run_all(
    source: Path, out: Path, *, benchmarks: Sequence[str], seeds: int, epochs: int, workers: int, results: Path,
    entries: Path = FOLDER, count: int = DRAWN,
) -> list[dict]:
    """Train, export and measure what is missing below ``out``, write a table a data set, and put the shown entries (seed 0) into
    ``entries``. ``count``: images drawn of a class.

    Raises :class:`OptionError` for an unknown benchmark or no seed, DataError where one has not been built, TrainingError where
    a process fails.
    """
    unknown = sorted(set(benchmarks) - set(CLASSES))
    if unknown or min(seeds, epochs, workers) < 1:
        raise OptionError(f"benchmarks {unknown}, {seeds} seeds, {epochs} epochs, {workers} workers; expected some of "
                          f"{list(CLASSES)} and at least 1 of each")
    torch.set_num_threads(1)
    wanted = [(data, name, seed) for seed in range(seeds) for data in benchmarks for name in TRAINED]
    common = [str(out), "--data", str(source), "--epochs", str(epochs)]
    lines = {
        str(folder.relative_to(out)): ["mvae.reproduce.table9_training", *map(str, job), *common]
        for job in wanted if not is_trained(folder := folder_of(out, *job), *job, epochs)
    }
    run_modules(lines, out, workers, done=len(wanted) - len(lines))
    every = [(data, name, seed) for data in benchmarks for seed in range(seeds) for name in ROWS]
    lines = {
        str(path.relative_to(out).with_suffix("")): [
            "mvae.reproduce.table9_measures", *map(str, job), str(out), "--data", str(source), "--drawn", str(count),
        ]
        for job in every if not (path := measured_path(*job, out)).is_file()
    }
    run_modules(lines, out, workers, done=len(every) - len(lines))
    found: dict[tuple[str, str], list[dict]] = {}
    for data, name, seed in every:
        found.setdefault((data, name), []).append(measure(data, name, seed, out, source, count))
    rows = []
    for data in benchmarks:
        test, train = (load_benchmark(source / data, split) for split in ("test", "train"))
        table = [_row(data, name, found[data, name], out, test, train, epochs) for name in ROWS]
        write_study(results, f"table9-{data}", COLUMNS, table)
        rows += table
        for name in ROWS:
            _show(folder_of(out, data, name, 0) / "zoo" / data / name, entries / data / name)
    return rows


def _row(data: str, name: str, runs: list[dict], out: Path, test: Labelled, train: Labelled, epochs: int) -> dict:
    entry = load_system(data, name, folder_of(out, data, name, 0) / "zoo")
    claimed = CLAIMED.get(name, ("", ""))
    row = dict.fromkeys(COLUMNS, "") | {
        "arm": name, "system": name, "data": data, "claimed": claimed[0], "claimed_seconds": claimed[1], "seeds": len(runs),
        "epochs": epochs, **{name: runs[0][name] for name in ("real_accuracy", "parameters", "bytes")},
        "cpu": cpu_name(),
        "command": f"python -m mvae reproduce table9 --benchmarks {data} --seeds {len(runs)} --epochs {epochs}",
        **latency(entry, test.images[:TIMED]),
    }
    for measured in SPREAD:
        if all(measured in run for run in runs):
            row |= over_seeds(measured, [run[measured] for run in runs])
    row["images"] = len(train)
    if name != MINIATURISED:
        row["epoch_seconds"] = epoch_seconds(data, name, train)
    return row


def latency(entry: StoredSystem, images: np.ndarray) -> dict[str, float]:
    """Medians in milliseconds of encoding and decoding one image at a time, on one thread."""
    seconds: dict[str, list[float]] = {"encode_ms": [], "decode_ms": []}
    for image in images.transpose(0, 3, 1, 2).astype(np.float32) / 255:
        begun = time.perf_counter()
        latent = entry.encode(image[None])
        between = time.perf_counter()
        entry.decode(latent)
        seconds["encode_ms"].append(between - begun)
        seconds["decode_ms"].append(time.perf_counter() - between)
    return {name: 1000 * statistics.median(found) for name, found in seconds.items()}


def epoch_seconds(data: str, name: str, train: Labelled) -> float:
    """Seconds of an epoch of ``train``, from the faster of two short ones, in this process."""
    how = settings(name, 2, 0)
    images = to_float(train.images[: TIMED_STEPS * how.batch])
    torch.manual_seed(0)
    logged = fit(build_system(name, system_config(data)), images, how, binarised=False)
    return min(logged.seconds) * len(train) / len(images)


def _show(made: Path, shown: Path) -> None:
    """Copy an entry, its index last: a half-copied entry is not one. Words that it shares are copied with whose they are."""
    shown.mkdir(parents=True, exist_ok=True)
    about = json.loads((made / INDEX).read_text())
    for file in [*(name for name in about["files"] if not (name in WORDS and "words" in about)), INDEX]:
        shutil.copyfile(made / file, shown / file)

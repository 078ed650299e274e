"""What the studies that train networks share: arms side by side, a process each, and results that are stored."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from mvae.errors import OptionError, TrainingError
from mvae.files import write_atomic
from mvae.training.recipe import Seq2SeqStage, VaeStage

ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of a process beside others: the threads of several pools that wait for one another cost more than they do."""


@dataclass(frozen=True)
class Arm:
    """One network of a study."""

    name: str
    about: str
    """What differs from the reference, in words."""
    stage: VaeStage | Seq2SeqStage
    start: str = ""
    """Checksum of the weights that it begins with, if it does not begin with fresh ones: a result belongs to them."""


def over_seeds(name: str, values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation (of a sample; 0 for one seed) of a measure, the columns ``name`` and ``name_sd``."""
    return {name: statistics.fmean(values), f"{name}_sd": statistics.stdev(values) if len(values) > 1 else 0.0}


def digest(run: Path) -> str:
    """SHA-256 of the VAE in a run or an entry of the zoo."""
    return hashlib.sha256((run / "vae.safetensors").read_bytes()).hexdigest()


def choose(arms: Sequence[Arm], only: list[str] | None, workers: int) -> list[Arm]:
    """The arms named, or all. Raises :class:`OptionError` for an unknown name or no worker."""
    names = [arm.name for arm in arms]
    unknown = sorted(set(only or []) - set(names))
    if unknown or workers < 1:
        raise OptionError(f"arms {unknown}, {workers} workers; expected some of {names} and at least 1 worker")
    return [arm for arm in arms if not only or arm.name in only]


def run_side_by_side(arms: Sequence[Arm], out: Path, module: str, arguments: Sequence[str], workers: int) -> None:
    """``python -m MODULE ARM ARGUMENTS`` for every arm without a result, ``workers`` at once; each logs into ``out/ARM/log.txt``.

    Raises :class:`TrainingError` where one fails; the others are then ended.
    """
    waiting = [arm.name for arm in arms if stored_result(arm, out) is None]
    lines = {name: [module, name, *arguments] for name in waiting}
    run_modules(lines, out, workers, done=len(arms) - len(waiting))


def run_modules(lines: dict[str, list[str]], out: Path, workers: int, done: int = 0) -> None:
    """``python -m LINE`` for every line, ``workers`` at once, on one thread each; each logs into ``out/NAME/log.txt``. ``done``:
    arms that are counted but need no process.

    Raises :class:`TrainingError` where one fails; the others are then ended.
    """
    waiting, running = list(lines.items()), {}
    with tqdm(total=done + len(waiting), initial=done, desc="arms", unit="arm") as bar:
        while waiting or running:
            while waiting and len(running) < workers:
                name, line = waiting.pop(0)
                (out / name).mkdir(parents=True, exist_ok=True)
                log = open(out / name / "log.txt", "w")  # noqa: SIM115 (closed with its process)
                line = [sys.executable, "-m", *line]
                running[name] = (subprocess.Popen(line, stdout=log, stderr=log, env=os.environ | ALONE), log)
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


def stored_result(arm: Arm, out: Path) -> dict | None:
    """What an earlier process measured, if it was of the same settings."""
    path = out / arm.name / "result.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found if found.pop("settings", None) == _settings(arm) else None


def result_of(arm: Arm, out: Path, make: Callable[[], dict]) -> dict:
    """The stored result, or what ``make`` returns, which is stored."""
    found = stored_result(arm, out)
    if found is None:
        found = make()
        write_atomic(out / arm.name / "result.json", json.dumps({**found, "settings": _settings(arm)}, indent=1).encode())
    return found


def _settings(arm: Arm) -> dict:
    """As they come back from a JSON file."""
    return json.loads(json.dumps(asdict(arm)))

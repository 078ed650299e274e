"""Search for training settings (the paper's 2.6, across runs): Optuna, which stops bad trials early and keeps all of them in
SQLite, so that a search goes on where it was; or the same search on Ray Tune, where one machine is too few.
"""

from collections.abc import Callable
from pathlib import Path

import optuna

from mvae.errors import OptionError, TrainingError
from mvae.training.system_loop import OPTIMISERS, Settings

Report = Callable[[int, float], bool]
"""(epochs done, loss) → whether the trial should be given up."""
Objective = Callable[[Settings, Report], float]
"""Trains with the settings, reports after every epoch, and returns the last loss, smaller being better."""
BATCHES, RATES = (32, 64, 100, 200), (2e-4, 1e-2)
SCHEDULES = ("constant", "cosine")


def suggest(trial: optuna.Trial, epochs: int) -> Settings:
    """Settings from the space that is searched."""
    return Settings(
        epochs=epochs,
        batch=trial.suggest_categorical("batch", BATCHES),
        optimiser=trial.suggest_categorical("optimiser", sorted(OPTIMISERS)),
        learning_rate=trial.suggest_float("learning_rate", *RATES, log=True),
        schedule=trial.suggest_categorical("schedule", SCHEDULES),
    )


def search(
    objective: Objective, *, trials: int, epochs: int, storage: Path, first: Settings | None = None, seed: int = 0
) -> Settings:
    """The best settings of ``trials`` trials in all, those of earlier calls with the same ``storage`` (an SQLite file) included.

    ``first``: settings that are tried before all others. A trial whose loss after an epoch is above the median of the others'
    is given up. Raises OptionError for no trial, TrainingError where none was finished.
    """
    if trials < 1:
        raise OptionError(f"{trials} trials; expected at least 1")
    storage.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="mvae", storage=f"sqlite:///{storage}", load_if_exists=True, direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed + len(_tried(storage))), pruner=optuna.pruners.MedianPruner(5, 1),
    )
    if first is not None and not study.trials:
        study.enqueue_trial({"batch": first.batch, "optimiser": first.optimiser, "learning_rate": first.learning_rate,
                             "schedule": first.schedule})

    def run(trial: optuna.Trial) -> float:
        def report(epoch: int, loss: float) -> bool:
            trial.report(loss, epoch)
            return trial.should_prune()

        return objective(suggest(trial, epochs), report)

    left = trials - len([t for t in study.trials if t.state.is_finished()])
    if left > 0:
        study.optimize(run, n_trials=left, catch=(TrainingError,), show_progress_bar=False)
    if not any(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials):
        raise TrainingError(f"none of {len(study.trials)} trials was finished")
    return Settings(epochs=epochs, **study.best_params)


def given_up() -> optuna.TrialPruned:
    """What an objective raises after a report said so."""
    return optuna.TrialPruned()


def counts(storage: Path) -> dict[str, int]:
    """Trials in ``storage`` by how they ended: ``complete``, ``pruned``, ``fail``."""
    found: dict[str, int] = {}
    for trial in _tried(storage):
        found[trial.state.name.lower()] = found.get(trial.state.name.lower(), 0) + 1
    return found


def _tried(storage: Path) -> list:
    if not storage.exists():
        return []
    return optuna.load_study(study_name="mvae", storage=f"sqlite:///{storage}").trials


def search_with_ray(objective: Objective, *, trials: int, epochs: int, folder: Path, first: Settings | None = None) -> Settings:
    """As :func:`search`, on Ray Tune (``pip install -r requirements-ray.txt``): trials side by side, on a cluster too; ``folder``
    keeps their state, and a search that was broken off goes on. Raises OptionError where Ray is not installed."""
    try:
        from ray import tune
    except ImportError:
        raise OptionError("Ray is not installed; expected pip install -r requirements-ray.txt, or a search without Ray") from None
    space = {
        "batch": tune.choice(BATCHES), "optimiser": tune.choice(sorted(OPTIMISERS)), "learning_rate": tune.loguniform(*RATES),
        "schedule": tune.choice(SCHEDULES),
    }

    def run(config: dict) -> None:
        def report(epoch: int, loss: float) -> bool:
            tune.report({"loss": loss, "epoch": epoch})
            return False  # the scheduler ends the process

        objective(Settings(epochs=epochs, **config), report)

    place = folder.resolve()
    if tune.Tuner.can_restore(str(place / "mvae")):
        tuner = tune.Tuner.restore(str(place / "mvae"), run, resume_errored=True)
    else:
        points = None if first is None else [{n: getattr(first, n) for n in space}]
        tuner = tune.Tuner(
            run, param_space=space,
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", num_samples=trials, search_alg=tune.search.BasicVariantGenerator(points),
                scheduler=tune.schedulers.ASHAScheduler(time_attr="epoch", max_t=epochs, grace_period=1),
            ),
            run_config=tune.RunConfig(name="mvae", storage_path=str(place), verbose=0),
        )
    return Settings(epochs=epochs, **tuner.fit().get_best_result().config)

"""Hyper-parameters that move while a model trains, toward targets that its recipe states (paper, 2.6 and 23-29).

The paper changes only epochs and batch size between its runs. Here every weight of the objective, and the learning rate, may have
a controller: an integrator in the logarithm, so that a weight stays positive and moves by factors. Its state is a number in the
checkpoint; every step's weights and quantities are in ``metrics.csv``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mvae.errors import DataError

WEIGHTS = ("beta", "prune", "quantise", "sparse", "learning_rate")
"""What can be moved: β, λ_prune, λ_quant, λ_sparse, and a factor of η."""
QUANTITIES = ("kl_nats", "distortion", "psnr", "faint_channels", "grid_distance", "zero_share", "progress")
"""What can be measured: see the metrics of :class:`mvae.training.vae_stage.VaeTraining`."""


@dataclass(frozen=True)
class Control:
    """One weight and the quantity that it holds at a target."""

    weight: str
    quantity: str
    target: float
    """In the quantity's own unit: nats, dB, a share."""
    start: float
    gain: float = 0.002
    """How much log weight moves in a step for a quantity that is off by its whole target, or more."""
    lowest: float = 1e-9
    highest: float = 1e3
    rises_above: bool = True
    """Whether the weight rises while the quantity is above its target (β and the KL) or below (λ_prune and faint channels)."""

    def __post_init__(self) -> None:
        if self.weight not in WEIGHTS or self.quantity not in QUANTITIES:
            raise DataError(
                f"control of {self.weight!r} by {self.quantity!r}; expected one of {list(WEIGHTS)} by one of {list(QUANTITIES)}"
            )
        if not (self.target > 0 and 0 < self.lowest <= self.start <= self.highest and self.gain > 0):
            raise DataError(f"control {self}: expected a target and a gain above 0, and a start between lowest and highest")


def begin(controls: Sequence[Control]) -> dict[str, float]:
    """The state of controllers before their first step. Raises DataError where two move the same weight."""
    state = {f"log_{control.weight}": math.log(control.start) for control in controls}
    if len(state) != len(controls):
        raise DataError(f"controls of {[control.weight for control in controls]}; expected every weight once")
    return state


def weight(state: Mapping[str, float], name: str) -> float:
    """What a controlled weight is now."""
    return math.exp(state[f"log_{name}"])


def move(state: dict, control: Control, measured: float) -> None:
    """One step of one controller, in place. A measure that is not finite moves nothing."""
    if not math.isfinite(measured):
        return
    excess = max(-1.0, min(1.0, measured / control.target - 1))
    step = control.gain * (excess if control.rises_above else -excess)
    name = f"log_{control.weight}"
    state[name] = min(math.log(control.highest), max(math.log(control.lowest), state[name] + step))


FAST, SLOW = 0.02, 0.004
"""Shares of a new loss in its two moving averages."""


def progress(state: dict, loss: float) -> float:
    """By what share the recent loss is below the longer average; kept in ``state``. 0 before there is any history.

    For a controller of the learning rate, ``Control("learning_rate", "progress", 0.02, 1.0, highest=1.0)``: while the loss falls
    fast enough the rate stays, when it stands still the rate falls.
    """
    fast, slow = state.get("loss_fast", loss), state.get("loss_slow", loss)
    fast, slow = fast + FAST * (loss - fast), slow + SLOW * (loss - slow)
    state |= {"loss_fast": fast, "loss_slow": slow}
    return 1 - fast / slow if slow > 0 else 0.0

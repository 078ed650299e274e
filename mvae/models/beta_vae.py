"""β-VAE: −E log p(x|z) + β KL (Higgins et al. 2017), or + γ |KL − C| with a capacity C that grows (Burgess et al. 2018,
arXiv 1804.03599)."""

from torch import Tensor

from mvae.errors import OptionError
from mvae.models.system import System, SystemConfig


class BetaVae(System):
    """β is on nats summed over dimensions: under a mean over pixels the same number would mean another trade."""

    name = "beta_vae"

    def __init__(self, config: SystemConfig, beta: float = 4.0, gamma: float | None = None, capacity: float = 25.0,
                 capacity_steps: int = 10_000):
        """``gamma``: the second form, with a capacity in nats that grows from 0 to ``capacity`` over ``capacity_steps`` calls of
        :meth:`loss` in training. Raises OptionError for negative numbers."""
        super().__init__(config)
        if beta < 0 or (gamma is not None and gamma < 0) or capacity < 0 or capacity_steps < 1:
            raise OptionError(f"beta {beta}, gamma {gamma}, capacity {capacity}, {capacity_steps} steps; expected none below 0")
        self.beta, self.gamma, self.capacity, self.capacity_steps, self.calls = beta, gamma, capacity, capacity_steps, 0

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        found = super().terms(x)
        if self.gamma is not None:
            found["off_capacity"] = (found["rate"] - self.capacity * min(1.0, self.calls / self.capacity_steps)).abs()
        return found

    def weights(self) -> dict[str, float]:
        if self.gamma is None:
            return {"distortion": 1.0, "rate": self.beta}
        return {"distortion": 1.0, "rate": 0.0, "off_capacity": self.gamma}

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        found = super().loss(x)
        self.calls += self.training
        return found

"""The VAEs of ``reproduce experiments``: one whose rate is held at a target while it trains, and one with the mistake that makes
the KL vanish."""

from torch import Tensor

from mvae.models.system import SystemConfig
from mvae.models.vae import Vae
from mvae.training.controllers import Control, begin, move, weight


class RateControlledVae(Vae):
    """A VAE whose β a controller moves so that the KL stays at the control's target (paper, 2.6): after every training step
    log β rises while the batch's mean KL is above the target and falls while it is below."""

    def __init__(self, config: SystemConfig, control: Control):
        super().__init__(config)
        self.control, self.controller = control, begin([control])
        self.rate_weight = control.start

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        found, terms = super().loss(x)
        if self.training:
            move(self.controller, self.control, terms["rate"].detach().mean().item())
            self.rate_weight = weight(self.controller, self.control.weight)
        return found, terms


class AveragedVae(Vae):
    """A VAE whose likelihood is averaged over the pixels while its KL is summed over the latent: β is in truth C · S², and the
    best posterior is the prior. Kept to show what that looks like in a log."""

    def weights(self) -> dict[str, float]:
        """One part in C · S² for the distortion."""
        return super().weights() | {"distortion": 1 / (self.config.channels * self.config.side**2)}

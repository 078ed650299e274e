"""S-VAE (Davidson et al. 2018, arXiv 1804.00891): von Mises-Fisher posterior and uniform prior on the sphere in R^D; or Power
Spherical (De Cao & Aziz 2020), the robust alternative."""

from torch import Tensor, nn
from torch.nn import functional as F

from mvae.errors import OptionError
from mvae.models.spherical import PowerSpherical, UniformSphere, VonMisesFisher, kl_divergence, log_surface
from mvae.models.system import System, SystemConfig

FAMILIES = {"vmf": VonMisesFisher, "power": PowerSpherical}


class Times(nn.Module):
    """Its input times a constant."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class SVae(System):
    """The latent is a direction: D numbers, D − 1 of them free (a paper's "d = 5" on S^5 needs D = 6). Its concentration is
    κ = 1 + D softplus(…), since what makes directions equally certain grows with D.

    The generator reads a direction times ``spread`` times D. A unit vector's entries are about 1 / √D and differ by still less
    between images: read as they are, they move the first layer so little that a sphere of many dimensions is hardly learnt.
    """

    name = "s_vae"

    def __init__(self, config: SystemConfig, family: str = "vmf", spread: float = 3.0):
        """Raises OptionError for another family, D below 2, or a ``spread`` that is not above 0."""
        if family not in FAMILIES or config.latent < 2 or not spread > 0:
            raise OptionError(f"family {family!r:.40}, {config.latent} dimensions, spread {spread}; expected one of "
                              f"{list(FAMILIES)}, at least 2 and above 0")
        super().__init__(config)
        self.family = FAMILIES[family]
        self.generator = nn.Sequential(Times(spread * config.latent), self.generator)
        nn.init.zeros_(self.head.bias[-1:])

    def head_size(self) -> int:
        return self.config.latent + 1

    def posterior(self, x: Tensor) -> VonMisesFisher | PowerSpherical:
        said = self.head(self.body(x))
        return self.family(F.normalize(said[:, :-1], dim=1), 1 + self.config.latent * F.softplus(said[:, -1]))

    def prior_log_prob(self, z: Tensor) -> Tensor:
        return z.new_full(z.shape[:-1], -log_surface(self.config.latent))

    def rate(self, posterior: VonMisesFisher | PowerSpherical, z: Tensor) -> Tensor:
        return kl_divergence(posterior, UniformSphere(self.config.latent))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        posterior = self.posterior(x)
        z = posterior.rsample()
        distortion = -self.likelihood.log_prob(x, self.generator(z))
        if isinstance(posterior, VonMisesFisher) and self.training:
            extra = posterior.correction(z)  # adds nothing to the value, and the missing part to the gradient
            distortion = distortion + _against_the_others(distortion.detach()) * (extra - extra.detach())
        return {"distortion": distortion, "rate": self.rate(posterior, z)}

    def features(self, x: Tensor) -> Tensor:
        return self.posterior(x).loc

    def sample_prior(self, count: int) -> Tensor:
        return UniformSphere(self.config.latent).rsample((count,)).to(self.head.weight.device)


def _against_the_others(values: Tensor) -> Tensor:
    """What each of [B] differs by from the mean of the others: a control variate, since the correction of a constant has no
    expected gradient. The only one of a batch stays as it is."""
    count = len(values)
    return values if count == 1 else (values - values.mean()) * count / (count - 1)

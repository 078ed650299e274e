"""VAE-GAN (Larsen et al. 2016, arXiv 1512.09300): the likelihood is that of a discriminator's features, and a discriminator
judges reconstructions and draws from the prior.

One backward pass with stopped gradients does what the paper's three updates do: each network sees its own terms alone.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.errors import OptionError
from mvae.models.backbones import body
from mvae.models.system import System, SystemConfig

EQUILIBRIUM, MARGIN = 0.68, 0.35
"""A player whose mean loss is further than the margin below (or whose opponent's is above) the equilibrium waits a step, as in
the authors' code: an optimal discriminator against an optimal generator has ln 2 ≈ 0.69."""
SLOPE = 0.2
"""Of leaky rectifiers, as in Radford et al. 2016."""


class Discriminator(nn.Module):
    """Images → features [B, H] and the logit of being real [B]."""

    def __init__(self, config: SystemConfig):
        super().__init__()
        self.body = body(config.backbone, config.channels, config.side, config.width)
        self.head = nn.Linear(config.width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)
        return features, self.head(features)[:, 0]


class PatchDiscriminator(nn.Module):
    """The same of convolutions, over squares of 4 × 4 pixels and their neighbours. Its features, before their nonlinearity, still
    know where something is, however sure the judge has become: those of a layer over whole images forget what they are to match.

    H = 64 (S / 8)², rounded up.
    """

    def __init__(self, config: SystemConfig):
        super().__init__()
        side = (config.side // 4 + 1) // 2
        self.body = nn.Sequential(
            nn.Conv2d(config.channels, 32, 4, stride=4), nn.LeakyReLU(SLOPE), nn.Conv2d(32, 64, 3, stride=2, padding=1),
        )
        self.head = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Linear(64 * side**2, 64), nn.LeakyReLU(SLOPE), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x.contiguous(memory_format=torch.channels_last)).flatten(1)
        return features, self.head(features)[:, 0]


class VaeGan(System):
    """Terms: ``rate`` (encoder), ``matching`` (encoder and generator), ``fooling`` (generator), ``discriminator``."""

    name = "vae_gan"

    def __init__(self, config: SystemConfig, matching: float = 1.0, fooling: float = 1.0, noise: float = 0.0,
                 patches: bool = False):
        """``matching`` weighs feature matching, ``fooling`` the generator's adversarial term (the paper's γ is their ratio).
        ``noise``: standard deviation of what is added to all that is judged (Sønderby et al. 2017): without it real pixels that
        are exactly 0 or 1 give themselves away. ``patches``: a :class:`PatchDiscriminator` instead of one on the backbone.

        Raises OptionError for negative numbers.
        """
        super().__init__(config)
        if min(matching, fooling, noise) < 0:
            raise OptionError(f"matching {matching}, fooling {fooling}, noise {noise}; expected none below 0")
        self.discriminator = (PatchDiscriminator if patches else Discriminator)(config)
        self.matching, self.fooling, self.noise = matching, fooling, noise
        self.learns = {"discriminator": True, "generator": True}
        """Who takes part in the next step (equilibrium gating)."""

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        posterior, frozen, count = self.posterior(x), _frozen(self.discriminator), len(x)
        z = posterior.rsample()
        # The encoder's picture is judged by features alone: to the adversarial terms its latent is a given.
        both = self.decode(torch.cat([z.detach(), self.sample_prior(count)]))
        with torch.no_grad():
            wanted, _ = frozen(x)
        features, _ = frozen(self.decode(z))
        _, seen = frozen(self._noised(both))
        _, judged = self.discriminator(self._noised(torch.cat([x, both.detach()])))
        on_real, on_fake = F.softplus(-judged[:count]), 0.5 * F.softplus(judged[count:]).view(2, count).sum(0)
        gate = {name: float(on) for name, on in self.learns.items()}
        terms = {
            "rate": self.rate(posterior, z),
            "matching": 0.5 * (features - wanted).square().sum(1),
            "fooling": gate["generator"] * F.softplus(-seen).view(2, count).sum(0),
            "discriminator": gate["discriminator"] * (on_real + on_fake),
        }
        if self.training:
            self._gate(*torch.stack([on_real.mean(), on_fake.mean()]).tolist())
        return terms

    def _noised(self, image: Tensor) -> Tensor:
        return image + self.noise * torch.randn_like(image) if self.noise else image

    def _gate(self, on_real: float, on_fake: float) -> None:
        low, high = EQUILIBRIUM - MARGIN, EQUILIBRIUM + MARGIN
        judge = not (on_real < low or on_fake < low)
        draw = not (on_real > high or on_fake > high)
        self.learns = {"discriminator": judge, "generator": draw} if judge or draw else {"discriminator": True, "generator": True}

    def weights(self) -> dict[str, float]:
        return {"rate": 1.0, "matching": self.matching, "fooling": self.fooling, "discriminator": 1.0}


class _frozen:
    """A network through which gradients flow to its input, never to its weights."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.state = {name: value.detach() for name, value in (*module.named_parameters(), *module.named_buffers())}

    def __call__(self, x: Tensor):
        return torch.func.functional_call(self.module, self.state, (x,))

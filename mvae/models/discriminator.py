"""A small patch discriminator for the last part of a VAE's training (Isola et al. 2017), with feature matching (Salimans et al.
2016).

It sees premultiplied RGBA, so that halos in the alpha channel count as much as wrong colours.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

WIDTHS = (32, 64, 96)


class PatchDiscriminator(nn.Module):
    """[B, 4, S, S] → logits [B, 1, S/8, S/8], each for a patch of 38 px, and the activations before them."""

    def __init__(self):
        super().__init__()
        channels, layers = 4, []
        for width in WIDTHS:
            layers.append(nn.Conv2d(channels, width, 4, stride=2, padding=1))
            channels = width
        layers.append(nn.Conv2d(channels, channels, 3, padding=1))
        self.layers = nn.ModuleList(layers)
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, found = 2 * image - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            found.append(x)
        return self.head(x), found


def adversarial_terms(discriminator: PatchDiscriminator, x: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """Three scalars from one pass each over real and reconstructed pictures.

    ``discriminator``: hinge loss whose gradient reaches the discriminator alone; ``generator``: mean negative logit, and
    ``matching``: mean absolute difference of activations over their mean magnitude, whose gradients reach the reconstruction
    alone.
    """
    real, real_features = discriminator(x)
    fake, _ = discriminator(reconstruction.detach())
    fixed = {name: value.detach() for name, value in discriminator.named_parameters()}
    judged, features = functional_call(discriminator, fixed, (reconstruction,))
    matching = [
        (a.float() - b.detach().float()).abs().mean() / b.detach().float().abs().mean().clamp(min=1e-4)
        for a, b in zip(features, real_features, strict=True)
    ]
    return {
        "discriminator": (F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()) / 2,
        "generator": -judged.float().mean(),
        "matching": torch.stack(matching).mean(),
    }

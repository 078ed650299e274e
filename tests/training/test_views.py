"""Other views of a picture: what is done to it, and captions that stay true."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mvae.data.captions import HUES, dominant_hue
from mvae.data.dataset import Pictures
from mvae.training.views import KINDS, compute_views

MIRROR, RECOLOUR, MOVE, NUDGE = (1 + KINDS.index(kind) for kind in ("mirror", "recolour", "move", "nudge"))
SIDE = 128


class Looking(nn.Module):
    """Stands where a VAE stands; its posterior's mean is the picture itself, in cells of ``cell`` pixels."""

    def __init__(self, cell: int = 1):
        super().__init__()
        self.weight, self.cell = nn.Parameter(torch.zeros(1)), cell

    def encoder(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = F.avg_pool2d(image, self.cell)
        return mean, torch.zeros_like(mean)


def red_corner(label: str, group: str) -> tuple[np.ndarray, dict]:
    """A red square in the upper left quarter."""
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[20:60, 10:50] = (220, 20, 30, 255)
    return pixels, {"label": label, "group": group, "style": "noto", "tags": []}


@pytest.fixture
def pictures() -> Pictures:
    drawn = [red_corner("red apple", "food-drink"), red_corner("left arrow", "symbols"), red_corner("cat", "animals-nature")]
    return Pictures(np.stack([p for p, _ in drawn]), [m["label"] for _, m in drawn], [m for _, m in drawn])


def test_captions_say_what_was_done(pictures, tmp_path):
    views = compute_views(Looking(), pictures, 4, 0, tmp_path / "views.safetensors", "a", progress=False)
    assert views.mean.shape == (3, 5, 4, SIDE, SIDE) and [row[0] for row in views.labels] == ["red apple", "left arrow", "cat"]
    apple, arrow, cat = views.labels
    assert apple[MIRROR] == apple[MOVE] == apple[NUDGE] == "red apple" and cat[MOVE] == "cat"
    assert arrow[MIRROR] is None and arrow[RECOLOUR] is None and arrow[MOVE] == "left arrow"
    assert torch.equal(views.mean[0, MIRROR], views.mean[0, 0].flip(-1)) and torch.equal(views.mean[1, MIRROR], views.mean[1, 0])
    for picture, label in ((0, "{} apple"), (2, "{} cat")):
        colour = views.labels[picture][RECOLOUR].split()[0]
        assert colour in HUES and colour != "red" and views.labels[picture][RECOLOUR] == label.format(colour)
        pixels = (views.mean[picture, RECOLOUR].permute(1, 2, 0).float() * 255).byte().numpy()
        assert abs((dominant_hue(pixels) - HUES[colour] + 180) % 360 - 180) < 15


def test_a_picture_of_several_colours_is_shown_in_shades_of_one_if_it_has_shades(tmp_path):
    pixels = np.zeros((2, SIDE, SIDE, 4), np.uint8)
    pixels[0, 20:60, 10:50] = (220, 20, 30, 255)
    pixels[0, 60:100, 10:50] = (30, 140, 90, 255)
    pixels[0, 70:80, 20:30] = (0, 0, 0, 255)
    pixels[1, 20:60, 10:50] = 255
    metas = [{"label": label, "group": "animals-nature", "style": "noto", "tags": []} for label in ("parrot", "egg")]
    views = compute_views(Looking(), Pictures(pixels, ["parrot", "egg"], metas), 6, 0, tmp_path / "v", "a", progress=False)
    assert [views.labels[1][view] for view, kind in enumerate(KINDS, 1) if kind == "recolour"] == [None] * 3
    for view in (view for view, kind in enumerate(KINDS, 1) if kind == "recolour"):
        colour, name = views.labels[0][view].split()
        shown = (views.mean[0, view].permute(1, 2, 0).float() * 255).round().byte().numpy()
        assert name == "parrot" and abs((dominant_hue(shown) - HUES[colour] + 180) % 360 - 180) < 3
        assert shown[75, 25].tolist() == [0, 0, 0, 255] and not shown[..., 3][:20].any()


def test_a_nudge_is_one_or_two_pixels_and_a_move_no_more_than_a_twelfth(pictures, tmp_path):
    views = compute_views(Looking(), pictures, 4, 0, tmp_path / "views.safetensors", "a", progress=False)
    for picture in range(3):
        moved = [offset(views.mean[picture, 0], views.mean[picture, view]) for view in (NUDGE, MOVE)]
        assert all(1 <= abs(step) <= 2 for step in moved[0]) and max(map(abs, moved[1])) < SIDE / 12 + 6


def offset(before: torch.Tensor, after: torch.Tensor) -> list[float]:
    """How far the middle of what is opaque has gone, x and y in pixels."""
    found = []
    for alpha in (before[3].float(), after[3].float()):
        weight, place = alpha.sum(), torch.arange(SIDE).float()
        found.append(torch.stack([(alpha.sum(0) * place).sum(), (alpha.sum(1) * place).sum()]) / weight)
    return (found[1] - found[0]).tolist()


def test_views_of_another_encoder_are_made_anew(pictures, tmp_path):
    path = tmp_path / "views.safetensors"
    made = compute_views(Looking(8), pictures, 1, 0, path, "a", progress=False)
    again = compute_views(Looking(), pictures, 1, 0, path, "a", progress=False)
    assert torch.equal(made.mean, again.mean) and made.labels == again.labels
    assert compute_views(Looking(), pictures, 1, 0, path, "b", progress=False).mean.shape[-1] == SIDE

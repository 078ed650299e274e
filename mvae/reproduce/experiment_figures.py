"""The pictures of ``reproduce experiments`` (the paper's Figures 6-14): loss graphs, latent spaces, drawings and samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mvae.data.dataset import Pictures
from mvae.files import write_figure
from mvae.models.system import System
from mvae.training.sheets import save_sheet

COLOURS = {"fixed": "#6b7280", "dynamic": "#2563eb", "averaged": "#dc2626"}
PANELS = {
    "loss": "−ELBO, nats", "kl": "KL, nats", "distortion": "−likelihood term, nats", "active_units": "active latent units",
}
SHOWN, TIMES = 8, 2
"""Drawings in a row of the sheets, and how much larger than the network's they are."""
Logs = Mapping[tuple[str, str], Sequence[dict]]


def draw_all(
    logs: Logs, systems: Mapping[tuple[str, str], System], pictures: Pictures,
    chosen: Mapping[str, tuple[Sequence[int], Sequence[int]]], folder: Path,
) -> None:
    """``training-PROMPT.png``, ``latent-PROMPT.png``, ``pictures-PROMPT.png`` for each prompt, ``average.png`` and
    ``settings.png``.

    ``logs`` and ``systems`` by (prompt, arm); ``chosen``: for each prompt, numbers of drawings trained on and held back.
    """
    arms = list(dict.fromkeys(arm for _, arm in logs))
    for prompt, (seen, unseen) in chosen.items():
        draw_training({arm: logs[prompt, arm] for arm in arms}, folder / f"training-{prompt}.png")
        images, styles = pictures.batch(seen).contiguous(), [pictures.meta[number]["style"] for number in seen]
        here = {arm: systems[prompt, arm] for arm in arms}
        draw_latents(here, images, styles, folder / f"latent-{prompt}.png")
        draw_pictures(here, images, pictures.batch(unseen).contiguous(), folder / f"pictures-{prompt}.png")
    every = {arm: [log for (_, of), found in logs.items() if of == arm for log in found] for arm in arms}
    draw_training(every, folder / "average.png")
    draw_settings(logs, folder / "settings.png")


def draw_training(logs: Mapping[str, Sequence[dict]], path: Path) -> None:
    """−ELBO, KL, likelihood term and active units against epochs (Figures 6, 8, 10, 12 and 13), means of the logs of each arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), dpi=80, layout="constrained")
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for arm, found in logs.items():
            curve = torch.tensor([log["likelihood" if name == "distortion" else name] for log in found]).mean(0)
            curve = -curve if name == "distortion" else curve
            axes.plot(range(1, len(curve) + 1), curve, color=COLOURS[arm], linewidth=1, label=arm)
        axes.set_title(title, fontsize=9)
        axes.set_xscale("log")  # what decides whether the KL vanishes happens early
        axes.grid(alpha=0.3)
        if name in ("loss", "distortion"):
            axes.set_yscale("log")
        if name == "loss":
            axes.legend(fontsize=8)
    figure.supxlabel("epochs", fontsize=9)
    write_figure(figure, path)


def principal(means: Tensor) -> Tensor:
    """[N, D] → [N, 2]: the two directions in which posterior means differ most, each with its largest entry positive."""
    centred = means - means.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    first = directions[:2]
    signs = first.gather(1, first.abs().argmax(1, keepdim=True)).sign()
    return centred @ (first * signs).T


@torch.no_grad()
def draw_latents(systems: Mapping[str, System], images: Tensor, styles: Sequence[str], path: Path) -> None:
    """Posterior means of the drawings in two dimensions, one panel an arm, coloured by style (Figures 7, 9, 11); the ring is
    where the prior has two standard deviations."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    figure = Figure(figsize=(10.5, 3.9), dpi=80, layout="constrained")
    panels = figure.subplots(1, len(systems), sharex=True, sharey=True, squeeze=False).flat
    for axes, (arm, system) in zip(panels, systems.items(), strict=True):
        places = principal(system.features(images))
        for number, style in enumerate(sorted(set(styles))):
            mine = places[torch.tensor([s == style for s in styles])]
            axes.scatter(mine[:, 0], mine[:, 1], s=12, color=colormaps["tab10"](number), label=style, alpha=0.8)
        axes.add_patch(Circle((0, 0), 2, fill=False, linestyle="--", linewidth=0.8, color="0.5"))
        axes.set(title=arm, aspect="equal")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(set(styles)), fontsize=8)
    write_figure(figure, path)


@torch.no_grad()
def draw_pictures(systems: Mapping[str, System], images: Tensor, unseen: Tensor, path: Path) -> None:
    """From above: drawings, the first half trained on, the others held back as far as there are; what each arm makes of them;
    samples of each arm's prior."""
    there = min(SHOWN // 2, len(unseen))
    apart = torch.linspace(0, len(images) - 1, min(SHOWN - there, len(images))).round().long()
    real = torch.cat([images[apart], unseen[:there]])
    rows = [real, *(system.decode(system.features(real)) for system in systems.values())]
    for system in systems.values():
        torch.manual_seed(0)
        rows.append(system.decode(system.sample_prior(len(real))))
    save_sheet(path, [F.interpolate(row, scale_factor=TIMES, mode="nearest") for row in rows], columns=SHOWN)


def draw_settings(logs: Logs, path: Path) -> None:
    """What moves in a run (Figure 14): β against epochs, one line a prompt and arm that holds it still or moves it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), dpi=80, layout="constrained")
    axes = figure.subplots()
    labelled = set()
    for (_, arm), found in logs.items():
        beta = found[0]["beta"]
        axes.plot(range(1, len(beta) + 1), beta, color=COLOURS[arm], linewidth=1, label=None if arm in labelled else arm)
        labelled.add(arm)
    axes.set(xlabel="epochs", ylabel="β: weight of the KL beside the likelihood", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    write_figure(figure, path)

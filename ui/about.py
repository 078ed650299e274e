"""The About tab: how a prompt becomes a sticker, what the figures mean, and what the models cannot do."""

from string import Template

from mvae.config import PROMPT_MAX_CHARACTERS, TEXT_MAX_TOKENS, VaeConfig
from ui.theme import ASSETS, html

MEMORY = "Drawings whose captions come nearest, one or two, are looked up; the model reads their tokens, too, and redraws them."
NO_MEMORY = "None: the model that this page opens with draws from the words alone."


def about_html(vae: VaeConfig, memory: bool) -> str:
    """``assets/about.html`` with the numbers of the model that the page opens with; ``memory``: whether it reads one."""
    latent = vae.latent
    bits = (latent.codebook - 1).bit_length()
    return Template((ASSETS / "about.html").read_text(encoding="utf-8")).substitute(
        positions=latent.positions,
        rows=latent.shape[0],
        columns=latent.row_tokens,
        codebook=latent.codebook,
        levels=latent.levels,
        bytes=latent.positions * bits // 8,
        characters=PROMPT_MAX_CHARACTERS,
        pieces=TEXT_MAX_TOKENS,
        side=vae.sticker_size,
        memory=MEMORY if memory else NO_MEMORY,
    )


def build_about(vae: VaeConfig, memory: bool) -> None:
    """Place the tab's content inside the current ``gr.Blocks``."""
    html(about_html(vae, memory))

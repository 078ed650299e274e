"""The About tab: how a prompt becomes a sticker, what the figures mean, and what the models cannot do."""

from string import Template

from mvae.config import PROMPT_MAX_CHARACTERS, TEXT_MAX_TOKENS, VaeConfig
from ui.theme import ASSETS, html


def about_html(vae: VaeConfig) -> str:
    """``assets/about.html`` with the numbers of the model that the page opens with."""
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
        side=vae.image_size,
    )


def build_about(vae: VaeConfig) -> None:
    """Place the tab's content inside the current ``gr.Blocks``."""
    html(about_html(vae))

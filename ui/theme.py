"""Look of the app: a quiet theme on the visitor's own fonts, style sheets, scripts; no other host is asked."""

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parent / "assets"
SANS = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]


def html(value: str, **options) -> gr.HTML:
    """Markup that only the app's own style sheet styles."""
    return gr.HTML(value, apply_default_css=False, **options)


def theme() -> gr.themes.Base:
    """System fonts, round corners, colours from the style sheet's variables."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f7f6f3",
        body_background_fill_dark="#141413",
        body_text_color="#1b1a18",
        body_text_color_dark="#f2f0ec",
        body_text_color_subdued="#66635c",
        body_text_color_subdued_dark="#aaa69d",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1d1c1b",
        input_border_color="#d3cfc5",
        input_border_color_dark="#45423d",
        border_color_primary="#e6e3dc",
        border_color_primary_dark="#302e2b",
        slider_color="#1b1a18",
        slider_color_dark="#f2f0ec",
    )


def masthead() -> str:
    return (ASSETS / "masthead.html").read_text(encoding="utf-8")


def style_sheet() -> str:
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in ("app.css", "systems.css"))


def head() -> str:
    """What goes into the page's head: the scripts, inline, and the colour of a phone's title bar."""
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in ("app.js", "systems.js"))
    return f'<meta name="theme-color" content="#f7f6f3"><script>{script}</script>'

"""The tokens themselves: each model's grid as coloured cells, with the cells that differ from the first model's marked."""

from html import escape

from mvae.config import LatentConfig
from ui.names import model_title


def cell_colour(token: int, latent: LatentConfig) -> str:
    """Near tokens have near colours: the first three latent coordinates are hue, lightness and strength."""
    levels = latent.levels
    first, second, third = (
        token // levels**power % levels for power in (latent.coordinates - 1, latent.coordinates - 2, latent.coordinates - 3)
    )
    return f"hsl({first * 300 / (levels - 1):.0f} {25 + 50 * third / (levels - 1):.0f}% {36 + 40 * second / (levels - 1):.0f}%)"


def render_grids(columns: list[tuple[str, tuple[int, ...]]], latent: LatentConfig) -> str:
    """``columns``: model name and row-major tokens; the first is what the others are compared with."""
    reference = columns[0][1]
    grids = ""
    for name, tokens in columns:
        cells = ""
        for place, (token, other) in enumerate(zip(tokens, reference, strict=True)):
            row, column = divmod(place, latent.row_tokens)
            tip, mark = f"row {row + 1}, column {column // latent.depth + 1}: token {token}", ""
            if token != other:
                tip, mark = f"{tip}, {other} in {model_title(columns[0][0])}", ' class="other"'
            cells += f'<i{mark} style="background:{cell_colour(token, latent)}" data-tip="{escape(tip)}"></i>'
        grids += (
            f'<figure><div class="cells" style="grid-template-columns:repeat({latent.row_tokens},1fr)">{cells}</div>'
            f"<figcaption>{escape(model_title(name))}</figcaption></figure>"
        )
    differ = "; a dot where a model chose another one" if any(tokens != reference for _, tokens in columns) else ""
    title = f"The tokens written, {latent.shape[0]} × {latent.row_tokens}{differ}"
    return f'<div class="chart-title">{title}</div><div class="grids">{grids}</div>'

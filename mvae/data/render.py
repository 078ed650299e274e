"""Vector and bitmap artwork → RGBA pixels and lossless WebP."""

import io

import numpy as np
from PIL import Image


def icon_svg(icon: dict, defaults: dict) -> str:
    """A complete SVG document from one entry of an iconify ``icons.json``."""
    left, top = icon.get("left", 0), icon.get("top", 0)
    width = icon.get("width", defaults.get("width", 16))
    height = icon.get("height", defaults.get("height", 16))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}">{icon["body"]}</svg>'
    )


def fit_square(image: Image.Image, size: int) -> Image.Image:
    """Scale to fit into ``size`` × ``size`` with the aspect ratio kept, centred on transparency.

    Resampling runs on premultiplied alpha: otherwise colours hidden under transparency bleed into the edges.
    """
    image = image.convert("RGBA")
    scale = size / max(image.size)
    target = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.size != target:
        image = image.convert("RGBa").resize(target, Image.Resampling.LANCZOS).convert("RGBA")
    if image.size == (size, size):
        return image
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(image, ((size - target[0]) // 2, (size - target[1]) // 2))
    return canvas


def render_icon(icon: dict, defaults: dict, size: int) -> Image.Image:
    """Draw one icon with resvg, without system fonts, so that every machine draws the same."""
    import resvg_py

    # The longer side is drawn at exactly ``size`` pixels: no resampling after rasterisation.
    width = icon.get("width", defaults.get("width", 16))
    height = icon.get("height", defaults.get("height", 16))
    side = {"width": size} if width >= height else {"height": size}
    png = resvg_py.svg_to_bytes(svg_string=icon_svg(icon, defaults), skip_system_fonts=True, **side)
    return fit_square(Image.open(io.BytesIO(bytes(png))), size)


def lossless_webp(image: Image.Image) -> bytes:
    """Encode deterministically; colours under full transparency are zeroed because they carry nothing."""
    pixels = np.array(image.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=60, method=4, exact=True)
    return buffer.getvalue()

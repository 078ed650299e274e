"""Pictures from outside: opening them safely, and fitting them to a model's square.

Accepted files: PNG, JPEG, WebP and GIF with a single frame, of at most 40 million pixels (read from the header, before
anything is decoded). The EXIF orientation is applied. Palettes, greys, CMYK (without colour management) and 16 bits a channel
(cut to 8) become straight-alpha RGBA; floating point, LAB and other scientific modes are refused.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mvae.config import IMAGE_MAX_PIXELS
from mvae.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
FILE_MAX_BYTES = 256 << 20
_DIRECT_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
_SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}


def open_image(source: str | os.PathLike | bytes) -> Image.Image:
    """Decode a file (path, or its bytes) to RGBA. Raises ImageError saying what it is and what is expected."""
    name = "image" if isinstance(source, bytes) else os.fspath(source)
    try:
        if not isinstance(source, bytes):
            size = Path(source).stat().st_size
            if size > FILE_MAX_BYTES:
                raise ImageError(f"{name}: {size} bytes; expected at most {FILE_MAX_BYTES}")
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            _check_header(image, name)
            image.load()
            return to_rgba(image, name)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a picture that can be read; expected one of {', '.join(FORMATS)}") from None
    except OSError as error:
        if error.strerror:
            raise ImageError(f"{name}: cannot be read ({error.strerror})") from None
        raise ImageError(f"{name}: not a complete picture ({error}); expected one of {', '.join(FORMATS)}") from None
    except Exception as error:  # damaged files make Pillow's readers raise almost anything
        raise ImageError(f"{name}: damaged ({type(error).__name__}: {error}); expected one of {', '.join(FORMATS)}") from None


def to_rgba(image: Image.Image, name: str = "image") -> Image.Image:
    """An upright RGBA picture of a loaded PIL image. Raises ImageError for other types, modes and sizes than documented."""
    if not isinstance(image, Image.Image):
        raise ImageError(f"{name} is a {type(image).__name__}; expected a PIL image")
    _check_header(image, name)
    if image.mode not in _DIRECT_MODES | _SIXTEEN_BIT_MODES:
        raise ImageError(f"{name}: pixel mode {image.mode!r} is not supported; expected 8 or 16 bits a channel, grey or colour")
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:  # a damaged EXIF block hides how the picture should stand
        raise ImageError(f"{name}: damaged EXIF orientation ({error})") from None
    if image.mode in _SIXTEEN_BIT_MODES:  # Pillow's own conversion would clip at 255 instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGBA")


def fit(image: Image.Image, size: int) -> Image.Image:
    """Scale so that the longer side is ``size``, keep the proportions, centre on a transparent square.

    An RGBA picture of exactly that size is returned unchanged. Bicubic, on premultiplied colour, so that no colour of
    transparent pixels bleeds in. Raises ImageError as :func:`to_rgba`.
    """
    image = to_rgba(image)
    if image.size == (size, size):
        return image
    scale = size / max(image.size)
    inner = tuple(max(1, round(side * scale)) for side in image.size)
    scaled = image.convert("RGBa").resize(inner, Image.Resampling.BICUBIC).convert("RGBA")
    square = Image.new("RGBA", (size, size))
    square.paste(scaled, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return square


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)  # the time belongs to the prompt → PNG latency
    return buffer.getvalue()


def _check_header(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width}×{height} pixels; expected at least 1×1")
    if width * height > IMAGE_MAX_PIXELS:
        raise ImageError(f"{name}: {width}×{height} pixels; expected at most {IMAGE_MAX_PIXELS} in all")
    # The further pictures in a phone's JPEG ("MPO") are previews and depth maps of the first.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise ImageError(f"{name}: an animation; expected a still picture")

"""Pictures from outside: every accepted kind comes out as upright RGBA, everything else is refused in words."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mvae.config import IMAGE_MAX_PIXELS
from mvae.engine.images import fit, open_image, png_bytes, to_rgba
from mvae.errors import ImageError

RNG = np.random.default_rng(0)
RGBA = Image.fromarray(RNG.integers(0, 256, (24, 20, 4), dtype=np.uint8))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_formats_keep_every_pixel(kind, tmp_path):
    content = saved(RGBA, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    (tmp_path / "picture").write_bytes(content)
    for source in (content, tmp_path / "picture", str(tmp_path / "picture")):
        found = open_image(source)
        assert found.mode == "RGBA"
        assert np.array_equal(np.asarray(found), np.asarray(RGBA))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
        ("L", "GIF"),
    ],
)
def test_modes(mode, kind):
    grey = Image.linear_gradient("L").resize((32, 16))
    found = np.asarray(open_image(saved(grey.convert("RGB").convert(mode), kind))).astype(int)
    assert found.shape == (16, 32, 4)
    assert (found[..., 3] == 255).all()
    if mode != "1":
        assert np.abs(found[..., :3] - np.asarray(grey)[..., None]).max() <= 40


def test_sixteen_bits_are_scaled_not_clipped():
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    found = np.asarray(open_image(saved(Image.fromarray(values), "PNG")))
    assert np.array_equal(found[..., 0], np.arange(256).reshape(16, 16))


def test_palette_transparency():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(0, (0, 0, 2, 4))
    found = np.asarray(open_image(saved(image, "PNG", transparency=0)))
    assert (found[:, :2, 3] == 0).all() and (found[:, 2:] == [0, 255, 0, 255]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = Image.fromarray(np.repeat(np.arange(12, dtype=np.uint8).reshape(4, 3, 1) * 20, 3, axis=2))
    turned = {
        1: upright,
        2: upright.transpose(0),
        3: upright.transpose(3),
        4: upright.transpose(1),
        5: upright.transpose(5),
        6: upright.transpose(2),
        7: upright.transpose(6),
        8: upright.transpose(4),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = np.asarray(open_image(saved(turned, "PNG", exif=exif)))
    assert np.array_equal(found[..., :3], np.asarray(upright))


def test_animations_are_refused_still_gifs_are_not():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        with pytest.raises(ImageError, match="animation"):
            open_image(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert open_image(saved(frames[0], "GIF")).getpixel((0, 0)) == (255, 0, 0, 255)


def test_a_phones_jpeg_with_further_pictures_inside():
    content = saved(Image.new("RGB", (16, 8), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    assert open_image(content).size == (16, 8)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "PPM", "TGA", "PCX"])
def test_exotic_formats(kind):
    with pytest.raises(ImageError, match="expected one of PNG, JPEG, WEBP, GIF"):
        open_image(saved(Image.new("RGB", (16, 16)), kind))


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (IMAGE_MAX_PIXELS + 1, 1), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_by_their_header(width, height):
    with pytest.raises(ImageError, match="pixels"):
        open_image(png_header(width, height))


def test_truncated_and_damaged_files():
    for kind, options in (("PNG", {}), ("JPEG", {}), ("WEBP", {"lossless": True}), ("GIF", {})):
        content = saved(RGBA.convert("RGB"), kind, **options)
        for length in (0, 5, len(content) // 3, len(content) // 2, len(content) * 3 // 4):
            with pytest.raises(ImageError):
                open_image(content[:length])
    content = bytearray(saved(RGBA, "PNG"))
    for place in range(8, len(content)):
        damaged = bytes(content[:place]) + bytes([content[place] ^ 0x55]) + bytes(content[place + 1 :])
        try:
            assert open_image(damaged).mode == "RGBA"
        except ImageError:
            continue


@pytest.mark.parametrize("source", [b"", b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_not_pictures(source):
    with pytest.raises(ImageError, match="expected one of"):
        open_image(source)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        open_image(tmp_path / "missing.png")
    with pytest.raises(ImageError):
        open_image(tmp_path)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("F", (4, 4)),
        Image.new("I", (4, 4)),
        Image.new("LAB", (4, 4)),
        Image.new("RGB", (0, 4)),
        np.zeros((4, 4, 3)),
        "picture.png",
        None,
    ],
)
def test_objects_that_are_refused(image):
    with pytest.raises(ImageError):
        to_rgba(image)


def test_fit_leaves_the_right_size_alone():
    square = RGBA.crop((0, 0, 16, 16))
    assert np.array_equal(np.asarray(fit(square, 16)), np.asarray(square))


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [
        (40, 20, (0, 8, 32, 24)),
        (10, 20, (8, 0, 24, 32)),
        (5, 5, (0, 0, 32, 32)),
        (3000, 1, (0, 15, 32, 16)),
    ],
)
def test_fit_keeps_proportions_and_centres(width, height, box):
    found = fit(Image.new("RGB", (width, height), "red"), 32)
    assert found.size == (32, 32)
    assert found.getchannel("A").getbbox() == box
    assert found.crop(box).getcolors() == [((box[2] - box[0]) * (box[3] - box[1]), (255, 0, 0, 255))]


def test_hidden_colours_do_not_bleed():
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (16, 16, 48, 48))
    found = np.asarray(fit(image, 20)).astype(int)
    assert found[found[..., 3] > 0][:, 0].max() == 0


def test_png_round_trip():
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(RGBA)))), np.asarray(RGBA))

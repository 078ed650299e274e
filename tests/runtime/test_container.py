"""The .mvae file: exact layout, round trips, and every kind of damage noticed."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvae.config import LatentConfig
from mvae.engine.container import pack, unpack
from mvae.errors import TokensError

LATENT = LatentConfig("0", 8, 8, 4)
TOKENS = tuple((i * 67) % 4096 for i in range(64))


def test_layout_byte_by_byte():
    tokens = (0xABC, 0x123, *[0] * 61, 0xFFF)
    content = pack([tokens], LATENT)
    assert content[:7] == b"MVAE\x02\x010"
    assert content[7:14] == bytes([8, 8, 1, 8, 4]) + struct.pack("<H", 1)
    assert content[14:17] == b"\xab\xc1\x23" and content[-7:-4] == b"\x00\x0f\xff"
    assert len(content) == 14 + 96 + 4
    assert content[-4:] == struct.pack("<I", zlib.crc32(content[:-4]))


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    grid=st.integers(1, 5),
    columns=st.integers(0, 5),
    depth=st.integers(1, 3),
    levels=st.integers(2, 9),
    coordinates=st.integers(1, 5),
    count=st.integers(1, 4),
    name=st.text("abc-0123456789", max_size=12),
)
def test_round_trip(data, grid, columns, depth, levels, coordinates, count, name):
    latent = LatentConfig(name, grid, levels, coordinates, depth, 0 if columns == grid else columns)
    row = st.lists(st.integers(0, latent.codebook - 1), min_size=latent.positions, max_size=latent.positions).map(tuple)
    images = data.draw(st.lists(row, min_size=count, max_size=count))
    assert unpack(pack(images, latent)) == (latent, images)


def test_every_single_byte_change_is_refused():
    content = pack([TOKENS], LATENT)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        with pytest.raises(TokensError):
            unpack(bytes(damaged))


def test_every_truncation_and_any_addition_is_refused():
    content = pack([TOKENS], LATENT)
    for length in range(len(content)):
        with pytest.raises(TokensError):
            unpack(content[:length])
    with pytest.raises(TokensError):
        unpack(content + b"\0")


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize(
    "body",
    [
        b"MVAE\x02\x010" + bytes([8, 8, 1, 8, 4]) + struct.pack("<H", 0),  # no images
        b"MVAE\x02\x010" + bytes([0, 8, 1, 8, 4]) + struct.pack("<H", 1),  # no grid
        b"MVAE\x02\x010" + bytes([8, 8, 0, 8, 4]) + struct.pack("<H", 1),  # no tokens a position
        b"MVAE\x02\x010" + bytes([8, 8, 1, 1, 4]) + struct.pack("<H", 1),  # a codebook of one token
        b"MVAE\x02\x010" + bytes([8, 8, 1, 255, 255]) + struct.pack("<H", 1),  # a codebook without end
        b"MVAE\x02\x01\xff" + bytes([8, 8, 1, 8, 4]) + struct.pack("<H", 1) + bytes(96),  # a name that is not ASCII
        b"MVAE\x02\x010" + bytes([8, 8, 1, 8, 4]) + struct.pack("<H", 65535) + bytes(96),  # more images than payload
        b"MVAE\x02\x010" + bytes([1, 1, 1, 3, 1]) + struct.pack("<H", 1) + b"\xc0",  # token 3 of a codebook of 3
    ],
)
def test_sound_checksum_but_malformed_content(body):
    with pytest.raises(TokensError):
        unpack(sealed(body))


@pytest.mark.parametrize("images", [[], [TOKENS[:-1]], [(*TOKENS[:-1], 4096)], [(*TOKENS[:-1], -1)]])
def test_what_cannot_be_packed(images):
    with pytest.raises(TokensError):
        pack(images, LATENT)

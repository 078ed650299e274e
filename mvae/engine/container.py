"""The ``.mvae`` file: image tokens packed to the bit, with what is needed to decode them and to notice damage.

====== ==================== ==========================================================================================
offset bytes                what
====== ==================== ==========================================================================================
0      4                    ``MVAE``
4      1                    version of this layout, 2
5      1                    n, length of the latent's name
6      n                    latent_id, ASCII
6+n    5                    rows, columns, tokens a position, levels L, coordinates C (one byte each)
11+n   2                    number of images, little endian, at least 1
13+n   ceil(images·P·b/8)   P tokens an image, b = bits of L^C − 1, most significant bit first, zero bits at the end
last 4 4                    CRC-32 (zlib's) of everything before, little endian
====== ==================== ==========================================================================================

A grid of 8 × 8 tokens of 4096 is 96 bytes an image.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from mvae.config import LatentConfig
from mvae.errors import TokensError

MAGIC = b"MVAE"
VERSION = 2
IMAGES_MAX = 65535
_CRC = struct.Struct("<I")
_TAIL = struct.Struct("<BBBBBH")


def pack(images: Sequence[Sequence[int]], latent: LatentConfig) -> bytes:
    """Token grids of one latent → file bytes. Raises TokensError for wrong lengths, ids outside the codebook, or no images."""
    name = latent.latent_id.encode("ascii")
    if not 1 <= len(images) <= IMAGES_MAX:
        raise TokensError(f"got {len(images)} images; expected 1 to {IMAGES_MAX}")
    rows = []
    for tokens in images:
        if len(tokens) != latent.positions or not all(0 <= token < latent.codebook for token in tokens):
            raise TokensError(f"got {len(tokens)} tokens; expected {latent.positions} ids from 0 to {latent.codebook - 1}")
        rows.append(tokens)
    sizes = (*latent.shape, latent.depth, latent.levels, latent.coordinates)
    header = MAGIC + bytes([VERSION, len(name)]) + name + _TAIL.pack(*sizes, len(rows))
    width = (latent.codebook - 1).bit_length()
    bits = (np.asarray(rows, np.uint64).reshape(-1, 1) >> np.arange(width - 1, -1, -1, dtype=np.uint64)) & np.uint64(1)
    body = header + np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
    return body + _CRC.pack(zlib.crc32(body))


def unpack(content: bytes) -> tuple[LatentConfig, list[tuple[int, ...]]]:
    """File bytes → the latent they belong to and the token grids. Raises TokensError for anything but a whole, sound file."""
    if content[:4] != MAGIC:
        raise TokensError(f"starts with {content[:4]!r}; expected a .mvae file ({MAGIC!r})")
    if len(content) < 6 or content[4] != VERSION:
        raise TokensError(f".mvae version {content[4] if len(content) > 4 else 'missing'}; expected {VERSION}")
    start = 6 + content[5]
    if len(content) < start + _TAIL.size + _CRC.size:
        raise TokensError(f".mvae file of {len(content)} bytes ends inside its header")
    if zlib.crc32(content[: -_CRC.size]) != _CRC.unpack(content[-_CRC.size :])[0]:
        raise TokensError(".mvae file is damaged or cut off: its checksum differs")
    rows, columns, depth, levels, coordinates, count = sizes = _TAIL.unpack_from(content, start)
    name = content[6:start]
    if not (name.isascii() and all(sizes) and levels > 1) or levels**coordinates > 1 << 32:
        raise TokensError(
            f".mvae header is malformed: latent {name!r}, grid {rows}×{columns}×{depth}, {levels} levels, {coordinates} "
            f"coordinates, {count} images"
        )
    latent = LatentConfig(name.decode("ascii"), rows, levels, coordinates, depth, 0 if columns == rows else columns)
    width = (latent.codebook - 1).bit_length()
    payload = content[start + _TAIL.size : -_CRC.size]
    used = count * latent.positions * width
    if len(payload) != -(-used // 8):
        raise TokensError(f".mvae payload is {len(payload)} bytes; expected {-(-used // 8)} for {count} images")
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))[:used].reshape(-1, width).astype(np.uint64)
    ids = (bits << np.arange(width - 1, -1, -1, dtype=np.uint64)).sum(axis=1)
    if int(ids.max()) >= latent.codebook:
        raise TokensError(f".mvae holds token {int(ids.max())}; expected at most {latent.codebook - 1}")
    return latent, [tuple(int(token) for token in row) for row in ids.reshape(count, latent.positions)]

"""What compressed pixel data say of themselves, read before any decoder is trusted with them.

Decoders make room for the size that the compressed data claim, not for the one in the DICOM
header: both are compared first. Run-length data are decoded here, into room that cannot grow.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_FRAGMENTS: Final = 4096
MAX_TILES: Final = 4096
_ITEM: Final = 0xE000FFFE  # tag (FFFE,E000), as one little-endian number
_END: Final = 0xE0DDFFFE
_NO_FRAME: Final = (0xC4, 0xC8, 0xCC)  # JPEG markers C0-CF that start no frame


@dataclass(frozen=True)
class Claim:
    """Size of the image that compressed data hold.

    Attributes:
        rows: its height in pixels.
        columns: its width in pixels.
        samples: components a pixel.
        bits: of each.
    """

    rows: int
    columns: int
    samples: int
    bits: int


def codestream(encapsulated: bytes) -> bytes:
    """Join the fragments of one frame (DICOM PS3.5 A.4).

    Raises:
        ValueError: they do not fit their lengths, hold several frames, or are too many.
    """
    parts: list[bytes] = []
    position = 0
    while position + 8 <= len(encapsulated):
        tag, length = struct.unpack_from("<II", encapsulated, position)
        position += 8
        if tag == _END:
            break
        if tag != _ITEM or position + length > len(encapsulated) or len(parts) > MAX_FRAGMENTS:
            msg = "the fragments do not fit"
            raise ValueError(msg)
        parts.append(encapsulated[position : position + length])
        position += length
    if len(parts) < 2:
        msg = "no fragment"
        raise ValueError(msg)
    if len(parts[0]) > 4:  # the offsets of several frames
        msg = "several frames"
        raise ValueError(msg)
    return parts[1] if len(parts) == 2 else b"".join(parts[1:])


def claim_of_jpeg(data: bytes) -> Claim:
    """Read the frame header of JPEG, JPEG Lossless or JPEG-LS data (ITU-T T.81 B.2.2, T.87 C.2.2).

    Raises:
        ValueError: there is none, or the data lack their end.
    """
    _check_end(data)
    position = 2
    while data[:2] == b"\xff\xd8" and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME) or marker == 0xF7:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, position + 4)
            return Claim(rows, columns, samples, bits)
        position += 2 + length
    msg = "no frame header"
    raise ValueError(msg)


def claim_of_jpeg2000(data: bytes) -> Claim:
    """Read the SIZ segment of JPEG 2000 data (ITU-T T.800 A.5.1).

    Raises:
        ValueError: there is none, it has no or too many tiles, or the data lack their end.
    """
    _check_end(data)
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0:
        msg = "no SIZ segment"
        raise ValueError(msg)
    fields = struct.unpack_from(">8IHB", data, start + 8)
    x_end, y_end, x, y, tile_width, tile_height, tile_x, tile_y, samples, depth = fields
    tiles = 0
    if tile_width and tile_height:
        tiles = -(-(x_end - tile_x) // tile_width) * -(-(y_end - tile_y) // tile_height)
    if not 0 < tiles <= MAX_TILES or x_end <= x or y_end <= y:
        msg = "no or too many tiles"
        raise ValueError(msg)
    if len(_tiles(data, start)) != tiles:
        msg = "a tile is missing"  # decoders would leave it black
        raise ValueError(msg)
    return Claim(y_end - y, x_end - x, samples, (depth & 0x7F) + 1)


def _tiles(data: bytes, start: int) -> set[int]:
    """Return the numbers of the tiles that have a part (ITU-T T.800 A.4.2), walking their lengths.

    Raises:
        ValueError: the parts do not follow one another.
    """
    position, found = start + 2, set()
    while position + 12 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xD9:
        (length,) = struct.unpack_from(">H", data, position + 2)
        if data[position + 1] != 0x90:  # a segment of the main header
            position += 2 + length
            continue
        tile, part = struct.unpack_from(">HI", data, position + 4)
        found.add(tile)
        if part == 0:  # the last one, up to the end
            return found
        position += max(part, 12)
    if data[position : position + 2] != b"\xff\xd9":
        msg = "the tiles do not follow one another"
        raise ValueError(msg)
    return found


def _check_end(data: bytes) -> None:
    if not data[-16:].rstrip(b"\0").endswith(b"\xff\xd9"):
        msg = "the end of the data is missing"
        raise ValueError(msg)


def decode_rle(data: bytes, rows: int, columns: int, width: int) -> NDArray[np.unsignedinteger]:
    """Decode run-length data of one grey frame (DICOM PS3.5 annex G).

    Args:
        data: header of 64 bytes, then a segment a byte of the pixels, the highest first.
        rows: height of the image.
        columns: its width.
        width: bytes a pixel, 1 or 2.

    Returns:
        uint8 or uint16 ``(rows, columns)``.

    Raises:
        ValueError: a segment is missing, or of another length than the image.
    """
    header = struct.unpack_from("<16I", data)
    offsets = [*header[1 : 1 + width], len(data)]
    if header[0] != width or offsets[0] != 64 or sorted(offsets) != offsets:
        msg = "the segments do not fit"
        raise ValueError(msg)
    pixels = np.empty((rows * columns, width), np.uint8)
    for index in range(width):
        segment = _run_lengths(data[offsets[index] : offsets[index + 1]], rows * columns)
        pixels[:, width - 1 - index] = np.frombuffer(segment, np.uint8, rows * columns)
    return pixels.view(f"<u{width}").reshape(rows, columns)


def _run_lengths(segment: bytes, expected: int) -> bytearray:
    """Expand one segment to ``expected`` bytes, of which a last pad byte may be left over."""
    out, position, size = bytearray(), 0, len(segment)
    extend = out.extend
    while position + 1 < size and len(out) < expected:
        count = segment[position]
        if count < 128:
            extend(segment[position + 1 : position + 2 + count])
            position += 2 + count
        elif count > 128:
            extend(segment[position + 1 : position + 2] * (257 - count))
            position += 2
        else:
            position += 1
    left = segment[position:]
    if not expected <= len(out) <= expected + 1 or left.strip(b"\0\x80"):
        msg = "a segment is shorter or longer than the image"
        raise ValueError(msg)
    return out

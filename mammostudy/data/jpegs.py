"""The size of a JPEG from its header, without decoding it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

from mammostudy.errors import DataError

_FRAMES: Final = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_BARE: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def jpeg_size(path: Path) -> tuple[int, int]:
    """Return height and width in pixels.

    Raises:
        DataError: the file cannot be read, is no JPEG, or ends before its size.
    """
    try:
        with path.open("rb") as stream:
            size = _size(stream)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        raise DataError(msg) from None
    if size is None:
        msg = f"{path}: no JPEG, or cut before its size; copy the file anew"
        raise DataError(msg)
    return size


def _size(stream: BinaryIO) -> tuple[int, int] | None:
    if stream.read(2) != b"\xff\xd8":
        return None
    while (mark := stream.read(2)) and len(mark) == 2 and mark[0] == 0xFF:
        if mark[1] == 0xFF:  # a fill byte
            stream.seek(-1, 1)
        elif mark[1] in _FRAMES:
            head = stream.read(7)
            if len(head) < 7:
                return None
            height, width = struct.unpack(">HH", head[3:7])
            return (height, width) if height and width else None
        elif mark[1] not in _BARE:
            length = stream.read(2)
            if len(length) < 2 or int.from_bytes(length, "big") < 2:
                return None
            stream.seek(int.from_bytes(length, "big") - 2, 1)
    return None

"""Decode PNG, JPEG and TIFF mammograms to one grey image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError

DEPTHS = (10, 12, 14, 16)


def decode_picture(path: Path, content: bytes) -> NDArray[np.float32]:
    """Decode the bytes of a PNG, JPEG or TIFF file to grey values.

    Integers are divided by the full range of their depth; 16-bit files that hold fewer bits, as
    converted mammograms do, by that of the smallest of 10, 12, 14 and 16 bits that fits.

    Args:
        path: the file, for messages and for counting the pages of a TIFF.
        content: its bytes.

    Returns:
        float32 (h, w) in [0, 1].

    Raises:
        DataError: cut or damaged data, several pages, or another kind of file.

    Source:
        OpenCV's decoders (``cv2.imdecode``).
    """
    kind = _kind_of(content)
    if kind is None:
        msg = f"{path}: not an image that is read here; give a DICOM, PNG, JPEG or TIFF file"
        raise DataError(msg)
    ends = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
    whole = kind not in ends or ends[kind] in content[-1024:]
    pixels = _decoded(content) if whole else None
    if pixels is None:
        msg = (
            f"{path}: the {kind} data do not decode; the file is truncated or damaged, copy it anew"
        )
        raise DataError(msg)
    if kind == "TIFF" and cv2.imcount(str(path), cv2.IMREAD_UNCHANGED) > 1:
        msg = f"{path}: the TIFF holds several pages; export one image a file"
        raise DataError(msg)
    if pixels.ndim == 3:
        pixels = _grey(pixels)
    return _unit(path, pixels)


def _kind_of(content: bytes) -> str | None:
    marks = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF"}
    marks[b"MM\0*"] = "TIFF"
    return next((kind for mark, kind in marks.items() if content.startswith(mark)), None)


def _decoded(content: bytes) -> NDArray[np.generic] | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _grey(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Colour (h, w, c), blue first, to grey (h, w); an alpha channel is dropped."""
    if pixels.shape[2] < 3:
        return pixels[..., 0]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_BGR2GRAY))


def _unit(path: Path, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.float32) / np.float32(255)
    if pixels.dtype == np.uint16:
        needed = int(pixels.max()).bit_length()
        depth = next(bits for bits in DEPTHS if bits >= needed)
        return np.asarray(pixels, dtype=np.float32) / np.float32(2**depth - 1)
    values = np.asarray(pixels, dtype=np.float64)
    if not np.isfinite(values).all():
        msg = f"{path}: the pixels are not finite numbers; export 8- or 16-bit integers"
        raise DataError(msg)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    return ((values - low) / (high - low)).astype(np.float32)

"""What the readers of published folders share: safe access to files, outlines checked and boxed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.manifest import BOX, COLUMNS
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_rows

LONGEST_SIDE: Final = 16_384  # px; the longest film of the public sets has fewer than 8,000
MOST_PIXELS: Final = 64_000_000  # the largest films have 35 million
MOST_POINTS: Final = 20_000  # of one outline
OVERHANG: Final = 0.01  # of the longer side of the image, by which an outline may leave it; or 2 px
NO_AREA: Final = "outline that encloses no area"
OUTSIDE: Final = "outline that leaves the image"


def relative(folder: Path, path: Path) -> str:
    """Return a file's posix path from the cohort's folder.

    Raises:
        DataError: the file is a link that leads out of the folder.
    """
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        msg = f"{path}: leads out of {folder} or nowhere; put the file itself into the folder"
        raise DataError(msg)
    return path.relative_to(folder).as_posix()


def read_bytes(path: Path, most: int) -> bytes:
    """Read a small file of the owner's.

    Args:
        path: the file.
        most: bytes that such a file may have.

    Raises:
        DataError: it is missing, no file, larger, or cannot be read.
    """
    try:
        if not path.is_file():
            msg = f"{path}: missing or no file; copy it anew"
            raise DataError(msg)
        if path.stat().st_size > most:
            msg = f"{path}: is larger than {most:,} bytes, which no such file is; copy it anew"
            raise DataError(msg)
        return path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        raise DataError(msg) from None


def read_text(path: Path, most: int) -> str:
    """Read a small text file, UTF-8 with or without a mark, line ends of any kind.

    Raises:
        DataError: as :func:`read_bytes`, or it is not text.
    """
    content = read_bytes(path, most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is no text; the file is damaged, copy it anew"
        raise DataError(msg) from None
    if "\0" in text:
        msg = f"{path}: byte {text.index(chr(0))} is no text; the file is damaged, copy it anew"
        raise DataError(msg)
    return text


def sha256_of(path: Path) -> str:
    """Hash a file's bytes, SHA-256 in hex, a block at a time.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        raise DataError(msg) from None


def size_fault(height: int, width: int) -> str | None:
    """Say what is wrong with an image's size, or None where a mammogram can have it."""
    if min(height, width) > 0 and max(height, width) <= LONGEST_SIDE:
        return None if height * width <= MOST_PIXELS else f"{width}x{height} pixels are too many"
    return f"{width}x{height} pixels are no mammogram (a side has 1 to {LONGEST_SIDE:,})"


def place(
    points: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[dict[str, object] | None, str | None]:
    """Box an outline and write it as a manifest has it.

    What lies outside the image by at most :data:`OVERHANG` is cut off, as annotators drew over
    the edge.

    Args:
        points: float ``(k, 2)`` of x and y in pixels, any k.
        shape: height and width of the image.

    Returns:
        Either the manifest's columns x_min to y_max and outline, or why there are none:
        :data:`NO_AREA` or :data:`OUTSIDE`.

    Raises:
        DataError: the outline is no shape (see :func:`mammostudy.imaging.scanline.fill_rows`).
    """
    height, width = shape
    beyond = max(2.0, OVERHANG * max(shape))
    limit = np.array([width - 1, height - 1]) + beyond
    if len(points) and not ((points >= -beyond) & (points <= limit)).all():
        return None, OUTSIDE
    if len(points) < 3 or _area(points) < 1:
        return None, NO_AREA
    mask = fill_rows(points, shape)
    if not mask.any():
        return None, OUTSIDE
    outline = json.dumps([[_plain(x), _plain(y)] for x, y in points.tolist()])
    return dict(zip(BOX, box_of(mask), strict=True)) | {"outline": outline}, None


def _area(points: NDArray[np.float64]) -> float:
    """The pixels that an outline encloses, of corners at their centres."""
    x, y = (points - points.mean(axis=0)).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _plain(value: float) -> float | int:
    rounded = round(value, 3)
    return int(rounded) if rounded == math.floor(rounded) else rounded


def table_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return rows as a manifest's table; columns that a row lacks are empty."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def one_error(faults: Iterable[DataError]) -> None:
    """Raise the first of several faults, with the number of the others in its message.

    Raises:
        DataError: there is a fault.
    """
    messages = [str(fault) for fault in faults]
    if not messages:
        return
    if len(messages) == 1:
        raise DataError(messages[0])
    others = "; ".join(messages[1:4])
    more = f" and {len(messages) - 4} more" if len(messages) > 4 else ""
    msg = f"{messages[0]}; {len(messages)} files have faults, the others: {others}{more}"
    raise DataError(msg)

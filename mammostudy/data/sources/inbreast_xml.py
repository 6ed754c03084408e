"""INbreast's annotations: an OsiriX property list (XML) a mammogram, points in its pixels."""

from __future__ import annotations

import plistlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.sources.owner_files import MOST_POINTS, read_bytes
from mammostudy.errors import DataError

MOST_BYTES: Final = 8_000_000  # the largest annotation file of the set has under 4 MB
FARTHEST: Final = 1e6  # px
FORBIDDEN: Final = (b"<!ENTITY", b"<\0!\0E\0N\0T\0", b"\0<\0!\0E\0N\0T")
"""Definitions of XML entities, in 8 and 16 bits: a few lines of them can fill the memory."""
_NUMBER: Final = r"\s*([-+]?\d{1,9}(?:\.\d{0,12})?(?:[eE][-+]?\d{1,2})?)\s*"
_POINT: Final = re.compile(rf"\({_NUMBER},{_NUMBER}\)")
_PARSE_FAILURES: Final = (
    ExpatError, plistlib.InvalidFileException, ValueError, TypeError, AttributeError, LookupError,
    ArithmeticError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class Roi:
    """A region that was drawn.

    Attributes:
        name: as written, in any case; empty where it has none.
        points: float ``(k, 2)`` of x and y in pixels of the image, k >= 0. A region of a single
            point is a calcification whatever its name.
    """

    name: str
    points: NDArray[np.float64]


def read_rois(path: Path) -> list[Roi]:
    """Read the regions of one mammogram.

    Args:
        path: ``AllXML/<id>.xml``.

    Returns:
        The regions in the file's order; may be none.

    Raises:
        DataError: the file is no such property list, defines entities, or a field of it cannot be
            used; the message names the field.
    """
    content = _content(path)
    images = _field(path, content, "Images", list, "")
    if len(images) != 1:
        msg = f"{path}: field Images holds {len(images)} images, not one; copy the file anew"
        raise DataError(msg)
    rois = _field(path, images[0], "ROIs", list, "Images[0].")
    stated = _field(path, images[0], "NumberOfROIs", int, "Images[0].")
    if stated != len(rois):
        msg = f"{path}: field NumberOfROIs is {stated}, but there are {len(rois)}; copy it anew"
        raise DataError(msg)
    return [_roi(path, roi, f"ROIs[{k}].") for k, roi in enumerate(rois)]


def _content(path: Path) -> object:
    raw = read_bytes(path, MOST_BYTES)
    if any(mark in raw for mark in FORBIDDEN):
        msg = f"{path}: defines XML entities, which no annotation needs; copy the file anew"
        raise DataError(msg)
    try:
        return plistlib.loads(raw, fmt=plistlib.FMT_XML)
    except _PARSE_FAILURES as error:
        kind = type(error).__name__
        msg = (
            f"{path}: not a readable XML property list ({kind}); the file is damaged, copy it anew"
        )
        raise DataError(msg) from None


def _field(path: Path, content: object, name: str, kind: type, place: str) -> Any:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        msg = f"{path}: field {place}{name} is missing or no {_WORDS[kind]}; copy the file anew"
        raise DataError(msg)
    return value


_WORDS: Final = {list: "list", int: "whole number", str: "text"}


def _roi(path: Path, content: object, place: str) -> Roi:
    points = _field(path, content, "Point_px", list, place)
    stated = _field(path, content, "NumberOfPoints", int, place)
    if stated != len(points) or len(points) > MOST_POINTS:
        msg = (
            f"{path}: field {place}NumberOfPoints is {stated}, but Point_px has {len(points)} "
            f"(at most {MOST_POINTS:,}); copy the file anew"
        )
        raise DataError(msg)
    named = isinstance(content, dict) and "Name" in content
    name = _field(path, content, "Name", str, place) if named else ""
    pairs = [_point(path, point, f"{place}Point_px[{k}]") for k, point in enumerate(points)]
    return Roi(name, np.asarray(pairs, np.float64).reshape(-1, 2))


def _point(path: Path, text: object, place: str) -> tuple[float, float]:
    found = _POINT.fullmatch(text) if isinstance(text, str) else None
    x, y = map(float, found.groups()) if found else (FARTHEST, FARTHEST)
    if max(abs(x), abs(y)) >= FARTHEST:
        msg = f"{path}: field {place} is not a point '(x, y)' of an image; copy the file anew"
        raise DataError(msg)
    return x, y

"""CBIS-DDSM's masks, told from the crops beside them by what the files hold.

Crop and mask of a mass share a series, or stand in two, and the tables swap their paths in places;
neither the file's name nor its place tells one from the other. The mask holds two values, 0 and
another, and has its image's size or a multiple of it; the crop holds many.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.data.dicom import read_stored_values
from mammostudy.data.row_files import SAME_ASPECT
from mammostudy.data.sources.archive_dicoms import Header
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.framing import Box

NO_FILES: Final = "mask not found"
BAD_FILE: Final = "mask damaged"
NO_MASK: Final = "no file of two values beside the crop: the mask is missing"
FLAT: Final = "mask of one value: it marks nothing or everything"
ASPECT: Final = "mask of another aspect than its image"
Found = tuple[Path | None, Box | None, str, str]


def find_mask(
    candidates: list[Path], shape: tuple[int, int], header_of: Callable[[Path], Header]
) -> Found:
    """Find the mask among the files of a mass.

    Args:
        candidates: the files under the mask's and the crop's path.
        shape: height and width of the image.
        header_of: reads a file's header, or raises DataError.

    Returns:
        The mask's file and its half-open box in pixels of the image; or None twice, the reason
        (one of this module's) and a message.
    """
    if not candidates:
        return None, None, NO_FILES, ""
    problems: dict[str, str] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    for path in candidates:
        try:
            header = header_of(path)
            sizes[path] = (header.height, header.width)
        except DataError as error:
            problems[BAD_FILE] = str(error)
    for path in sorted(sizes, key=lambda one: (sizes[one] != shape, -np.prod(sizes[one]))):
        try:
            pixels = read_stored_values(path)
        except DataError as error:
            problems[BAD_FILE] = str(error)
            continue
        low, high = pixels.min(), pixels.max()
        if not ((pixels == low) | (pixels == high)).all():
            continue
        reason = _fault(pixels, shape)
        if reason is None:
            return path, _box(pixels == high, shape), "", ""
        problems[reason] = f"{path}: {reason}"
    for reason in (ASPECT, FLAT, BAD_FILE):
        if reason in problems:
            return None, None, reason, problems[reason]
    return None, None, NO_MASK, f"{candidates[0]}: {NO_MASK}"


def _fault(pixels: NDArray[np.integer[Any]], shape: tuple[int, int]) -> str | None:
    if pixels.min() == pixels.max():
        return FLAT
    (height, width), (image_height, image_width) = pixels.shape, shape
    ratio = (width / height) / (image_width / image_height)
    return ASPECT if abs(ratio - 1) > SAME_ASPECT else None


def _box(mask: NDArray[np.bool_], shape: tuple[int, int]) -> Box:
    """Box a mask in its image's pixels, resized as :func:`mammostudy.data.row_files.read_mask`."""
    if mask.shape != shape:
        resized = cv2.resize(
            mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        mask = resized > 0
    return box_of(mask)

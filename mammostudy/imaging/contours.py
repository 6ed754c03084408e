"""Outlines, boxes and the masks that need no training: ellipse, Otsu, Chan-Vese.

Outlines are ``(x, y)`` points in pixels with pixel centres at whole numbers (scikit-image's
convention); boxes are half-open, so the pixel ``(0, 0)`` alone has the box ``(0, 0, 1, 1)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.draw import ellipse
from skimage.filters import threshold_otsu
from skimage.measure import find_contours
from skimage.segmentation import morphological_chan_vese

from mammostudy.errors import DataError
from mammostudy.imaging.framing import Box
from mammostudy.imaging.scanline import fill_rows

VERSION = 1
"""Recipe version: raised by hand when the masks that leave this module change."""


def fill_outline(
    points: ArrayLike | Sequence[Sequence[float]], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """The mask inside an outline.

    Args:
        points: ``(k, 2)`` of x and y in pixels, k >= 3; what lies outside the image is cut off.
        shape: height and width of the mask.

    Returns:
        bool ``(h, w)``.

    Raises:
        DataError: fewer than three points, not pairs, not finite, or a tangle without end.
    """
    outline = np.asarray(points, dtype=np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3:
        msg = f"an outline of shape {outline.shape} is no polygon: three or more (x, y) needed"
        raise DataError(msg)
    if not np.isfinite(outline).all():
        msg = "an outline holds points that are not finite numbers"
        raise DataError(msg)
    return fill_rows(outline, shape)


def outline_of(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The closed outlines of a mask, half-way between its pixels and the others.

    Args:
        mask: bool ``(h, w)``.

    Returns:
        float ``(k, 2)`` arrays of x and y in pixels, one for each part and each hole;
        none of an empty mask. :func:`fill_outline` of a part without holes gives it back.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    return [contour[:, ::-1] - 1 for contour in find_contours(padded, 0.5)]


def box_of(mask: NDArray[np.bool_]) -> Box:
    """The smallest box around a mask, half-open.

    Raises:
        DataError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        msg = f"a mask of shape {mask.shape} is empty: it has no box"
        raise DataError(msg)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def inscribed_ellipse(box: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The ellipse that touches the four sides of a box: it covers about pi/4 of it.

    Args:
        box: pixels, half-open; may reach outside the image.
        shape: height and width of the mask.

    Returns:
        bool ``(h, w)``.
    """
    x_min, y_min, x_max, y_max = box
    centre = (y_min + y_max - 1) / 2, (x_min + x_max - 1) / 2
    mask = np.zeros(shape, np.bool_)
    mask[ellipse(*centre, (y_max - y_min) / 2, (x_max - x_min) / 2, shape=shape)] = True
    return mask


def _nearest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The 8-connected part of the mask that comes nearest to the centre of the frame."""
    if not mask.any():
        return mask
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    nearest = np.argmin((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels == labels[rows[nearest], columns[nearest]], dtype=np.bool_)


def otsu_mask(image: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """What is brighter than Otsu's threshold; only the part nearest the centre is kept.

    Args:
        image: ``(h, w)``, a framed image, pre-processed or not.

    Returns:
        bool ``(h, w)``; empty for an image of one value. Holes are not filled.
    """
    return _nearest_part(np.asarray(image > threshold_otsu(image), dtype=np.bool_))


def chan_vese_mask(
    image: NDArray[np.floating[Any]],
    *,
    box_fraction: float = 0.5,
    iterations: int = 30,
    smoothing: int = 1,
) -> NDArray[np.bool_]:
    """Morphological Chan-Vese from the ellipse in the middle; the part nearest the centre is kept.

    Args:
        image: ``(h, w)``, a framed image, pre-processed or not.
        box_fraction: the start is the ellipse inscribed in a centred box with this share of the
            frame's sides; 0.5 is the mass's own box in a loose frame of scale 2.
        iterations: of the level set (scikit-image).
        smoothing: smoothing steps in each iteration.

    Returns:
        bool ``(h, w)``. Holes are not filled. About 30 ms at 128 x 128 pixels.

    Raises:
        DataError: ``box_fraction`` is not in (0, 1].
    """
    if not 0 < box_fraction <= 1:
        msg = f"box_fraction {box_fraction} must be above 0 and at most 1"
        raise DataError(msg)
    height, width = image.shape
    half_width, half_height = box_fraction * width / 2, box_fraction * height / 2
    box = (
        round(width / 2 - half_width),
        round(height / 2 - half_height),
        round(width / 2 + half_width),
        round(height / 2 + half_height),
    )
    start = inscribed_ellipse(box, (height, width)).astype(np.int8)
    level = morphological_chan_vese(
        image.astype(np.float64), iterations, init_level_set=start, smoothing=smoothing
    )
    return _nearest_part(np.asarray(level > 0, dtype=np.bool_))

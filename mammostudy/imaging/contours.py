"""Outlines, boxes and the masks that need no training: ellipse, Otsu, Chan-Vese.

Outlines are ``(x, y)`` points in pixels with pixel centres at whole numbers (scikit-image's
convention); boxes are half-open, so the pixel ``(0, 0)`` alone has the box ``(0, 0, 1, 1)``.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.draw import ellipse
from skimage.filters import threshold_otsu
from skimage.measure import find_contours, points_in_poly
from skimage.segmentation import morphological_chan_vese

from mammostudy.errors import DataError
from mammostudy.imaging.framing import Box
from mammostudy.imaging.preprocessing import is_flat

MOST_CROSSINGS: Final = 500_000  # rows crossed by all sides together
ITERATIONS: Final = 30  # of the level set
_NEAR: Final = 1e-6  # px from a side
Mask = NDArray[np.bool_]
_Array = NDArray[np.float64]
_Whole = NDArray[np.int64]


def fill_outline(points: ArrayLike, shape: tuple[int, int]) -> Mask:
    """The mask inside an outline, its sides and corners included: ``skimage.draw.polygon``'s.

    What lies outside the image is cut off; a DataError for what is no outline.
    """
    outline = np.asarray(points, dtype=np.float64)
    pairs = outline.ndim == 2 and outline.shape[1] == 2 and len(outline) >= 3
    if not pairs or not np.isfinite(outline).all():
        msg = f"an outline of shape {outline.shape}: three or more finite (x, y) needed"
        raise DataError(msg)
    return fill_rows(outline, shape)


def fill_rows(points: NDArray[np.floating], shape: tuple[int, int]) -> Mask:
    """As :func:`fill_outline`, of points that are in order.

    Each row is filled between its crossings (even-odd rule); only the pixels on a side, where
    rounding decides, are put to scikit-image, which takes seconds for a whole outline.
    """
    mask = np.zeros(shape, np.bool_)
    start = np.ascontiguousarray(points, np.float64)
    end = np.roll(start, -1, axis=0)
    rows, crossings = _crossings(start, end, shape[0])
    order = np.lexsort((crossings, rows))
    rows, crossings = rows[order], crossings[order]
    first = np.clip(np.ceil(crossings[::2]), 0, shape[1]).astype(np.int64)
    beyond = np.clip(np.floor(crossings[1::2]) + 1, 0, shape[1]).astype(np.int64)
    for row, a, b in zip(rows[::2].tolist(), first.tolist(), beyond.tolist(), strict=True):
        mask[row, a:b] = True
    near = np.rint(crossings)
    close = np.abs(crossings - near) < _NEAR
    x, y = np.concatenate(
        [np.stack([near[close], rows[close]]), *_flat(start, end, shape), np.rint(start).T], axis=1
    )
    here = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    doubtful = np.unique(np.stack([x[here], y[here]], axis=1), axis=0)
    if len(doubtful):
        columns, lines = doubtful.astype(np.int64).T
        mask[lines, columns] = points_in_poly(doubtful, start)
    return mask


def _crossings(start: _Array, end: _Array, height: int) -> tuple[_Whole, _Array]:
    """Each row of the image that a side crosses, and the x where it does; even in number a row."""
    y_low = np.clip(np.ceil(np.minimum(start[:, 1], end[:, 1])), 0, height).astype(np.int64)
    y_high = np.clip(np.ceil(np.maximum(start[:, 1], end[:, 1])), 0, height).astype(np.int64)
    counts = y_high - y_low
    _refuse_tangle(start, int(counts.sum()))
    side = np.repeat(np.arange(len(start)), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - y_low, counts)
    x, y = start[side].T
    share = (rows - y) / (end[side, 1] - y)  # of the side: its slope may be no number
    return rows, x + share * (end[side, 0] - x)


def _flat(start: _Array, end: _Array, shape: tuple[int, int]) -> list[_Array]:
    """The pixels under sides that run along a row, ``(2, n)`` of x and y each, in the image."""
    line = np.rint(start[:, 1])
    level = (np.abs(start[:, 1] - line) < _NEAR) & (np.abs(end[:, 1] - line) < _NEAR)
    level &= (line >= 0) & (line < shape[0])
    ends = np.sort(np.stack([start[level, 0], end[level, 0]]), axis=0)
    left = np.clip(np.floor(ends[0]), 0, shape[1] - 1).tolist()
    right = np.clip(np.ceil(ends[1]), 0, shape[1] - 1).tolist()
    _refuse_tangle(start, sum(right) - sum(left))
    runs = [np.arange(a, b + 1) for a, b in zip(left, right, strict=True)]
    return [np.stack([run, np.full(len(run), y)]) for run, y in zip(runs, line[level], strict=True)]


def _refuse_tangle(points: _Array, crossed: int) -> None:
    if crossed > MOST_CROSSINGS:
        msg = f"an outline of {len(points)} points is no shape: its sides cross {crossed} pixels"
        raise DataError(msg)


def outline_of(mask: Mask) -> list[NDArray[np.float64]]:
    """The closed outlines of a mask, half-way between its pixels and the others, of x and y.

    There is one for each part and each hole. :func:`fill_outline` of a part gives it back.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    return [contour[:, ::-1] - 1 for contour in find_contours(padded, 0.5)]


def box_of(mask: Mask) -> Box:
    """The smallest box around a mask, half-open; a DataError where the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise DataError(f"a mask of shape {mask.shape} is empty: it has no box")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def inscribed_ellipse(box: Box, shape: tuple[int, int], factor: float = 1.0) -> Mask:
    """The ellipse that touches the four sides of a box, or has both axes scaled by a factor.

    The box may reach outside the image.
    """
    x_min, y_min, x_max, y_max = box
    centre = (y_min + y_max - 1) / 2, (x_min + x_max - 1) / 2
    radii = factor * (y_max - y_min) / 2, factor * (x_max - x_min) / 2
    mask = np.zeros(shape, np.bool_)
    mask[ellipse(*centre, *radii, shape=shape)] = True
    return mask


def nearest_part(mask: Mask) -> Mask:
    """The 8-connected part of a mask that comes nearest to the centre of the frame."""
    if not mask.any():
        return mask
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    nearest = np.argmin((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels == labels[rows[nearest], columns[nearest]], dtype=np.bool_)


def otsu_mask(image: NDArray[np.floating[Any]]) -> Mask:
    """What is brighter than Otsu's threshold; only the part nearest the centre is kept."""
    threshold = image.max() if is_flat(image) else threshold_otsu(image)
    return nearest_part(np.asarray(image > threshold, dtype=np.bool_))


def chan_vese_mask(image: NDArray[np.floating[Any]], *, box_fraction: float = 0.5) -> Mask:
    """Morphological Chan-Vese from an ellipse in the middle; the part nearest the centre is kept.

    The ellipse is inscribed in a box with ``box_fraction`` of the frame's sides: 0.5 is the mass's
    own box in a loose frame of scale 2. About 30 ms at 128 x 128 pixels.
    """
    height, width = image.shape
    left, right = (round(width / 2 + side * box_fraction * width / 2) for side in (-1, 1))
    top, bottom = (round(height / 2 + side * box_fraction * height / 2) for side in (-1, 1))
    start = inscribed_ellipse((left, top, right, bottom), (height, width)).astype(np.int8)
    level = morphological_chan_vese(image.astype(np.float64), ITERATIONS, init_level_set=start)
    return nearest_part(np.asarray(level > 0, dtype=np.bool_))

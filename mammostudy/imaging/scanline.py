"""Fill large outlines row by row: the pixels of scikit-image's ``polygon``, in time that is linear.

scikit-image tests every pixel of the outline's box against every corner, which takes seconds for
one radiologist's outline of a full mammogram; here each row is filled between its crossings, and
only the pixels on a side, where rounding decides, are put to scikit-image.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from mammostudy.errors import DataError

MOST_CROSSINGS: Final = 500_000  # rows crossed by all sides together
_NEAR: Final = 1e-6  # px from a side
_Array = NDArray[np.float64]
_Whole = NDArray[np.int64]


def fill_rows(points: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask inside an outline, its sides and corners included.

    Args:
        points: ``(k, 2)`` of finite x and y in pixels, k >= 3, pixel centres at whole numbers; what
            lies outside the image is cut off. Parts that the outline encloses twice are outside.
        shape: height and width of the mask.

    Returns:
        bool ``(h, w)``, equal to that of ``skimage.draw.polygon``.

    Raises:
        DataError: the sides cross more than :data:`MOST_CROSSINGS` rows together.

    Source:
        Even-odd rule on scan lines.
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
    if counts.sum() > MOST_CROSSINGS:
        msg = f"an outline of {len(start)} points is no shape: its sides cross {counts.sum()} rows"
        raise DataError(msg)
    side = np.repeat(np.arange(len(start)), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - y_low, counts)
    x, y = start[side].T
    slope = (end[side, 0] - x) / (end[side, 1] - y)
    return rows, x + (rows - y) * slope


def _flat(start: _Array, end: _Array, shape: tuple[int, int]) -> list[_Array]:
    """The pixels under sides that run along a row, ``(2, n)`` of x and y each, in the image."""
    line = np.rint(start[:, 1])
    level = (np.abs(start[:, 1] - line) < _NEAR) & (np.abs(end[:, 1] - line) < _NEAR)
    level &= (line >= 0) & (line < shape[0])
    ends = np.sort(np.stack([start[level, 0], end[level, 0]]), axis=0)
    left = np.clip(np.floor(ends[0]), 0, shape[1] - 1).tolist()
    right = np.clip(np.ceil(ends[1]), 0, shape[1] - 1).tolist()
    if sum(right) - sum(left) > MOST_CROSSINGS:
        msg = f"an outline of {len(start)} points is no shape: its sides run along one row"
        raise DataError(msg)
    runs = [np.arange(a, b + 1) for a, b in zip(left, right, strict=True)]
    return [np.stack([run, np.full(len(run), y)]) for run, y in zip(runs, line[level], strict=True)]

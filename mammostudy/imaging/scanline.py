"""Fill large outlines row by row: the pixels of scikit-image's ``polygon``, in time that is linear.

scikit-image tests every pixel of the outline's box against every corner, which takes seconds for
one radiologist's outline of a full mammogram; here each row is filled between its crossings.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError

MOST_CROSSINGS: Final = 500_000  # rows crossed by all sides together
_Array = NDArray[np.float64]


def fill_rows(points: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask inside an outline, its sides and corners included.

    Args:
        points: ``(k, 2)`` of finite x and y in pixels, k >= 3, pixel centres at whole numbers; what
            lies outside the image is cut off. Parts that the outline encloses twice are outside.
        shape: height and width of the mask.

    Returns:
        bool ``(h, w)``.

    Raises:
        DataError: the sides cross more than :data:`MOST_CROSSINGS` rows together.

    Source:
        Even-odd rule on scan lines; equal to ``skimage.draw.polygon`` up to rounding at the sides.
    """
    mask = np.zeros(shape, np.bool_)
    start = np.asarray(points, np.float64)
    end = np.roll(start, -1, axis=0)
    rows, crossings = _crossings(start, end, shape[0])
    order = np.lexsort((crossings, rows))
    rows, crossings = rows[order], crossings[order]
    _fill(mask, rows[::2], crossings[::2], crossings[1::2])
    flat = (start[:, 1] == end[:, 1]) & (start[:, 1] == np.round(start[:, 1]))
    flat &= (start[:, 1] >= 0) & (start[:, 1] < shape[0])
    pair = np.sort(np.stack([start[flat, 0], end[flat, 0]]), axis=0)
    _fill(mask, start[flat, 1].astype(np.int64), pair[0], pair[1])
    whole = (start == np.round(start)).all(axis=1)
    whole &= (start >= 0).all(axis=1) & (start[:, 0] < shape[1]) & (start[:, 1] < shape[0])
    corners = start[whole].astype(np.int64)
    mask[corners[:, 1], corners[:, 0]] = True
    return mask


def _crossings(start: _Array, end: _Array, height: int) -> tuple[NDArray[np.int64], _Array]:
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


def _fill(mask: NDArray[np.bool_], rows: NDArray[np.int64], left: _Array, right: _Array) -> None:
    width = mask.shape[1]
    first = np.clip(np.ceil(left), 0, width).astype(np.int64)
    beyond = np.clip(np.floor(right) + 1, 0, width).astype(np.int64)
    for row, a, b in zip(rows.tolist(), first.tolist(), beyond.tolist(), strict=True):
        mask[row, a:b] = True

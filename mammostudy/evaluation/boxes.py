"""Boxes of several images: checks, overlap, centres and sizes.

A box is (x_min, y_min, x_max, y_max) in pixels, half-open: its width is ``x_max - x_min``. Boxes
may be fractional and may reach outside their image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


def boxes_of_images(boxes: Sequence[ArrayLike], field: str = "boxes") -> list[Values]:
    """Return the boxes of each image as float64 ``(k, 4)``.

    Args:
        boxes: one ``(k, 4)`` array an image; an empty list is an image without a box.
        field: what the boxes are called in the message.

    Returns:
        One float64 ``(k, 4)`` array an image.

    Raises:
        DataError: no image, an image whose boxes are not ``(k, 4)``, a coordinate that is not
            finite, or a box without width or height.
    """
    if isinstance(boxes, str) or not isinstance(boxes, Sequence | np.ndarray) or not len(boxes):
        msg = f"{field} must be a list with one (k, 4) array an image, of one image at least"
        raise DataError(msg)
    return [_checked(one, f"{field}[{at}]") for at, one in enumerate(boxes)]


def _checked(boxes: ArrayLike, where: str) -> Values:
    array = _numbers(boxes, where)
    if not array.size:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        msg = f"{where} of shape {array.shape}: the boxes of an image must be (k, 4)"
        raise DataError(msg)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        msg = f"{where}[{at}] = {array[at].tolist()} is not finite: did the training diverge?"
        raise DataError(msg)
    empty = np.flatnonzero((array[:, 2] <= array[:, 0]) | (array[:, 3] <= array[:, 1]))
    if empty.size:
        at = int(empty[0])
        msg = (
            f"{where}[{at}] = {array[at].tolist()} is no box: give x_min, y_min, x_max, y_max "
            "with x_min < x_max and y_min < y_max, or leave it out"
        )
        raise DataError(msg)
    return array


def _numbers(raw: Any, where: str) -> Values:
    try:
        return np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{where} is not an array of numbers: {error}"
        raise DataError(msg) from error


def scores_of_images(scores: Sequence[ArrayLike], boxes: Sequence[Values]) -> list[Values]:
    """Return the scores of each image as float64 ``(k,)``, one for each of its boxes.

    Args:
        scores: one ``(k,)`` array an image.
        boxes: one ``(k, 4)`` array an image.

    Returns:
        One float64 ``(k,)`` array an image.

    Raises:
        DataError: another number of images, another number of scores than boxes in an image, or a
            score that is not finite.
    """
    if len(scores) != len(boxes):
        msg = f"scores of {len(scores)} images for boxes of {len(boxes)}: give one list an image"
        raise DataError(msg)
    checked = []
    for at, (one, here) in enumerate(zip(scores, boxes, strict=True)):
        values = _numbers(one, f"scores[{at}]")
        if values.shape != (len(here),):
            msg = f"scores[{at}] of shape {values.shape} for {len(here)} boxes: one score a box"
            raise DataError(msg)
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            msg = f"scores[{at}][{bad}] is {values[bad]}: give every box a finite score"
            raise DataError(msg)
        checked.append(values)
    return checked


def pairwise_iou(first: ArrayLike, second: ArrayLike) -> Values:
    """Intersection over union of every box with every other.

    Args:
        first: ``(n, 4)``.
        second: ``(m, 4)``.

    Returns:
        float64 ``(n, m)`` in [0, 1].

    Raises:
        DataError: boxes that are not ``(k, 4)``, not finite, or without width or height.
    """
    a, b = _checked(first, "first"), _checked(second, "second")
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas_a, areas_b = np.prod(box_sides(a), axis=1), np.prod(box_sides(b), axis=1)
    overlap: Values = shared / (areas_a[:, None] + areas_b[None, :] - shared)
    return overlap


def pairwise_centre_inside(predicted: ArrayLike, true: ArrayLike) -> Flags:
    """Whether the centre of each predicted box lies in each true box.

    The true box is half-open: a centre on its left or upper edge is inside, one on its right or
    lower edge is not.

    Args:
        predicted: ``(n, 4)``.
        true: ``(m, 4)``.

    Returns:
        bool ``(n, m)``.

    Raises:
        DataError: boxes that are not ``(k, 4)``, not finite, or without width or height.
    """
    a, b = _checked(predicted, "predicted"), _checked(true, "true")
    centres = box_centres(a)[:, None]
    within = (centres >= b[None, :, :2]) & (centres < b[None, :, 2:])
    inside: Flags = np.asarray(within.all(axis=2), dtype=np.bool_)
    return inside


def box_centres(boxes: Values) -> Values:
    """Centres (x, y) of boxes: ``(k, 4)`` to ``(k, 2)``."""
    centres: Values = (boxes[:, :2] + boxes[:, 2:]) / 2
    return centres


def box_sides(boxes: Values) -> Values:
    """Width and height of boxes: ``(k, 4)`` to ``(k, 2)``."""
    sides: Values = boxes[:, 2:] - boxes[:, :2]
    return sides


def box_diameters(boxes: Values) -> Values:
    """Diameter of boxes, the square root of width times height: ``(k, 4)`` to ``(k,)``."""
    diameters: Values = np.sqrt(np.prod(box_sides(boxes), axis=1))
    return diameters

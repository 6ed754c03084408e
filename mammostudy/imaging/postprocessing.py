"""Morphological post-processing of a predicted mask.

Source: section "Workflow" of Singh et al. (2020): closing 3x3, erosion 2x2, dilation 3x3. A step
is a word, ``close``, ``open``, ``erode`` or ``dilate``, and the side of its square, 2 to 9.

An even square has no centre. Here an erosion takes its odd pixel from the left and upper side
(OpenCV's default anchor), and a dilation gives it back on that side (the mirrored anchor), so that
both of one size move nothing. ``erode2`` and ``dilate3`` make an object one pixel wider and higher:
its centre moves by half a pixel to the right and down. A mass that touches the border is not eaten
from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import SpecError

PUBLISHED = ("close3", "erode2", "dilate3")
_PARTS = {
    "close": ("dilate", "erode"),
    "open": ("erode", "dilate"),
    "erode": ("erode",),
    "dilate": ("dilate",),
}


def _parse(step: str) -> tuple[tuple[str, ...], int]:
    name, side = step[:-1], step[-1:]
    if name not in _PARTS or side not in "23456789":
        msg = f"post-processing step {step!r} is unknown: use {', '.join(_PARTS)} and 2 to 9"
        raise SpecError(msg)
    return _PARTS[name], int(side)


def _apply(plane: NDArray[np.uint8], part: str, side: int) -> NDArray[np.uint8]:
    change, at = (cv2.erode, side // 2) if part == "erode" else (cv2.dilate, (side - 1) // 2)
    square = np.ones((side, side), np.uint8)
    return np.asarray(change(plane, square, anchor=(at, at)), dtype=np.uint8)


def postprocess(mask: NDArray[np.bool_], steps: Sequence[str] = PUBLISHED) -> NDArray[np.bool_]:
    """Apply morphological steps to a mask, or to each mask of a batch.

    Args:
        mask: bool ``(h, w)`` or ``(n, h, w)``.
        steps: names such as ``close3``, applied from first to last; none leaves the mask as it is.

    Returns:
        bool of the same shape.

    Raises:
        SpecError: an unknown step.
    """
    plan = [(part, side) for parts, side in map(_parse, steps) for part in parts]
    result = np.array(mask, dtype=np.bool_, order="C")
    for plane in result.reshape(-1, *mask.shape[-2:]):
        work = plane.astype(np.uint8)
        for part, side in plan:
            work = _apply(work, part, side)
        plane[:] = work > 0
    return result


def orderings(steps: Sequence[str] = PUBLISHED) -> list[tuple[str, ...]]:
    """Every subset of the steps in every order, the empty one first (16 of 3 steps)."""
    return [order for count in range(len(steps) + 1) for order in permutations(steps, count)]

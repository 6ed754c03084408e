"""Frames: the part of a mammogram that is cut out around a mass, and the way back.

A box is ``(x_min, y_min, x_max, y_max)`` in pixels, half-open. A frame is a box too, but it may
reach outside the image: what lies outside is filled with zeros, so the mass stays in the middle.
Source: section "Workflow" of Singh et al. (2020) for full, loose and tight frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError

Box = tuple[int, int, int, int]
Slices = tuple[slice, slice]
STRATEGIES = ("full", "loose", "tight")
ASPECTS = ("stretch", "square")
SHIFT, RESIZE = 0.10, 0.20  # of an imperfect box, shares of its side


def check_box(box: Box, image_shape: tuple[int, int]) -> Box:
    """Return the box as plain ints; a DataError where it is empty or leaves ``(height, width)``."""
    x_min, y_min, x_max, y_max = whole = tuple(int(edge) for edge in box)
    height, width = image_shape
    if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
        inside = f"the image of {width} x {height} pixels (width x height)"
        msg = f"box {whole} is empty or not inside {inside}: check that they belong together"
        raise DataError(msg)
    return x_min, y_min, x_max, y_max


def whole_box(edges: Sequence[float], shape: tuple[int, int]) -> Box:
    """Round a detected box to whole pixels inside an image, at least one pixel a side."""
    height, width = shape
    x_min = min(max(round(edges[0]), 0), width - 1)
    y_min = min(max(round(edges[1]), 0), height - 1)
    x_max = min(max(round(edges[2]), x_min + 1), width)
    return x_min, y_min, x_max, min(max(round(edges[3]), y_min + 1), height)


def centred_box(box: Box, width: int, height: int) -> Box:
    """A box of the given size with the centre of ``box`` (to within half a pixel)."""
    x_min, y_min = (box[0] + box[2] - width) // 2, (box[1] + box[3] - height) // 2
    return x_min, y_min, x_min + width, y_min + height


def frame_box(
    box: Box,
    image_shape: tuple[int, int],
    *,
    strategy: str = "loose",
    scale: float = 2.0,
    aspect: str = "stretch",
) -> Box:
    """The frame around a mass.

    Args:
        box: the mass's box in pixels, half-open, inside the image.
        image_shape: height and width of the image in pixels.
        strategy: ``full`` (the whole image), ``loose`` (the box, ``scale`` times as large on each
            axis, same centre) or ``tight`` (the box itself; ``scale`` counts as 1).
        scale: at least 1; the published loose frame has 2.
        aspect: ``stretch`` (each axis by itself, as published) or ``square`` (both sides are
            ``scale`` times the longer one, so that a later resize keeps the mass's aspect).

    Returns:
        The frame in pixels. It may reach outside the image.

    Raises:
        DataError: empty box, box not inside the image, unknown strategy or aspect, scale < 1.
    """
    for name, value, known in (("strategy", strategy, STRATEGIES), ("aspect", aspect, ASPECTS)):
        if value not in known:
            msg = f"{name} {value!r} is unknown: use one of {', '.join(known)}"
            raise DataError(msg)
    if not scale >= 1:
        msg = f"scale {scale} would cut the mass: use 1 or more (the published loose frame has 2)"
        raise DataError(msg)
    inner = check_box(box, image_shape)
    if strategy == "full":
        inner = (0, 0, int(image_shape[1]), int(image_shape[0]))
    factor = scale if strategy == "loose" else 1.0
    width, height = inner[2] - inner[0], inner[3] - inner[1]
    if aspect == "square":
        width = height = max(width, height)
    return centred_box(inner, round(factor * width), round(factor * height))


def jitter_box(box: Box, image_shape: tuple[int, int], *, rng: np.random.Generator) -> Box:
    """A box as an imperfect detector would give it, clipped to the image, 2 pixels or more a side.

    The centre moves by at most 10 % of the side, each side changes by at most 20 %; ``rng`` takes
    four uniform draws: shift in x and y, size in x and y.
    """
    checked = check_box(box, image_shape)
    draws, edges = rng.uniform(-1.0, 1.0, size=4), []
    for axis, limit in ((0, image_shape[1]), (1, image_shape[0])):
        low, high = checked[axis], checked[axis + 2]
        side = high - low
        centre = (low + high) / 2 + SHIFT * side * float(draws[axis])
        half = side * (1 + RESIZE * float(draws[axis + 2])) / 2
        start = min(max(round(centre - half), 0), max(limit - 2, 0))
        edges.append((start, max(min(round(centre + half), limit), min(start + 2, limit))))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def _resample(array: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Resize, each axis by area when it shrinks and linearly when it grows."""
    for sides in ((width, array.shape[0]), (width, height)):
        rows, columns = array.shape
        if sides != (columns, rows):
            shrinks = sides[0] <= columns and sides[1] <= rows
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            array = np.asarray(cv2.resize(array, sides, interpolation=method))
    return array


def _overlap(array: NDArray[Any], box: Box, shape: tuple[int, int]) -> tuple[Slices, Slices]:
    """The part of the frame inside the image: as (rows, columns) of the image and of the frame."""
    if array.ndim != 2:
        msg = f"an array of shape {array.shape} is not one image: (height, width) needed"
        raise DataError(msg)
    x_min, y_min, x_max, y_max = box
    left, right = max(x_min, 0), min(x_max, shape[1])
    top, bottom = max(y_min, 0), min(y_max, shape[0])
    if left >= right or top >= bottom:
        msg = f"frame {box} shows nothing of the image of {shape[1]} x {shape[0]} pixels"
        raise DataError(msg)
    place = slice(top - y_min, bottom - y_min), slice(left - x_min, right - x_min)
    return (slice(top, bottom), slice(left, right)), place


def crop_and_resize(array: NDArray[Any], box: Box, size: int) -> NDArray[Any]:
    """Cut a frame out of an image or a mask and bring it to a square grid.

    Args:
        array: ``(h, w)``; a float image or a bool mask.
        box: the frame in pixels; what lies outside the array is filled with 0.
        size: side of the result in pixels.

    Returns:
        ``(size, size)``: float32 of an image, bool of a mask (resampled as 0/1, then >= 0.5).
        An axis that shrinks is averaged (OpenCV's area), one that grows is linear.

    Raises:
        DataError: not a 2-D array, or a frame that shows nothing of the array.
    """
    inside, place = _overlap(array, box, (array.shape[0], array.shape[-1]))
    part = np.ascontiguousarray(array[inside], dtype=np.float32)
    if part.shape != (sides := (box[3] - box[1], box[2] - box[0])):
        crop = np.zeros(sides, np.float32)
        crop[place] = part
        part = crop
    resized = _resample(part, size, size)
    return resized >= 0.5 if array.dtype == np.bool_ else resized


def paste_back(frame: NDArray[Any], box: Box, image_shape: tuple[int, int]) -> NDArray[Any]:
    """Put a frame back where it was cut: the inverse of :func:`crop_and_resize`.

    Args:
        frame: ``(s, s)``; float or bool.
        box: the frame's place in the image in pixels; what lies outside is dropped.
        image_shape: height and width of the image in pixels.

    Returns:
        ``(h, w)``, zero outside the frame: float32, or bool (resampled as 0/1, then >= 0.5).
        Inside the frame it is what was cut, exactly, when the frame had the side ``s``.

    Raises:
        DataError: not a 2-D array, or a frame outside the image.
    """
    inside, place = _overlap(frame, box, image_shape)
    full = _resample(frame.astype(np.float32), box[2] - box[0], box[3] - box[1])[place]
    pasted = full >= 0.5 if frame.dtype == np.bool_ else full
    result = np.zeros(image_shape, pasted.dtype)
    result[inside] = pasted
    return result

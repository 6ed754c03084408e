"""Masks as the shape classifier sees them: placed on its grid, and drawn between the shapes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_outline
from mammostudy.imaging.framing import Box, centred_box, crop_and_resize, frame_box

Mask = NDArray[np.bool_]
_ANGLES = np.linspace(0.0, 2 * np.pi, 720, endpoint=False)


def largest_part(mask: Mask) -> Mask:
    """The largest 8-connected part of a mask; of equal ones, the one met first row by row.

    This is the rule for masks of several parts wherever a shape is measured or classified: a mass
    is one object, and what a segmenter leaves beside it is not its shape. None is a DataError.
    """
    if not mask.any():
        msg = f"a mask of shape {mask.shape} is empty: it has no shape; count it as missed"
        raise DataError(msg)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.ravel())
    biggest = np.flatnonzero(sizes == sizes[1:].max())
    first = labels[np.isin(labels, biggest) & mask][0]
    return np.asarray(labels == first, dtype=np.bool_)


def cut_out(mask: Mask) -> Mask:
    """Cut a mask to the box of its largest part and two pixels around; an empty one to a pixel."""
    if not mask.any():
        return np.zeros((1, 1), np.bool_)
    part = largest_part(mask)
    x_min, y_min, x_max, y_max = box_of(part)
    return np.pad(part[y_min:y_max, x_min:x_max], 2)


def place_mask(
    mask: Mask,
    size: int = 64,
    placement: str = "stretch",
    *,
    keep_scale: bool = False,
    scale: float = 2.0,
    window: int | None = None,
) -> Mask:
    """Put the largest part of a mask ``(h, w)`` in the middle of a grid, bool ``(size, size)``.

    ``stretch`` scales each axis by itself, as published (a circle and an upright oval give the same
    mask); ``square`` keeps the aspect. Every mass is brought to ``1 / scale`` of the grid's side,
    or, with ``keep_scale``, shown in a window of ``window`` mask pixels (none: of the whole array).
    """
    part = largest_part(mask)
    box, shape = box_of(part), (mask.shape[0], mask.shape[1])
    frame = frame_box(box, shape, scale=scale, aspect=placement)
    if keep_scale:
        frame = _window_about(box, shape, placement, window)
    placed = crop_and_resize(part, frame, size)
    if not placed.any():
        msg = f"a mass of {int(part.sum())} pixels vanishes at {size} x {size}: a smaller window"
        raise DataError(msg)
    return placed


def _window_about(box: Box, shape: tuple[int, int], placement: str, window: int | None) -> Box:
    """The window of fixed size with the mass in its middle."""
    height, width = shape if window is None else (window, window)
    if placement == "square":
        height = width = max(height, width)
    if box[2] - box[0] > width or box[3] - box[1] > height:
        msg = f"window = {window} pixels would cut the mass {box}"
        raise DataError(msg)
    return centred_box(box, width, height)


def shape_between(position: float, size: int = 64, *, diameter: float = 0.5, seed: int = 0) -> Mask:
    """A mask on the way round -> oval -> lobular -> irregular.

    At 0 a disc, at 1 an ellipse of axes 1 : 0.6, at 2 an outline of four lobes, at 3 a rough one
    with spikes, drawn from ``seed``; between them the logarithm of the radius is interpolated
    linearly. The area is always that of the same disc, whose ``diameter`` is a share of the side.
    """
    before = min(int(position), 2)
    share = position - before
    oval = -np.log(np.hypot(np.cos(_ANGLES), np.sin(_ANGLES) / 0.6))
    lobes = np.abs(np.cos(2 * _ANGLES + 0.5)) ** 0.7  # rounded, meeting in notches
    lobular = np.log(0.72 + 0.45 * lobes) + 0.06 * np.cos(2 * _ANGLES)
    anchors = (np.zeros_like(_ANGLES), oval, lobular, _irregular(seed))
    radius = np.exp((1 - share) * anchors[before] + share * anchors[before + 1])
    points = np.column_stack([radius * np.cos(_ANGLES), radius * np.sin(_ANGLES)])
    x, y = points.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    points *= diameter * size / 2 * np.sqrt(np.pi / area)
    return fill_outline(points + (size - 1) / 2, (size, size))


def _irregular(seed: int) -> NDArray[np.float64]:
    """A rough outline with seven tapering spikes."""
    rng = np.random.default_rng(seed)
    order = np.arange(2, 25)
    waves = rng.standard_normal((2, order.size)) / order**0.9
    angles = np.outer(order, _ANGLES)
    body = waves[0] @ np.cos(angles) + waves[1] @ np.sin(angles)
    spikes = np.zeros_like(_ANGLES)
    centres = 2 * np.pi * (np.arange(7) + rng.uniform(-0.3, 0.3, 7)) / 7
    for centre, height in zip(centres, rng.uniform(0.25, 0.45, 7), strict=True):
        gap = np.abs(np.angle(np.exp(1j * (_ANGLES - centre))))
        spikes = np.maximum(spikes, height * np.exp(-gap / 0.15))
    return np.asarray(0.12 * body / body.std() + spikes)

"""Masks drawn over the image: agreement of two masks, and outlines.

Source of the colours: the qualitative figures of Singh et al. (2020): true positive yellow, false
negative red, false positive green, true negative black.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.imaging.framing import Box

Colour = tuple[int, int, int]
Grey = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
AGREEMENT_COLOURS: dict[str, Colour] = {
    "true positive": (255, 255, 0),
    "false negative": (255, 0, 0),
    "false positive": (0, 255, 0),
    "true negative": (0, 0, 0),
}
OUTLINE_COLOURS: tuple[Colour, ...] = ((255, 255, 255), (230, 159, 0), (86, 180, 233))
"""White, orange and sky blue (the last two of the Okabe-Ito palette)."""
BOX_COLOUR, MASS_COLOUR = OUTLINE_COLOURS[2], OUTLINE_COLOURS[1]
LINE_SHARE = 1 / 1000
"""Thickness of lines over the longer side: they are seen when a large mammogram is shown small."""
LEAST_LABELLED = 200
"""Longer side in pixels from which on labels are written: in smaller images they hide the mass."""


def _same_shape(image: Grey, masks: Sequence[Mask]) -> None:
    shapes = {array.shape for array in (image, *masks)}
    if len(shapes) > 1 or image.ndim != 2:
        msg = f"image and masks must have one shape (h, w), not {sorted(shapes)}"
        raise DataError(msg)


def agreement_overlay(image: Grey, truth: Mask, prediction: Mask, *, alpha: float = 0.5) -> Picture:
    """Colour every pixel by how prediction and truth agree.

    Args:
        image: ``(h, w)`` in [0, 1].
        truth: bool ``(h, w)``.
        prediction: bool ``(h, w)``.
        alpha: share of the colour over the grey image: 1 is the pure four colours of the
            published figures, 0 the image alone.

    Returns:
        uint8 ``(h, w, 3)``, RGB.

    Raises:
        DataError: shapes differ.
    """
    _same_shape(image, (truth, prediction))
    table = np.array(list(AGREEMENT_COLOURS.values()), np.float32)
    kind = np.where(truth, np.where(prediction, 0, 1), np.where(prediction, 2, 3))
    grey = 255 * np.clip(image, 0, 1)[..., np.newaxis]
    mixed = alpha * table[kind] + (1 - alpha) * grey
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def outline_overlay(image: Grey, *masks: Mask, thickness: int = 1) -> Picture:
    """Draw the outlines of masks over the grey image, the first one lowest.

    Args:
        image: ``(h, w)`` in [0, 1].
        *masks: bool ``(h, w)`` each, as truth, prediction; :data:`OUTLINE_COLOURS` in turn.
        thickness: of the line in pixels.

    Returns:
        uint8 ``(h, w, 3)``, RGB.

    Raises:
        DataError: shapes differ.
    """
    _same_shape(image, masks)
    grey = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    canvas = np.repeat(grey[..., np.newaxis], 3, axis=2)
    for number, mask in enumerate(masks):
        _outline(canvas, mask, OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)], thickness)
    return canvas


def _outline(canvas: NDArray[Any], mask: Mask, colour: Colour, thickness: int) -> None:
    plane = np.ascontiguousarray(mask).view(np.uint8)
    found, _ = cv2.findContours(plane, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, found, -1, colour, thickness)


def findings_overlay(
    image: Grey, boxes: Sequence[Box], masks: Sequence[Mask], labels: Sequence[str]
) -> Picture:
    """Draw masses over the grey image: the box in blue, the outline in orange, a label each.

    Args:
        image: ``(h, w)`` in [0, 1].
        boxes: half-open pixels, one a mass.
        masks: bool ``(h, w)``, one a mass.
        labels: written at the box, one a mass; left out where empty, or where the image is small.

    Returns:
        uint8 ``(h, w, 3)``, RGB. The first mass is drawn last, over the others.

    Raises:
        DataError: shapes differ.
    """
    _same_shape(image, masks)
    canvas = cv2.cvtColor(cv2.convertScaleAbs(np.asarray(image), alpha=255), cv2.COLOR_GRAY2RGB)
    line = max(1, round(LINE_SHARE * max(image.shape)))
    for (x_min, y_min, x_max, y_max), mask in reversed(list(zip(boxes, masks, strict=True))):
        _outline(canvas, mask, MASS_COLOUR, line)
        cv2.rectangle(canvas, (x_min, y_min), (x_max - 1, y_max - 1), BOX_COLOUR, line)
    if max(image.shape) >= LEAST_LABELLED:
        for box, label in reversed(list(zip(boxes, labels, strict=True))):
            _write(canvas, label, box)
    return np.asarray(canvas, dtype=np.uint8)


def _write(canvas: NDArray[Any], label: str, box: Box) -> None:
    """Write a label above the box, below it where there is no room; always inside the image."""
    height, width = canvas.shape[:2]
    scale = max(height, width) / 1000
    line = max(1, round(1.5 * scale))
    font = cv2.FONT_HERSHEY_SIMPLEX
    (wide, high), below = cv2.getTextSize(label, font, scale, line)
    x = max(min(box[0], width - wide - 1), 0)
    y = box[1] - below
    if y - high < 0:
        y = min(box[3] + high + below, height - below - 1)
    for colour, thickness in (((0, 0, 0), 4 * line), (BOX_COLOUR, line)):
        cv2.putText(canvas, label, (x, y), font, scale, colour, thickness, cv2.LINE_AA)

"""Masks over the image: outlines, and agreement of two masks as coloured by Singh et al. 2020."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.imaging.framing import Box

Colour = tuple[int, int, int]
Grey = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
AGREEMENT = ((255, 255, 0), (255, 0, 0), (0, 255, 0), (0, 0, 0))
"""Colours of true positives, false negatives, false positives and true negatives."""
WHITE, ORANGE, BLUE = (255, 255, 255), (230, 159, 0), (86, 180, 233)  # of Okabe and Ito's palette
LINE_SHARE = 1 / 1000  # thickness over the longer side: seen when a large mammogram is shown small
LEAST_LABELLED = 200  # longer side in pixels: in smaller images labels would hide the mass


def agreement_overlay(image: Grey, truth: Mask, prediction: Mask, *, alpha: float = 0.5) -> Picture:
    """Colour every pixel of an image in [0, 1] by how prediction and truth agree: RGB.

    ``alpha`` is the share of the colour: 1 is the pure four colours of the published figures.
    """
    table = np.array(AGREEMENT, np.float32)
    kind = np.where(truth, np.where(prediction, 0, 1), np.where(prediction, 2, 3))
    grey = 255 * np.clip(image, 0, 1)[..., np.newaxis]
    mixed = alpha * table[kind] + (1 - alpha) * grey
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def outline_overlay(image: Grey, *masks: Mask, thickness: int = 1) -> Picture:
    """Draw outlines over an image in [0, 1]: white and lowest the first, then orange, then blue."""
    grey = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    canvas = np.repeat(grey[..., np.newaxis], 3, axis=2)
    for mask, colour in zip(masks, cycle((WHITE, ORANGE, BLUE)), strict=False):
        _outline(canvas, mask, colour, thickness)
    return canvas


def _outline(canvas: NDArray[Any], mask: Mask, colour: Colour, thickness: int) -> None:
    plane = np.ascontiguousarray(mask).view(np.uint8)
    found, _ = cv2.findContours(plane, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, found, -1, colour, thickness)


def findings_overlay(
    image: Grey, boxes: Sequence[Box], masks: Sequence[Mask], labels: Sequence[str]
) -> Picture:
    """Draw masses over an image in [0, 1]: the box in blue, the outline in orange, a label each.

    The first mass is drawn last, over the others; labels are left out where the image is small.
    """
    canvas = cv2.cvtColor(cv2.convertScaleAbs(np.asarray(image), alpha=255), cv2.COLOR_GRAY2RGB)
    line = max(1, round(LINE_SHARE * max(image.shape)))
    for (x_min, y_min, x_max, y_max), mask in reversed(list(zip(boxes, masks, strict=True))):
        _outline(canvas, mask, ORANGE, line)
        cv2.rectangle(canvas, (x_min, y_min), (x_max - 1, y_max - 1), BLUE, line)
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
    x, y = max(min(box[0], width - wide - 1), 0), box[1] - below
    if y - high < 0:
        y = min(box[3] + high + below, height - below - 1)
    for colour, thickness in (((0, 0, 0), 4 * line), (BLUE, line)):
        cv2.putText(canvas, label, (x, y), font, scale, colour, thickness, cv2.LINE_AA)

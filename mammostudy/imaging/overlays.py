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

Colour = tuple[int, int, int]
AGREEMENT_COLOURS: dict[str, Colour] = {
    "true positive": (255, 255, 0),
    "false negative": (255, 0, 0),
    "false positive": (0, 255, 0),
    "true negative": (0, 0, 0),
}
OUTLINE_COLOURS: tuple[Colour, ...] = ((255, 255, 255), (230, 159, 0), (86, 180, 233))
"""White, orange and sky blue (the last two of the Okabe-Ito palette)."""


def _same_shape(image: NDArray[Any], masks: Sequence[NDArray[Any]]) -> None:
    shapes = {array.shape for array in (image, *masks)}
    if len(shapes) > 1 or image.ndim != 2:
        msg = f"image and masks must have one shape (h, w), not {sorted(shapes)}"
        raise DataError(msg)


def agreement_overlay(
    image: NDArray[np.floating[Any]],
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    *,
    alpha: float = 0.5,
) -> NDArray[np.uint8]:
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
        DataError: shapes differ, or alpha is not in [0, 1].
    """
    _same_shape(image, (truth, prediction))
    if not 0 <= alpha <= 1:
        msg = f"alpha {alpha} must be from 0 to 1"
        raise DataError(msg)
    table = np.array(list(AGREEMENT_COLOURS.values()), np.float32)
    kind = np.where(truth, np.where(prediction, 0, 1), np.where(prediction, 2, 3))
    grey = 255 * np.clip(image, 0, 1)[..., np.newaxis]
    mixed = alpha * table[kind] + (1 - alpha) * grey
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def outline_overlay(
    image: NDArray[np.floating[Any]],
    *masks: NDArray[np.bool_],
    colours: Sequence[Colour] = OUTLINE_COLOURS,
    thickness: int = 1,
) -> NDArray[np.uint8]:
    """Draw the outlines of masks over the grey image, the first one lowest.

    Args:
        image: ``(h, w)`` in [0, 1].
        *masks: bool ``(h, w)`` each, as truth, prediction.
        colours: RGB, one a mask, taken in turn.
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
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, found, -1, colours[number % len(colours)], thickness)
    return canvas

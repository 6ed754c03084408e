"""Overlap of the rims of two masks: the interior of a large mass no longer hides its outline."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import SpecError
from mammostudy.evaluation.overlap import Masks, Scores, check_masks

VERSION = 1
"""Recipe version: raised by hand whenever a change here moves a number."""
DILATION = 0.02


def boundary_iou(prediction: Masks, truth: Masks, dilation: float = DILATION) -> Scores:
    """IoU of the pixels of each mask that lie within a distance of its own outline.

    The distance is a share of the image's diagonal, at least one pixel, counted in steps to any of
    the eight neighbours; what lies outside the image is not mass, so that a mask cut off by the
    edge has an outline there. A mask thinner than twice the distance is all rim: its boundary IoU
    is its IoU.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.
        dilation: the distance, a share of the diagonal, above 0.

    Returns:
        float64 ``(n,)`` in [0, 1]; 1 where both are empty, 0 where one is.

    Raises:
        DataError: a stack is not boolean or the shapes differ.
        SpecError: a distance that is not above 0.

    Source: Cheng et al. 2021, *Boundary IoU*, with their share of 2 %.
    """
    check_masks(prediction, truth)
    if not dilation > 0:
        msg = f"dilation = {dilation:g}: the width of the rim, a share of the diagonal, must be > 0"
        raise SpecError(msg)
    width = max(1, round(dilation * math.hypot(*prediction.shape[1:])))
    scores = np.ones(len(prediction))
    for at, (one, other) in enumerate(zip(prediction, truth, strict=True)):
        rims = _rim(one, width), _rim(other, width)
        union = int((rims[0] | rims[1]).sum())
        if union:
            scores[at] = int((rims[0] & rims[1]).sum()) / union
    return scores


def _rim(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of a mask from which so many steps lead out of it."""
    padded = np.pad(mask, 1).astype(np.uint8)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    rim: NDArray[np.bool_] = mask & (inner == 0)
    return rim

"""Overlap of two masks, case by case.

Every function takes two stacks of boolean masks of shape ``(n, h, w)`` and gives ``n`` numbers.
Empty masks never give NaN: two empty masks agree (1), one empty mask is a missed or an invented
mass (0).  A missed case thus counts as the worst value and cannot fall out of a mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError

VERSION = 1
"""Recipe version: raised by hand whenever a change here moves a number."""

Masks = NDArray[np.bool_]
Scores = NDArray[np.float64]


def check_masks(prediction: Masks, truth: Masks) -> None:
    """Refuse what is not a pair of equal boolean stacks.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.

    Raises:
        DataError: a stack is not boolean, not three-dimensional, or the shapes differ.
    """
    for name, masks in (("prediction", prediction), ("truth", truth)):
        if not isinstance(masks, np.ndarray) or masks.dtype != np.bool_:
            kind = getattr(masks, "dtype", type(masks).__name__)
            msg = f"{name}: expected a boolean array, got {kind}; threshold it first (p >= 0.5)"
            raise DataError(msg)
        if masks.ndim != 3:
            msg = (
                f"{name}: expected shape (n, h, w), got {masks.shape}; for one mask pass mask[None]"
            )
            raise DataError(msg)
    if prediction.shape != truth.shape:
        msg = (
            f"prediction has shape {prediction.shape} and truth {truth.shape}; "
            "bring both to one grid first"
        )
        raise DataError(msg)


def _counts(prediction: Masks, truth: Masks) -> tuple[Scores, Scores, Scores]:
    """Pixels of the intersection, the prediction and the truth of each case."""
    check_masks(prediction, truth)
    both = (prediction & truth).sum(axis=(1, 2), dtype=np.float64)
    predicted = prediction.sum(axis=(1, 2), dtype=np.float64)
    true = truth.sum(axis=(1, 2), dtype=np.float64)
    return both, predicted, true


def _ratio(part: Scores, whole: Scores, empty: Scores) -> Scores:
    """``part / whole``, and ``empty`` where ``whole`` is zero."""
    return np.divide(part, whole, out=empty.astype(np.float64), where=whole > 0)


def dice(prediction: Masks, truth: Masks) -> Scores:
    """Dice coefficient ``2 |A and B| / (|A| + |B|)`` of each case.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.

    Returns:
        float64 ``(n,)`` in [0, 1]; 1 where both are empty.

    Raises:
        DataError: a stack is not boolean or the shapes differ.

    Source: paper, section on evaluation metrics.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(2 * both, predicted + true, np.ones_like(both))


def iou(prediction: Masks, truth: Masks) -> Scores:
    """Intersection over union ``|A and B| / |A or B|`` (Jaccard index) of each case.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.

    Returns:
        float64 ``(n,)`` in [0, 1]; 1 where both are empty.

    Raises:
        DataError: a stack is not boolean or the shapes differ.

    Source: paper, section on evaluation metrics.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, predicted + true - both, np.ones_like(both))


def precision(prediction: Masks, truth: Masks) -> Scores:
    """Share of the predicted pixels that are mass.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.

    Returns:
        float64 ``(n,)`` in [0, 1]; for an empty prediction 1 if the truth is empty too, else 0.

    Raises:
        DataError: a stack is not boolean or the shapes differ.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, predicted, true == 0)


def recall(prediction: Masks, truth: Masks) -> Scores:
    """Share of the mass that is predicted (sensitivity over pixels).

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.

    Returns:
        float64 ``(n,)`` in [0, 1]; for an empty truth 1 if the prediction is empty too, else 0.

    Raises:
        DataError: a stack is not boolean or the shapes differ.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, true, predicted == 0)

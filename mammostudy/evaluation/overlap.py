"""Agreement of two masks, case by case: overlap, distances of outlines, overlap of rims.

Functions of masks take two boolean stacks of shape ``(n, h, w)`` and give ``n`` numbers; the last
two say what means of such numbers can be.
Empty masks never give NaN: two empty masks agree, one empty mask is a missed or an invented mass
and gets the worst value, so that a missed case cannot fall out of a mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.optimize import linprog

from mammostudy.errors import DataError, SpecError
from mammostudy.imaging.framing import Box, frame_box, paste_back

Masks = NDArray[np.bool_]
Scores = NDArray[np.float64]
Spacing = float | tuple[float, float]
_Directed = tuple[Scores, Scores]


def check_masks(prediction: Masks, truth: Masks) -> None:
    """Refuse what is not a pair of equal boolean stacks ``(n, h, w)``."""
    for name, masks in (("prediction", prediction), ("truth", truth)):
        if not isinstance(masks, np.ndarray) or masks.dtype != np.bool_ or masks.ndim != 3:
            kind = (getattr(masks, "dtype", type(masks).__name__), np.shape(masks))
            msg = f"{name}: expected a boolean array (n, h, w), got {kind}; threshold it first"
            raise DataError(msg)
    if prediction.shape != truth.shape:
        msg = f"prediction has shape {prediction.shape} and truth {truth.shape}: one grid needed"
        raise DataError(msg)


def _counts(prediction: Masks, truth: Masks) -> tuple[Scores, Scores, Scores]:
    """Pixels of the intersection, the prediction and the truth of each case."""
    check_masks(prediction, truth)
    stacks = (prediction & truth, prediction, truth)
    both, predicted, true = (masks.sum(axis=(1, 2), dtype=np.float64) for masks in stacks)
    return both, predicted, true


def _ratio(part: Scores, whole: Scores, empty: NDArray[np.generic]) -> Scores:
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
    """Intersection over union ``|A and B| / |A or B|`` (Jaccard index); see :func:`dice`."""
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, predicted + true - both, np.ones_like(both))


def precision(prediction: Masks, truth: Masks) -> Scores:
    """Share of the predicted pixels that are mass; see :func:`dice`.

    Of an empty prediction it is 1 if the truth is empty too, else 0.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, predicted, true == 0)


def recall(prediction: Masks, truth: Masks) -> Scores:
    """Share of the mass that is predicted (sensitivity over pixels); see :func:`dice`.

    Of an empty truth it is 1 if the prediction is empty too, else 0.
    """
    both, predicted, true = _counts(prediction, truth)
    return _ratio(both, true, predicted == 0)


def hd95(prediction: Masks, truth: Masks, spacing: Spacing = 1.0) -> Scores:
    """95th-percentile Hausdorff distance: the larger of the two directed 95th percentiles.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.
        spacing: size of a pixel, one number or (row, column); 1 gives distances in pixels.

    Returns:
        float64 ``(n,)`` in the unit of ``spacing``; 0 where both masks are empty, the diagonal of
        the grid where one is.

    Raises:
        DataError: a stack is not boolean, the shapes differ, or a spacing is not positive.

    Source: definition of MONAI, ``compute_hausdorff_distance(percentile=95)``.
    """
    return _distances(
        prediction, truth, spacing, lambda d: max(float(np.percentile(each, 95)) for each in d)
    )


def assd(prediction: Masks, truth: Masks, spacing: Spacing = 1.0) -> Scores:
    """Average symmetric surface distance: the mean over the pixels of both outlines.

    As :func:`hd95`, after MONAI's ``compute_average_surface_distance(symmetric=True)``.
    """
    return _distances(prediction, truth, spacing, lambda d: float(np.concatenate(d).mean()))


def _distances(
    prediction: Masks, truth: Masks, spacing: Spacing, summary: Callable[[_Directed], float]
) -> Scores:
    """Apply ``summary`` to the two directed distances of each case; settle the empty ones."""
    check_masks(prediction, truth)
    steps = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    if not all(math.isfinite(step) and step > 0 for step in steps):
        msg = f"spacing: expected positive numbers, got {spacing}; leave it out for pixels"
        raise DataError(msg)
    scores = np.zeros(len(truth), dtype=np.float64)
    for i, (a, b) in enumerate(zip(prediction, truth, strict=True)):
        if a.any() and b.any():
            scores[i] = summary(_directed_distances(a, b, steps))
        elif a.any() or b.any():
            scores[i] = math.hypot(a.shape[0] * steps[0], a.shape[1] * steps[1])
    return scores


def _directed_distances(
    a: NDArray[np.bool_], b: NDArray[np.bool_], steps: tuple[float, float]
) -> _Directed:
    """Distances of the outline pixels of ``a`` to the outline of ``b``, and the reverse.

    Nothing outside the common box of the two masks can matter, so only the box is searched.
    """
    union = a | b
    rows, columns = np.flatnonzero(union.any(axis=1)), np.flatnonzero(union.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    edge_a, edge_b = (mask[box] & ~binary_erosion(mask[box]) for mask in (a, b))
    to_b = distance_transform_edt(~edge_b, sampling=steps)[edge_a]
    to_a = distance_transform_edt(~edge_a, sampling=steps)[edge_b]
    return to_b, to_a


def boundary_iou(prediction: Masks, truth: Masks, dilation: float = 0.02) -> Scores:
    """IoU of the pixels of each mask that lie within a distance of its own outline.

    The distance is counted in steps to any of the eight neighbours, at least one; what lies outside
    the image is not mass, so that a mask cut off by the edge has an outline there.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.
        dilation: the distance, a share of the image's diagonal, above 0.

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
    rims = [masks & ~_eroded(masks, width) for masks in (prediction, truth)]
    return iou(*rims)


def _eroded(masks: Masks, width: int) -> Masks:
    """The pixels of each mask from which more steps lead out of it."""
    inner = np.zeros_like(masks)
    for at, mask in enumerate(masks):
        padded = np.pad(mask, 1).astype(np.uint8)
        inner[at] = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return inner


def judge_in_image(
    known: NDArray[np.bool_], box: Box
) -> Callable[[NDArray[np.bool_], Box], tuple[float, float]]:
    """Return what pastes a frame's mask into the image, and gives its Dice and IoU there.

    They are measured where framings are compared: in the loose frame at scale 2 around the known
    box, cut to the image.

    Args:
        known: the truth in the image, bool ``(h, w)``.
        box: of the mass, half-open pixels.

    Returns:
        A function of a mask, bool ``(s, s)``, and its frame's box in the image.
    """
    shape = (known.shape[0], known.shape[1])
    x_min, y_min, x_max, y_max = frame_box(box, shape, strategy="loose", scale=2.0)
    window = slice(max(y_min, 0), y_max), slice(max(x_min, 0), x_max)
    truth = known[window][None].copy()

    def judge(mask: NDArray[np.bool_], frame: Box) -> tuple[float, float]:
        cut = paste_back(mask, frame, shape)[window][None]
        return float(dice(cut, truth)[0]), float(iou(cut, truth)[0])

    return judge


def least_iou(mean_dice: float) -> float:
    """Least mean IoU that a mean Dice allows, both in %.

    The IoU of a case is ``d / (2 - d)``, a convex function of its Dice; by Jensen's inequality
    the mean IoU is at least the function's value at the mean Dice.
    """
    d = mean_dice / 100
    return 100 * d / (2 - d)


def largest_mean(
    quartiles: Sequence[float], count: int, outliers: Sequence[float] = (), reading: float = 0.0
) -> float:
    """Largest mean of ``count`` values in [0, 1] that a box plot allows.

    A linear programme over the sorted values: the quartiles (linear interpolation, as the plotting
    libraries draw them) and the lowest values, the outliers, may each be off by ``reading``.
    Outliers that hide behind each other would only lower the mean.
    """
    order = np.eye(count)[:-1] - np.eye(count)[1:]
    quartile_rows = np.zeros((3, count))
    for row, share in zip(quartile_rows, (0.25, 0.5, 0.75), strict=True):
        below, part = divmod(share * (count - 1), 1)
        row[int(below)] += 1 - part
        row[int(below) + 1] += part
    middle = np.asarray(quartiles, dtype=np.float64)
    limits = [(max(v - reading, 0.0), min(v + reading, 1.0)) for v in sorted(outliers)]
    solved = linprog(
        -np.ones(count) / count,
        A_ub=np.vstack([order, quartile_rows, -quartile_rows]),
        b_ub=np.concatenate([np.zeros(count - 1), middle + reading, reading - middle]),
        bounds=limits + [(0.0, 1.0)] * (count - len(limits)),
    )
    return -float(solved.fun)

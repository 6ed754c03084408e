"""Distances between the outlines of two masks, case by case.

The definitions are MONAI's (``compute_hausdorff_distance(percentile=95)`` and
``compute_average_surface_distance(symmetric=True)``): the outline is the mask without its
erosion, a distance runs from each outline pixel to the nearest one of the other mask.  What
differs is the empty mask, which MONAI answers with NaN or infinity and which a mean then drops:
here two empty masks are at distance 0, and one empty mask is as far off as the grid allows, its
diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from mammostudy.errors import DataError
from mammostudy.evaluation.overlap import Masks, Scores, check_masks

VERSION = 1
"""Recipe version: raised by hand whenever a change here moves a number."""

Spacing = float | tuple[float, float]
_Directed = tuple[NDArray[np.float64], NDArray[np.float64]]


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

    Source: definition of MONAI.
    """
    return _per_case(prediction, truth, spacing, _largest_percentile)


def assd(prediction: Masks, truth: Masks, spacing: Spacing = 1.0) -> Scores:
    """Average symmetric surface distance: the mean over the pixels of both outlines.

    Args:
        prediction: bool ``(n, h, w)``.
        truth: bool ``(n, h, w)``.
        spacing: size of a pixel, one number or (row, column); 1 gives distances in pixels.

    Returns:
        float64 ``(n,)`` in the unit of ``spacing``; 0 where both masks are empty, the diagonal of
        the grid where one is.

    Raises:
        DataError: a stack is not boolean, the shapes differ, or a spacing is not positive.

    Source: definition of MONAI.
    """
    return _per_case(prediction, truth, spacing, lambda d: float(np.concatenate(d).mean()))


def diagonal(shape: tuple[int, int], spacing: Spacing = 1.0) -> float:
    """Diagonal of a grid: the distance that stands for a missed or an invented mass.

    Args:
        shape: (h, w) in pixels.
        spacing: size of a pixel, one number or (row, column).

    Returns:
        The length in the unit of ``spacing``.

    Raises:
        DataError: a spacing is not positive.
    """
    row, column = _steps(spacing)
    return math.hypot(shape[0] * row, shape[1] * column)


def _steps(spacing: Spacing) -> tuple[float, float]:
    """The spacing as (row, column), checked."""
    row, column = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    if not all(math.isfinite(step) and step > 0 for step in (row, column)):
        msg = f"spacing: expected positive numbers, got {spacing}; leave it out for pixels"
        raise DataError(msg)
    return float(row), float(column)


def _largest_percentile(distances: _Directed) -> float:
    return float(max(np.percentile(each, 95) for each in distances))


def _per_case(
    prediction: Masks, truth: Masks, spacing: Spacing, summary: Callable[[_Directed], float]
) -> Scores:
    """Apply ``summary`` to the two directed distances of each case; settle the empty ones."""
    check_masks(prediction, truth)
    steps = _steps(spacing)
    worst = diagonal((truth.shape[1], truth.shape[2]), spacing)
    scores = np.zeros(len(truth), dtype=np.float64)
    for i, (a, b) in enumerate(zip(prediction, truth, strict=True)):
        empty = not a.any(), not b.any()
        if not any(empty):
            scores[i] = summary(_directed_distances(a, b, steps))
        elif not all(empty):
            scores[i] = worst
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

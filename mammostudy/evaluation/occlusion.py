"""Which parts of an outline decide a class: a map of what changes where the mask is changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError

VERSION = 1
"""Recipe version: raised by hand when the maps that leave this module change."""

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def occlusion_map(
    mask: Mask,
    label: int,
    score: Callable[[Mask], NDArray[np.floating]],
    patch: int = 9,
    stride: int = 4,
) -> Values:
    """How much the score of a class falls when the mask is changed around each pixel.

    A square patch is moved over the mask. Where it lies across the outline, the mask is scored
    once with the mass under it removed and once with the patch filled with mass; of the two falls
    the one of larger size counts, with its sign (of two equal ones, the removal's). Patches wholly
    inside or outside count 0: a hole or a second object is no change of the outline, and no
    classifier of masses has seen one. So does a removal that leaves no mass. A pixel has the mean
    over all patches that cover it.

    Args:
        mask: bool ``(s, s)`` with mass.
        label: column of the score that is explained, from 0.
        score: of masks bool ``(n, s, s)`` to ``(n, k)``, such as probabilities; called once, the
            unchanged mask first.
        patch: side of the patch in pixels, at most s.
        stride: step between patches, at most the patch; the last patch ends at the edge.

    Returns:
        float64 ``(s, s)`` in the score's unit: above 0 where the outline as it is speaks for the
        class, below 0 where it speaks against it.

    Raises:
        DataError: no square bool plane, no mass, patch or stride that do not fit, or a score
            without that label's column.

    Source: Zeiler and Fergus 2014, section 4.2 (grey patches over an image), here for masks.
    """
    _check(mask, patch, stride)
    starts = _starts(len(mask), patch, stride)
    places = [(top, left) for top in starts for left in starts]
    changed, owners = [mask], []
    for number, (top, left) in enumerate(places):
        window = (slice(top, top + patch), slice(left, left + patch))
        if mask[window].all() or not mask[window].any():
            continue
        for kind in (False, True):
            other = mask.copy()
            other[window] = kind
            if other.any():
                changed.append(other)
                owners.append(number)
    scores = _column(score(np.stack(changed)), label, len(changed))
    falls = np.zeros(len(places))
    for number, fall in zip(owners, scores[0] - scores[1:], strict=True):
        if abs(fall) > abs(falls[number]):
            falls[number] = fall
    return _spread(falls, places, len(mask), patch)


def _starts(side: int, patch: int, stride: int) -> list[int]:
    last = side - patch
    return sorted({*range(0, last + 1, stride), last})


def _spread(falls: Values, places: list[tuple[int, int]], side: int, patch: int) -> Values:
    """The mean over the patches that cover each pixel."""
    total, count = np.zeros((side, side)), np.zeros((side, side))
    for fall, (top, left) in zip(falls, places, strict=True):
        total[top : top + patch, left : left + patch] += fall
        count[top : top + patch, left : left + patch] += 1
    return total / count


def _column(scores: NDArray[np.floating], label: int, masks: int) -> Values:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or len(table) != masks:
        msg = f"score gave shape {table.shape} for {masks} masks: (masks, classes) needed"
        raise DataError(msg)
    if not 0 <= label < table.shape[1]:
        msg = f"label = {label}: the score has classes 0 to {table.shape[1] - 1}"
        raise DataError(msg)
    return table[:, label]


def _check(mask: Mask, patch: int, stride: int) -> None:
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or mask.dtype != np.bool_:
        msg = f"a mask of shape {mask.shape} and type {mask.dtype}: bool (side, side) needed"
        raise DataError(msg)
    if not mask.any():
        msg = "the mask is empty: it has no outline to explain; count it as missed"
        raise DataError(msg)
    if not 1 <= patch <= len(mask):
        msg = f"patch = {patch} must be 1 to {len(mask)}, the side of the mask"
        raise DataError(msg)
    if not 1 <= stride <= patch:
        msg = f"stride = {stride} must be 1 to {patch}, the side of the patch: no pixel left out"
        raise DataError(msg)

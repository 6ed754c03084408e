"""Hits and false positives of each patient, stacked by score, so that resamples are products.

Sensitivity at a rate and average precision change only where a mass is found. It is therefore
enough to know, for each score that finds a mass, how many masses and how many false positives each
patient has from that score on: a resample of patients is then one row times a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import Values
from mammostudy.evaluation.froc_curves import SLACK
from mammostudy.evaluation.matching import HIT, Matches, some_mass
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""The recalls at which COCO samples precision."""
_CHUNK = 500


@dataclass(frozen=True)
class Ladder:
    """Counts of each patient (or image) from each score on that finds a mass.

    Attributes:
        hits: masses found, ``(patients, steps)``, steps by falling score.
        false: false positives, ``(patients, steps)``.
        images: of each patient, ``(patients,)``.
        masses: of each patient, ``(patients,)``.
    """

    hits: Values
    false: Values
    images: Values
    masses: Values


def ladder_of(matches: Matches, codes: NDArray[np.intp] | None = None) -> Ladder:
    """Count by patient.

    Args:
        matches: as judged.
        codes: number of the patient of each image, from 0 on; without it all images are one.

    Returns:
        The :class:`Ladder`.

    Raises:
        DataError: no mass in any image.
    """
    some_mass(matches)
    patient = np.zeros(matches.images, np.intp) if codes is None else codes
    rows = int(patient.max()) + 1
    hit, false = matches.outcome == HIT, matches.is_false_positive
    steps = np.unique(-matches.scores[hit])

    def stacked(which: NDArray[np.bool_]) -> Values:
        table = np.zeros((rows, len(steps) + 1))
        at = np.searchsorted(steps, -matches.scores[which], side="left")
        np.add.at(table, (patient[matches.image[which]], at), 1)
        counts: Values = np.cumsum(table[:, :-1], axis=1)
        return counts

    return Ladder(
        hits=stacked(hit),
        false=stacked(false),
        images=np.bincount(patient, minlength=rows).astype(np.float64),
        masses=np.bincount(patient[matches.true_image], minlength=rows).astype(np.float64),
    )


def ladder_sensitivities(ladder: Ladder, times: Values, rates: Values) -> Values:
    """Sensitivity at each rate, as ``Froc.sensitivity_at``, for patients taken several times.

    Args:
        ladder: of the matches.
        times: how often each patient is taken, ``(draws, patients)``.
        rates: false positives an image, ``(r,)``.

    Returns:
        float64 ``(draws, r)``; NaN where a draw has no mass.
    """
    false, images = times @ ladder.false, times @ ladder.images
    hits = np.pad(times @ ladder.hits, ((0, 0), (1, 0)))
    limits = images[:, None] * rates + SLACK
    places = np.stack([(false <= limit[:, None]).sum(axis=1) for limit in limits.T], axis=1)
    found = np.take_along_axis(hits, places, axis=1)
    return _shares(found, (times @ ladder.masses)[:, None])


def ladder_precisions(ladder: Ladder, times: Values) -> Values:
    """Average precision, interpolated as COCO does, for patients taken several times.

    Args:
        ladder: of matches whose repeats are false positives.
        times: how often each patient is taken, ``(draws, patients)``.

    Returns:
        float64 ``(draws,)``; NaN where a draw has no mass.
    """
    hits, masses = times @ ladder.hits, times @ ladder.masses
    if not hits.shape[1]:
        return np.where(masses > 0, 0.0, np.nan)
    total = hits + times @ ladder.false
    precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = np.nan_to_num(_shares(hits, masses[:, None]))
    sampled = np.searchsorted(RECALLS, recall, side="right")
    weight = np.diff(sampled, axis=1, prepend=0)
    found: Values = (envelope * weight).sum(axis=1) / len(RECALLS)
    return np.where(masses > 0, found, np.nan)


def _shares(part: Values, whole: Values) -> Values:
    none = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    found: Values = np.divide(part, whole, out=none, where=whole > 0)
    return found


def patient_codes(patients: Patients, images: int) -> NDArray[np.intp]:
    """Number the patients of the images by their sorted names, ``(images,)``.

    Args:
        patients: the patient of each image.
        images: how many images there are.

    Returns:
        intp ``(images,)``.

    Raises:
        DataError: not one patient an image, or a missing one.
    """
    names = np.asarray(patients)
    if names.shape != (images,) or pd.isna(names).any():
        msg = f"patients of shape {names.shape} for {images} images: name the patient of each"
        raise DataError(msg)
    return np.unique(names.astype(str), return_inverse=True)[1]


def resample(measure: Callable[[Values], Values], masses: Values, draws: int, seed: int) -> Values:
    """A measure of many resamples of patients.

    A draw without a mass is drawn again: the interval is conditional on a sensitivity that exists.
    The same masses, draws and seed give the same resamples, whatever the measure.

    Args:
        measure: takes ``(d, patients)``, how often each is drawn; gives ``(d, k)``.
        masses: of each patient, ``(patients,)``.
        draws: number of resamples.
        seed: of the resampling.

    Returns:
        float64 ``(draws, k)``.

    Raises:
        DataError: fewer than one draw, or masses of fewer than two patients.
    """
    if draws < 1:
        msg = f"draws = {draws}: at least 1 resample needed"
        raise DataError(msg)
    count = len(masses)
    if np.count_nonzero(masses) < 2:
        msg = (
            "patients: all masses come from one patient: no interval over patients exists; "
            "pool the folds, or give the value without one"
        )
        raise DataError(msg)
    rng = np.random.default_rng(seed)
    found: list[Values] = []
    kept = 0
    while kept < draws:
        times = rng.multinomial(count, np.full(count, 1 / count), _CHUNK).astype(np.float64)
        times = times[times @ masses > 0][: draws - kept]
        found.append(measure(times))
        kept += len(times)
    return np.concatenate(found)


def interval(found: Values, level: float) -> tuple[Values, Values]:
    """Percentile interval of resampled values ``(draws, k)``: low and high, ``(k,)`` each.

    Raises:
        DataError: ``level`` outside (0, 1).
    """
    if not 0 < level < 1:
        msg = f"level = {level}: the coverage must lie within (0, 1)"
        raise DataError(msg)
    low, high = np.percentile(found, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def two_sided_p(found: Values) -> Values:
    """Two-sided p of resampled differences ``(draws, k)`` against 0, ``(k,)``.

    Twice the smaller share of draws on either side of 0 (a draw at 0 is on both), with one draw
    added to each count so that p is never 0.
    """
    above, below = (found >= 0).sum(axis=0), (found <= 0).sum(axis=0)
    doubled = 2 * (np.minimum(above, below) + 1) / (len(found) + 1)
    capped: Values = np.minimum(doubled, 1.0)
    return capped

"""Intervals of FROC curves and their paired differences, by bootstrap over patients.

All images of a drawn patient enter together. Sensitivity changes only where a mass is found. It is
therefore enough to know, for each score that finds a mass, how many masses and how many false
positives each patient has from that score on (its *ladder*): a resample of patients is then one
row times a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import HIT, SIZES, Matches, size_classes, size_thirds
from mammostudy.evaluation.froc_curves import RATES, SLACK, Froc, froc_of
from mammostudy.evaluation.statistics import (
    Patients,
    Times,
    Values,
    patient_codes,
    percentiles,
    resample,
)

BAND_RATES = tuple(float(rate) for rate in np.geomspace(1 / 32, 8, 129))
"""Rates at which a band is drawn: 16 a doubling, those of ``RATES`` among them."""


@dataclass(frozen=True)
class Ladder:
    """Counts of each patient from each score on that finds a mass, by falling score."""

    hits: Values  # masses found, (patients, steps)
    false: Values  # false positives, (patients, steps)
    images: Values  # (patients,)
    masses: Values  # (patients,)


def ladder_of(matches: Matches, patient: NDArray[np.intp]) -> Ladder:
    """Count by patient, given by number for each image ``(images,)``."""
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


def ladder_sensitivities(ladder: Ladder, times: Times, rates: Values) -> Values:
    """Sensitivity at each rate ``(draws, r)`` of resamples; NaN where a draw has no mass."""
    weights = times.astype(np.float64)
    false, images = weights @ ladder.false, weights @ ladder.images
    hits = np.pad(weights @ ladder.hits, ((0, 0), (1, 0)))
    allowed = images[:, None] * rates + SLACK
    places = np.stack([(false <= limit[:, None]).sum(axis=1) for limit in allowed.T], axis=1)
    found = np.take_along_axis(hits, places, axis=1)
    return shares(found, (weights @ ladder.masses)[:, None])


def shares(part: Values, whole: Values) -> Values:
    """``part / whole``, NaN where there is no whole."""
    none = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    found: Values = np.divide(part, whole, out=none, where=whole > 0)
    return found


def resample_ladders(
    detectors: Sequence[Sequence[Matches]],
    patients: Patients,
    measure: Callable[[Ladder, Times], Values],
    draws: int,
    seed: int,
) -> list[Values]:
    """The mean measure of each detector's matches, all detectors of the same resamples.

    A draw without a mass is drawn again: the interval is conditional on a sensitivity that exists.

    Raises:
        DataError: the detectors have other images or masses, or all masses are of one patient.
    """
    first = detectors[0][0]
    for other in (matches for detector in detectors for matches in detector):
        same = first.images == other.images and np.array_equal(first.true_image, other.true_image)
        if not same or not np.array_equal(first.true_boxes, other.true_boxes):
            msg = "true_boxes differ: compare detectors on the same images, in order"
            raise DataError(msg)
    codes = patient_codes(patients, first.images)
    if len(np.unique(codes[first.true_image])) < 2:
        msg = "patients: all masses come from one patient: no interval over patients exists"
        raise DataError(msg)
    ladders = [[ladder_of(matches, codes) for matches in detector] for detector in detectors]

    def measured(times: Times) -> Values:
        means = [np.mean([measure(one, times) for one in own], axis=0) for own in ladders]
        return np.stack(means, axis=1)

    count = int(codes.max()) + 1
    found = resample(measured, count, draws, seed, multinomial=True, again=True)
    return [found[:, at] for at in range(len(detectors))]


def two_sided_p(found: Values) -> Values:
    """Two-sided p of resampled differences ``(draws, k)`` against 0, ``(k,)``.

    Twice the smaller share of draws on either side of 0 (a draw at 0 is on both), with one draw
    added to each count so that p is never 0.
    """
    above, below = (found >= 0).sum(axis=0), (found <= 0).sum(axis=0)
    doubled = 2 * (np.minimum(above, below) + 1) / (len(found) + 1)
    capped: Values = np.minimum(doubled, 1.0)
    return capped


def _resampled(
    curves: Sequence[Froc], patients: Patients, rates: Values, draws: int, seed: int
) -> list[Values]:
    """Sensitivities ``(draws, r)`` of each curve, all of the same resamples."""
    return resample_ladders(
        [[curve.matches] for curve in curves],
        patients,
        lambda ladder, times: ladder_sensitivities(ladder, times, rates),
        draws,
        seed,
    )


def froc_band(curve: Froc, patients: Patients, draws: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Sensitivity over rates with its pointwise 95 % interval over patients.

    Args:
        curve: the curve.
        patients: the patient of each image, ``(images,)``.
        draws: number of resamples.
        seed: of the resampling.

    Returns:
        One row a rate of ``BAND_RATES``: rate, reached (whether the curve has so many false
        positives; beyond, it goes on level), sensitivity, low, high.
    """
    rates = np.array(BAND_RATES)
    low, high = percentiles(_resampled([curve], patients, rates, draws, seed)[0])
    ends = {"sensitivity": curve.sensitivity_at(rates), "low": low, "high": high}
    return pd.DataFrame({"rate": rates, "reached": curve.reaches(rates), **ends})


def sensitivity_table(
    curve: Froc, patients: Patients, draws: int = 2_000, seed: int = 0
) -> pd.DataFrame:
    """Sensitivity at the seven rates and their mean (CPM), with 95 % intervals over patients.

    Takes what :func:`froc_band` does.

    Returns:
        One row a rate and a last one for their mean, whose rate is NaN and which is reached if
        every rate is: rate, reached, sensitivity, low, high.
    """
    found = _with_mean(_resampled([curve], patients, np.array(RATES), draws, seed)[0])
    return _at_rates(curve, *percentiles(found))


def _at_rates(curve: Froc, low: ArrayLike, high: ArrayLike) -> pd.DataFrame:
    reached = curve.reaches(np.array(RATES))
    sensitivity = _with_mean(curve.sensitivity_at(RATES)[None])[0]
    return pd.DataFrame(
        {
            "rate": [*RATES, np.nan],
            "reached": np.append(reached, reached.all()),
            "sensitivity": sensitivity,
            "low": low,
            "high": high,
        }
    )


def _with_mean(values: Values) -> Values:
    """Values ``(d, r)`` with their mean over rates as a last column."""
    return np.column_stack([values, values.mean(axis=1)])


def sensitivity_differences(
    a: Froc, b: Froc, patients: Patients, draws: int = 2_000, seed: int = 0
) -> pd.DataFrame:
    """Sensitivity of one detector less that of another, on the same resamples of patients.

    Takes two curves of the same images and masses, and the rest as :func:`froc_band`.

    Returns:
        One row a rate and a last one for their mean, whose rate is NaN: rate, difference, low,
        high, p (two-sided, of the resamples; correct it where several rates or pairs are tested).
    """
    first, second = _resampled([a, b], patients, np.array(RATES), draws, seed)
    found = _with_mean(first - second)
    low, high = percentiles(found)
    gap = _with_mean((a.sensitivity_at(RATES) - b.sensitivity_at(RATES))[None])[0]
    ends = {"difference": gap, "low": low, "high": high, "p": two_sided_p(found)}
    return pd.DataFrame({"rate": [*RATES, np.nan], **ends})


def sensitivity_by_size(
    matches: Matches, patients: Patients, diameters: ArrayLike, draws: int = 2_000, seed: int = 0
) -> pd.DataFrame:
    """Sensitivity of small, medium and large masses at equal false positives an image.

    A false positive belongs to no mass and counts for every size; a hit on a mass of another size
    counts as nothing.

    Args:
        matches: as judged, at least one mass among them.
        patients: the patient of each image, ``(images,)``.
        diameters: of the masses, any unit, ``(m,)``; their thirds are the sizes.
        draws: number of resamples.
        seed: of the resampling.

    Returns:
        The rows of :func:`sensitivity_table` for each size, with columns size, masses, above and
        up_to (ends of the size) before them. A size without a mass has one row of NaN; one whose
        masses come from a single patient has no interval.
    """
    low, high = size_thirds(diameters)
    sizes = size_classes(diameters, (low, high))
    codes = patient_codes(patients, matches.images)
    parts = []
    for number, ends in enumerate([(0.0, low), (low, high), (high, np.inf)]):
        part = matches.only(sizes == number)
        holders = len(np.unique(codes[part.true_image]))
        table = pd.DataFrame([dict.fromkeys(("rate", "sensitivity", "low", "high"), np.nan)])
        table.insert(1, "reached", False)
        if holders:
            table = _at_rates(froc_of(part), np.nan, np.nan)
        if holders > 1:
            table = sensitivity_table(froc_of(part), patients, draws, seed)
        about = (SIZES[number], len(part.true_boxes), *ends)
        for at, name in enumerate(("size", "masses", "above", "up_to")):
            table.insert(at, name, about[at])
        parts.append(table)
    return pd.concat(parts, ignore_index=True)

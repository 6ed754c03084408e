"""Intervals of FROC curves and their paired differences, by bootstrap over patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import Values
from mammostudy.evaluation.froc_curves import RATES, Froc, checked_rates
from mammostudy.evaluation.ladders import (
    interval,
    ladder_of,
    ladder_sensitivities,
    patient_codes,
    resample,
    two_sided_p,
)
from mammostudy.evaluation.matching import Matches
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

BAND_RATES = tuple(float(rate) for rate in np.geomspace(1 / 32, 8, 129))
"""Rates at which a band is drawn: 16 a doubling, those of ``RATES`` among them."""


def froc_band(
    curve: Froc,
    patients: Patients,
    rates: Sequence[float] = BAND_RATES,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Sensitivity over rates with its pointwise percentile interval over patients.

    All images of a drawn patient enter together, with their masses and false positives; the
    interval does not depend on the order of the images. Beyond the last rate that the curve
    reaches (column ``reached``) it goes on level.

    Args:
        curve: the curve.
        patients: the patient of each image, ``(images,)``.
        rates: false positives an image, ``(r,)``.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        One row a rate: rate, reached (whether the curve has so many false positives),
        sensitivity, low, high.

    Raises:
        DataError: a patient missing, masses of one patient only, or rates, ``draws`` or ``level``
            out of range.
    """
    wanted = np.atleast_1d(checked_rates(rates))
    found = _resampled([curve], patients, wanted, draws, seed)[0]
    low, high = interval(found, level)
    end = curve.false_positives_per_image[-1]
    return pd.DataFrame(
        {
            "rate": wanted,
            "reached": end >= wanted,
            "sensitivity": curve.sensitivity_at(wanted),
            "low": low,
            "high": high,
        }
    )


def sensitivity_table(
    curve: Froc,
    patients: Patients,
    rates: Sequence[float] = RATES,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Sensitivity at chosen rates and their mean (CPM), with intervals over patients.

    Args:
        curve: the curve.
        patients: the patient of each image, ``(images,)``.
        rates: false positives an image.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        One row a rate and a last one for their mean, whose rate is NaN and which is reached if
        every rate is: rate, reached, sensitivity, low, high.

    Raises:
        DataError: as :func:`froc_band`.
    """
    wanted = np.atleast_1d(checked_rates(rates))
    found = _with_mean(_resampled([curve], patients, wanted, draws, seed)[0])
    low, high = interval(found, level)
    reached = curve.false_positives_per_image[-1] >= wanted
    return pd.DataFrame(
        {
            "rate": np.append(wanted, np.nan),
            "reached": np.append(reached, reached.all()),
            "sensitivity": _with_mean(curve.sensitivity_at(wanted)[None])[0],
            "low": low,
            "high": high,
        }
    )


def sensitivity_differences(
    a: Froc,
    b: Froc,
    patients: Patients,
    rates: Sequence[float] = RATES,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Sensitivity of one detector less that of another, on the same resamples of patients.

    Args:
        a: curve of one detector.
        b: curve of the other, of the same images and masses.
        patients: the patient of each image, ``(images,)``.
        rates: false positives an image.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        One row a rate and a last one for their mean, whose rate is NaN: rate, difference, low,
        high, p (two-sided, of the resamples; correct it where several rates or pairs are tested).

    Raises:
        DataError: as :func:`froc_band`, or curves of other images or masses.
    """
    same_masses(a.matches, b.matches)
    wanted = np.atleast_1d(checked_rates(rates))
    first, second = _resampled([a, b], patients, wanted, draws, seed)
    found = _with_mean(first - second)
    low, high = interval(found, level)
    gap = (a.sensitivity_at(wanted) - b.sensitivity_at(wanted))[None]
    return pd.DataFrame(
        {
            "rate": np.append(wanted, np.nan),
            "difference": _with_mean(gap)[0],
            "low": low,
            "high": high,
            "p": two_sided_p(found),
        }
    )


def same_masses(a: Matches, b: Matches) -> None:
    """Refuse matches of other images or masses: their difference would not be paired.

    Raises:
        DataError: the images or the true boxes differ.
    """
    same = a.images == b.images and np.array_equal(a.true_image, b.true_image)
    if not same or not np.array_equal(a.true_boxes, b.true_boxes):
        msg = (
            f"true_boxes differ ({len(a.true_boxes)} masses in {a.images} images, "
            f"{len(b.true_boxes)} in {b.images}): compare detectors on the same images, in order"
        )
        raise DataError(msg)


def _resampled(
    curves: Sequence[Froc], patients: Patients, rates: Values, draws: int, seed: int
) -> list[Values]:
    """Sensitivities ``(draws, r)`` of each curve, all of the same resamples."""
    codes = patient_codes(patients, curves[0].matches.images)
    ladders = [ladder_of(curve.matches, codes) for curve in curves]

    def measure(times: Values) -> Values:
        return np.stack([ladder_sensitivities(one, times, rates) for one in ladders], axis=2)

    found = resample(measure, ladders[0].masses, draws, seed)
    return [found[:, :, at] for at in range(len(curves))]


def _with_mean(values: Values) -> Values:
    """Values ``(d, r)`` with their mean over rates as a last column."""
    return np.column_stack([values, values.mean(axis=1)])

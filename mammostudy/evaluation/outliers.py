"""Low outliers as a box plot draws them, and whether one treatment leaves fewer than another.

A case is a low outlier where it lies more than 1.5 interquartile ranges below the lower quartile of
the same treatment's cases. The yardstick is the treatment's own: who scatters widely has few.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation.resampling import (
    CHUNK,
    Patients,
    Values,
    patient_differences,
    times_drawn,
)
from mammostudy.evaluation.statistics import POWER, PairedTest

VERSION: Final = 1
"""Recipe version: raised by hand whenever a change here moves a number."""
REACH: Final = 1.5
"""Interquartile ranges from the lower quartile to where outliers begin (Tukey 1977)."""
_QUARTILES: Final = (0.25, 0.75)


def low_outliers(values: ArrayLike) -> NDArray[np.bool_]:
    """Return which values lie more than 1.5 interquartile ranges below the lower quartile.

    Args:
        values: one finite number a case, ``(..., n)``; each line is judged by itself.

    Returns:
        bool ``(..., n)``.

    Raises:
        DataError: no values, or one that is not finite.

    Source: Tukey 1977, *Exploratory Data Analysis*; quartiles between ranks as numpy takes them.
    """
    cases = np.asarray(values, dtype=np.float64)
    if not cases.size or not np.isfinite(cases).all():
        msg = "values: expected at least one, all finite; a missed case counts as the worst value"
        raise DataError(msg)
    first, third = np.quantile(cases, _QUARTILES, axis=-1, keepdims=True)
    below: NDArray[np.bool_] = cases < first - REACH * (third - first)
    return below


def fewer_outliers(
    a: ArrayLike, b: ArrayLike, patients: Patients, draws: int = 10_000, seed: int = 0
) -> PairedTest:
    """Compare the shares of low outliers of two treatments of the same cases.

    Patients are resampled whole, and the quartiles taken anew in each resample. The permutation
    exchanges the two treatments of whole patients. Cases count, not patients: an outlier is one
    against all cases.

    Args:
        a: one finite number a case, ``(n,)``; more is better.
        b: the other treatment of the same cases, ``(n,)``.
        patients: the patient of each case, ``(n,)``.
        draws: resamples, and permutations.
        seed: of both.

    Returns:
        A :class:`PairedTest` of the share of outliers of ``b`` less that of ``a``: above 0 where
        ``a`` leaves fewer. No Wilcoxon test answers this: ``p_wilcoxon`` is NaN. A single patient
        tells nothing, as in :func:`mammostudy.evaluation.statistics.paired_test`.

    Raises:
        DataError: lengths that differ, a value that is not finite, or a missing patient.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    patient_differences(first, second, patients)  # checks all three
    _, codes = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    count = int(codes.max()) + 1
    difference = float(low_outliers(second).mean() - low_outliers(first).mean())
    if count == 1:
        return PairedTest(difference, -math.inf, math.inf, math.nan, 1.0, 1, math.inf)
    rng = np.random.default_rng(seed)
    found = np.concatenate(
        [
            _shares(second, codes, drawn) - _shares(first, codes, drawn)
            for drawn in _chunks(rng, count, draws, count)
        ]
    )
    low, high = np.percentile(found, (2.5, 97.5))
    p = _p_value(first, second, codes, difference, draws, rng)
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(POWER))
    detectable = z * float(found.std(ddof=1))
    return PairedTest(difference, float(low), float(high), math.nan, p, count, detectable)


def _chunks(
    rng: np.random.Generator, below: int, draws: int, width: int
) -> list[NDArray[np.int64]]:
    """Draw whole numbers below a bound, ``(draws, width)``, in pieces that fit the memory."""
    return [
        rng.integers(0, below, (min(CHUNK, draws - start), width))
        for start in range(0, draws, CHUNK)
    ]


def _shares(cases: Values, codes: NDArray[np.intp], drawn: NDArray[np.int64]) -> Values:
    """The share of low outliers in each resample, its quartiles read from counted values."""
    order = np.argsort(cases, kind="stable")
    ranked = cases[order]
    times = times_drawn(drawn)[:, codes[order]]
    upto = times.cumsum(axis=1)
    size = upto[:, -1]
    first, third = (_quantiles(ranked, upto, share * (size - 1)) for share in _QUARTILES)
    limit = first - REACH * (third - first)
    shares: Values = (times * (ranked < limit[:, None])).sum(axis=1) / size
    return shares


def _quantiles(ranked: Values, upto: NDArray[np.int64], place: Values) -> Values:
    """Read values between ranks, from how many cases stand up to each value."""
    below = np.floor(place)
    lower, upper = (ranked[(upto <= rank[:, None]).sum(axis=1)] for rank in (below, np.ceil(place)))
    between: Values = lower + (place - below) * (upper - lower)
    return between


def _p_value(
    a: Values,
    b: Values,
    codes: NDArray[np.intp],
    difference: float,
    draws: int,
    rng: np.random.Generator,
) -> float:
    """Two-sided p of exchanging the treatments of whole patients, the data counting as one draw."""
    extreme = 0
    for swapped in _chunks(rng, 2, draws, int(codes.max()) + 1):
        swap = swapped[:, codes] == 1
        one, other = np.where(swap, b, a), np.where(swap, a, b)
        shares = low_outliers(other).mean(axis=1) - low_outliers(one).mean(axis=1)
        extreme += int((np.abs(shares) >= abs(difference) - 1e-12).sum())
    return (extreme + 1) / (draws + 1)

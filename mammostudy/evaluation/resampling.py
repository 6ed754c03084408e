"""Resamples in which a drawn patient brings all of its cases, and limits read from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.errors import DataError

Values = NDArray[np.float64]
Patients = Sequence[Any] | NDArray[Any] | pd.Series
Statistic = Callable[..., Any]
CHUNK: Final = 500
"""Resamples that are held in memory at once."""


def clusters(values: ArrayLike, patients: Patients) -> tuple[Values, NDArray[np.intp], int]:
    """Sort values by patient and value, so that the order of the rows tells nothing.

    Args:
        values: one finite number a case, ``(n,)``.
        patients: the patient of each case, ``(n,)``.

    Returns:
        The values ``(n,)``, the number of each one's patient ``(n,)``, and how many patients.

    Raises:
        DataError: no values, a value that is not finite, lengths that differ, or a missing patient.
    """
    cases = np.asarray(values, dtype=np.float64)
    names = np.asarray(patients)
    if cases.ndim != 1 or cases.shape != names.shape or not len(cases):
        msg = f"values {cases.shape} and patients {names.shape}: expected one of each a case"
        raise DataError(msg)
    if not np.isfinite(cases).all():
        bad = int(np.flatnonzero(~np.isfinite(cases))[0])
        msg = (
            f"values[{bad}] (patient {names[bad]}) is {cases[bad]}: "
            "a missed case counts as the worst value, never as missing"
        )
        raise DataError(msg)
    if pd.isna(names).any():
        msg = f"patients[{int(np.flatnonzero(pd.isna(names))[0])}] is missing: name the patient"
        raise DataError(msg)
    unique, codes = np.unique(names.astype(str), return_inverse=True)
    order = np.lexsort((cases, codes))
    return cases[order], codes[order], len(unique)


def patient_differences(a: ArrayLike, b: ArrayLike, patients: Patients) -> Values:
    """Each patient's mean of ``a - b``, the patients in the order of their names.

    Args:
        a: one finite number a case, ``(n,)``.
        b: the other treatment of the same cases, ``(n,)``.
        patients: the patient of each case, ``(n,)``.

    Returns:
        float64 ``(patients,)``.

    Raises:
        DataError: lengths that differ, a value that is not finite, or a missing patient.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        msg = f"a has shape {first.shape} and b {second.shape}: pair them case by case first"
        raise DataError(msg)
    cases, codes, _ = clusters(first - second, patients)
    means: Values = np.bincount(codes, weights=cases) / np.bincount(codes)
    return means


def resamples(
    cases: Values, codes: NDArray[np.intp], statistic: Statistic, draws: int, seed: int
) -> Values:
    """The statistic of each resample of patients.

    Args:
        cases: from :func:`clusters`, ``(n,)``.
        codes: from :func:`clusters`, ``(n,)``.
        statistic: of a 1-d array; ``numpy.mean`` and ``numpy.median`` take a faster way to the
            same numbers.
        draws: number of resamples.
        seed: of the draws.

    Returns:
        float64 ``(draws,)``.
    """
    count = int(codes[-1]) + 1
    ways = {np.mean: _means, np.median: _medians}
    way = ways.get(statistic, _statistics)
    rng = np.random.default_rng(seed)
    found = [
        way(cases, codes, rng.integers(0, count, (min(CHUNK, draws - start), count)), statistic)
        for start in range(0, draws, CHUNK)
    ]
    return np.concatenate(found)


def times_drawn(drawn: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each patient stands in each resample.

    Args:
        drawn: patients by number, ``(draws, patients)``.

    Returns:
        int64 ``(draws, patients)``, each row summing to the number of patients.
    """
    rows, size = drawn.shape
    flat = (drawn + size * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * size).reshape(rows, size)


def _means(
    cases: Values, codes: NDArray[np.intp], drawn: NDArray[np.int64], _: Statistic
) -> Values:
    """Means of resamples, from the sums and counts of the drawn patients."""
    sums, counts = np.bincount(codes, weights=cases), np.bincount(codes)
    means: Values = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def _medians(
    cases: Values, codes: NDArray[np.intp], drawn: NDArray[np.int64], _: Statistic
) -> Values:
    """Medians of resamples: the values are sorted once, and counted up to the middle of each."""
    order = np.argsort(cases, kind="stable")
    ranked = cases[order]
    upto = times_drawn(drawn).astype(np.int32)[:, codes[order]].cumsum(axis=1, dtype=np.int32)
    size = upto[:, -1:]
    lower, upper = ((upto <= middle).sum(axis=1) for middle in ((size - 1) // 2, size // 2))
    medians: Values = (ranked[lower] + ranked[upper]) / 2
    return medians


def _statistics(
    cases: Values, codes: NDArray[np.intp], drawn: NDArray[np.int64], statistic: Statistic
) -> Values:
    """Any statistic of resamples: each case is repeated as often as its patient was drawn."""
    times = times_drawn(drawn)
    return np.array([float(statistic(np.repeat(cases, n[codes]))) for n in times], dtype=np.float64)


def percentile_limits(found: Values, level: float) -> tuple[float, float]:
    """The percentiles of resamples that leave the same share on either side.

    Args:
        found: the statistic of each resample.
        level: coverage, between 0 and 1.
    """
    low, high = np.percentile(found, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def bca_limits(
    found: Values, cases: Values, codes: NDArray[np.intp], statistic: Statistic, level: float
) -> tuple[float, float]:
    """Percentiles moved for bias and for a spread that changes with the statistic.

    The bias is the share of resamples below the statistic of the cases, a tie counting one half
    (never less than half a resample from 0 or 1); the acceleration comes from leaving out one
    patient at a time, and is 0 where that changes nothing.

    Args:
        found: the statistic of each resample.
        cases: from :func:`clusters`, of two patients or more.
        codes: from :func:`clusters`.
        statistic: of a 1-d array.
        level: coverage, between 0 and 1.

    Source: Efron 1987 (bias-corrected and accelerated), over patients.
    """
    whole = float(statistic(cases))
    below = (np.mean(found < whole) + np.mean(found <= whole)) / 2
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(found), 1 - 0.5 / len(found)))
    left = np.array([float(statistic(cases[codes != one])) for one in range(int(codes[-1]) + 1)])
    off = left.mean() - left
    spread = float((off**2).sum()) ** 1.5
    acceleration = float((off**3).sum()) / (6 * spread) if spread else 0.0
    z = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    shares = stats.norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.percentile(found, 100 * shares)
    return float(low), float(high)

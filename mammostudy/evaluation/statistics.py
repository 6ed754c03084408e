"""Intervals and tests in which the patient, not the image, is the unit.

The two views of a breast, the two energies of a contrast study and several contours of one
patient are one cluster: they enter a resample together or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.errors import DataError

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Times = NDArray[np.int64]
Patients = Sequence[Any] | NDArray[Any] | pd.Series
Statistic = Callable[..., Any]
POWER: Final = 0.80
LEVEL: Final = 0.95
CHUNK: Final = 500
"""Resamples that are held in memory at once."""


def patient_codes(patients: Patients, cases: int) -> Codes:
    """Number the patients by their sorted names, ``(cases,)``; a missing one is refused."""
    names = np.asarray(patients)
    if names.shape != (cases,):
        msg = f"patients of shape {names.shape} for {cases} cases: name the patient of each"
        raise DataError(msg)
    if pd.isna(names).any():
        msg = f"patients[{int(np.flatnonzero(pd.isna(names))[0])}] is missing: name the patient"
        raise DataError(msg)
    return np.unique(names.astype(str), return_inverse=True)[1]


def patient_weights(
    patients: int, draws: int, rng: np.random.Generator, multinomial: bool = False
) -> Times:
    """How often each patient stands in each resample, int64 ``(draws, patients)``.

    The two ways have one law and other draws: what is on record was drawn by one or the other.

    Args:
        patients: how many there are; each resample holds as many.
        draws: number of resamples.
        rng: source of the draws.
        multinomial: draw the counts at once, not one patient after the other.
    """
    if multinomial:
        counts: Times = rng.multinomial(patients, np.full(patients, 1 / patients), draws)
        return counts
    drawn = rng.integers(0, patients, (draws, patients))
    flat = (drawn + patients * np.arange(draws)[:, None]).ravel()
    return np.bincount(flat, minlength=draws * patients).reshape(draws, patients)


def resample(
    measure: Callable[[Times], Values],
    patients: int,
    draws: int,
    rng: np.random.Generator | int,
    *,
    multinomial: bool = False,
    again: bool = False,
) -> Values:
    """A measure of many resamples of patients, each of whom brings all of its cases.

    Args:
        measure: takes the weights of :func:`patient_weights`, gives one row a resample.
        patients: how many there are.
        draws: number of resamples.
        rng: source of the draws, or its seed.
        multinomial: see :func:`patient_weights`.
        again: draw again where the measure is NaN; some resample must have a number.

    Returns:
        float64 ``(draws, ...)``.
    """
    source = np.random.default_rng(rng)
    found: list[Values] = []
    kept = 0
    while kept < draws:
        values = measure(patient_weights(patients, min(CHUNK, draws - kept), source, multinomial))
        if again:
            values = values[np.isfinite(values.reshape(len(values), -1)).all(axis=1)]
        found.append(values)
        kept += len(values)
    return np.concatenate(found)


def percentiles(found: Values, level: float = LEVEL) -> tuple[Values, Values]:
    """The percentiles of resamples ``(draws, ...)`` that leave the same share on either side."""
    low, high = np.percentile(found, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return low, high


def limits(found: Values, level: float = LEVEL) -> tuple[float, float]:
    """The percentiles of resamples ``(draws,)`` as two floats."""
    low, high = percentiles(found, level)
    return float(low), float(high)


def clusters(values: ArrayLike, patients: Patients) -> tuple[Values, Codes]:
    """Sort finite values ``(n,)`` by patient and value: the order of the rows tells nothing."""
    cases = np.asarray(values, dtype=np.float64)
    if cases.ndim != 1 or not len(cases):
        msg = f"values of shape {cases.shape}: expected one number a case"
        raise DataError(msg)
    codes = patient_codes(patients, len(cases))
    if not np.isfinite(cases).all():
        bad = int(np.flatnonzero(~np.isfinite(cases))[0])
        msg = f"values[{bad}] is {cases[bad]}: a missed case counts as the worst, never as missing"
        raise DataError(msg)
    order = np.lexsort((cases, codes))
    return cases[order], codes[order]


def patient_differences(a: ArrayLike, b: ArrayLike, patients: Patients) -> Values:
    """Each patient's mean of ``a - b``, ``(patients,)``, in the order of their names."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        msg = f"a has shape {first.shape} and b {second.shape}: pair them case by case first"
        raise DataError(msg)
    cases, codes = clusters(first - second, patients)
    means: Values = np.bincount(codes, weights=cases) / np.bincount(codes)
    return means


def bootstrap_ci(
    values: ArrayLike,
    patients: Patients,
    statistic: Statistic = np.mean,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    method: Literal["percentile", "bca"] = "percentile",
) -> tuple[float, float]:
    """Bootstrap interval over patients: all cases of a drawn patient enter together.

    The interval depends on the values and their patients, not on the order of the rows.  With a
    single patient it has no width: read it with the number of patients beside it.

    Args:
        values: one finite number a case, ``(n,)``.
        patients: the patient of each case, ``(n,)``.
        statistic: takes a 1-d array and gives a number (``numpy.mean``, ``numpy.median``, ...).
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.
        method: ``percentile``, or ``bca`` (bias-corrected and accelerated, Efron 1987), which
            moves the percentiles of the same resamples.

    Returns:
        (low, high).

    Raises:
        DataError: no values, a value that is not finite, lengths that differ, a missing patient,
            ``draws`` or ``level`` out of range, or an unknown method.
    """
    if draws < 1 or not 0 < level < 1:
        msg = f"draws = {draws}, level = {level}: draws must be at least 1 and level within (0, 1)"
        raise DataError(msg)
    if method not in ("percentile", "bca"):
        msg = f"method = {method!r}: use percentile or bca"
        raise DataError(msg)
    cases, codes = clusters(values, patients)
    count = int(codes[-1]) + 1
    found = resample(_of_weights(cases, codes, statistic), count, draws, seed)
    if method == "percentile" or count == 1:
        return limits(found, level)
    left = np.array([float(statistic(cases[codes != one])) for one in range(count)])
    return _bca_limits(found, float(statistic(cases)), left, level)


def _of_weights(cases: Values, codes: Codes, statistic: Statistic) -> Callable[[Times], Values]:
    """A statistic as a measure of weights; the mean and the median take a faster way to it."""
    if statistic is np.mean:
        sums, counts = np.bincount(codes, weights=cases), np.bincount(codes)
        return lambda times: (times @ sums) / (times @ counts)
    if statistic is np.median:
        return lambda times: _medians(cases, times[:, codes])
    return lambda times: np.array([float(statistic(np.repeat(cases, n[codes]))) for n in times])


def _medians(cases: Values, times: Times) -> Values:
    """Medians: the values are sorted once, and counted up to the middle of each resample."""
    order = np.argsort(cases, kind="stable")
    ranked = cases[order]
    upto = times.astype(np.int32)[:, order].cumsum(axis=1, dtype=np.int32)
    size = upto[:, -1:]
    lower, upper = ((upto <= middle).sum(axis=1) for middle in ((size - 1) // 2, size // 2))
    medians: Values = (ranked[lower] + ranked[upper]) / 2
    return medians


def _bca_limits(found: Values, whole: float, left: Values, level: float) -> tuple[float, float]:
    """Percentiles moved for bias and acceleration (Efron 1987), patients left out one by one.

    A tie with the whole counts one half towards the bias, which is never infinite.
    """
    below = (np.mean(found < whole) + np.mean(found <= whole)) / 2
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(found), 1 - 0.5 / len(found)))
    off = left.mean() - left
    spread = float((off**2).sum()) ** 1.5
    acceleration = float((off**3).sum()) / (6 * spread) if spread else 0.0
    z = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    shares = stats.norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.percentile(found, 100 * shares)
    return float(low), float(high)


@dataclass(frozen=True)
class PairedTest:
    """Two treatments of the same patients, compared.

    Attributes:
        difference: mean over patients of each patient's mean of ``a - b``.
        low: lower end of the 95 % bootstrap interval of ``difference``.
        high: upper end of it.
        p_wilcoxon: two-sided p of the Wilcoxon signed-rank test over patients.
        p_permutation: two-sided p of the sign-flip permutation test of the mean over patients.
        patients: number of patients.
        smallest_detectable: difference that a two-sided test at 5 % finds with 80 % power, by
            the normal approximation ``(z(0.975) + z(0.80)) sd / sqrt(patients)``.
    """

    difference: float
    low: float
    high: float
    p_wilcoxon: float
    p_permutation: float
    patients: int
    smallest_detectable: float


def paired_test(a: ArrayLike, b: ArrayLike, patients: Patients) -> PairedTest:
    """Compare two treatments of the same cases, patient by patient.

    Cases of one patient are averaged first, so that each patient counts once.  Without a
    difference in any patient both p-values are 1; a single patient tells nothing: the interval
    and the smallest detectable difference are then infinite and both p-values 1.

    Args:
        a: one finite number a case, ``(n,)``.
        b: the other treatment of the same cases, ``(n,)``.
        patients: the patient of each case, ``(n,)``.

    Returns:
        A :class:`PairedTest` of ``a - b``.

    Raises:
        DataError: lengths that differ, a value that is not finite, or a missing patient.
    """
    means = patient_differences(a, b, patients)
    count, difference = len(means), float(means.mean())
    if count == 1:
        return PairedTest(difference, -math.inf, math.inf, 1.0, 1.0, 1, math.inf)
    low, high = bootstrap_ci(means, np.arange(count))
    p_wilcoxon, p_permutation = _p_values(means)
    detectable = smallest_detectable(float(means.std(ddof=1)) / math.sqrt(count))
    return PairedTest(difference, low, high, p_wilcoxon, p_permutation, count, detectable)


def smallest_detectable(error: float) -> float:
    """What a two-sided test at 5 % finds with 80 % power, from the standard error."""
    return float(stats.norm.ppf(0.975) + stats.norm.ppf(POWER)) * error


def _p_values(differences: Values) -> tuple[float, float]:
    """Wilcoxon's and the sign-flip permutation's two-sided p of one difference a patient."""
    if not differences.any():
        return 1.0, 1.0
    flip = stats.permutation_test(
        (differences,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        batch=CHUNK,
        rng=np.random.default_rng(0),
    )
    return float(stats.wilcoxon(differences).pvalue), float(flip.pvalue)


def holm(pvalues: ArrayLike) -> Values:
    """Holm's step-down correction (1979) of the p-values of one family, ``(m,)``."""
    raw = np.atleast_1d(np.asarray(pvalues, dtype=np.float64))
    if not ((raw >= 0) & (raw <= 1)).all():
        msg = f"pvalues: {raw.tolist()} holds one outside [0, 1]; leave untested pairs out"
        raise DataError(msg)
    if not len(raw):
        return raw
    from statsmodels.stats.multitest import multipletests

    adjusted: Values = np.asarray(multipletests(raw, method="holm")[1], dtype=np.float64)
    return adjusted


def wilson_interval(successes: ArrayLike, totals: ArrayLike) -> tuple[Values, Values]:
    """Wilson's 95 % score interval of proportions, each case taken as independent.

    Args:
        successes: whole numbers, any shape.
        totals: whole numbers that broadcast with ``successes``, each at least 1.

    Returns:
        (low, high), float64 in [0, 1], of the common shape.
    """
    from statsmodels.stats.proportion import proportion_confint

    hits, cases = np.broadcast_arrays(np.asarray(successes, float), np.asarray(totals, float))
    low, high = proportion_confint(hits, cases, alpha=1 - LEVEL, method="wilson")
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)

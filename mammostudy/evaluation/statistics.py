"""Intervals and tests in which the patient, not the image, is the unit.

The two views of a breast, the two energies of a contrast study and several contours of one
patient are one cluster: they enter a resample together or not at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation.resampling import (
    CHUNK,
    Patients,
    Statistic,
    Values,
    bca_limits,
    clusters,
    patient_differences,
    percentile_limits,
    resamples,
)

__all__ = ["POWER", "PairedTest", "Patients", "Values", "bootstrap_ci", "holm", "paired_test"]
POWER: Final = 0.80


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
    cases, codes, count = clusters(values, patients)
    found = resamples(cases, codes, statistic, draws, seed)
    if method == "percentile" or count == 1:
        return percentile_limits(found, level)
    return bca_limits(found, cases, codes, statistic, level)


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
    count = len(means)
    difference = float(means.mean())
    if count == 1:
        return PairedTest(difference, -math.inf, math.inf, 1.0, 1.0, 1, math.inf)
    low, high = bootstrap_ci(means, np.arange(count))
    p_wilcoxon, p_permutation = _p_values(means)
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(POWER))
    detectable = z * float(means.std(ddof=1)) / math.sqrt(count)
    return PairedTest(difference, low, high, p_wilcoxon, p_permutation, count, detectable)


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
    """Holm's step-down correction for several tests.

    Args:
        pvalues: the p-values of one family of tests, ``(m,)``, each in [0, 1].

    Returns:
        The adjusted p-values in the same order, float64 ``(m,)``.

    Raises:
        DataError: a p-value is outside [0, 1] or not a number.

    Source: Holm 1979, through ``statsmodels.stats.multitest.multipletests``.
    """
    raw = np.atleast_1d(np.asarray(pvalues, dtype=np.float64))
    if not ((raw >= 0) & (raw <= 1)).all():
        msg = f"pvalues: {raw.tolist()} holds one outside [0, 1]; leave untested pairs out"
        raise DataError(msg)
    if not len(raw):
        return raw
    from statsmodels.stats.multitest import multipletests

    adjusted: Values = np.asarray(multipletests(raw, method="holm")[1], dtype=np.float64)
    return adjusted

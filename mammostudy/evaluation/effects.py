"""How large a difference between two treatments is, and whether it is too small to matter.

As everywhere, a patient's cases are averaged first: a patient is one difference ``a - b``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from mammostudy.errors import DataError
from mammostudy.evaluation.resampling import Patients, Values, patient_differences
from mammostudy.evaluation.statistics import bootstrap_ci


@dataclass(frozen=True)
class EffectSize:
    """How large the difference of two treatments is beside its scatter between patients.

    Attributes:
        rank_biserial: ranks of the patients whom ``a`` serves better less the ranks of those whom
            ``b`` does, over the sum of both, in [-1, 1]; patients without a difference are left
            out, as in Wilcoxon's test. 0 where no patient has a difference.
        standardised: mean difference over its standard deviation (Cohen's d of paired values),
            times Hedges' correction for few patients (from three on). Infinite where every
            patient has the same difference, 0 where none has any, NaN for a single patient.
        better: share of the patients whom ``a`` serves better, a tie counting one half.
        patients: number of patients.
    """

    rank_biserial: float
    standardised: float
    better: float
    patients: int


@dataclass(frozen=True)
class Equivalence:
    """Whether two treatments differ by less than a margin, by two one-sided tests.

    Attributes:
        difference: mean over patients of each patient's mean of ``a - b``.
        low: lower end of the bootstrap interval at ``1 - 2 level`` (90 % for 5 %).
        high: upper end of it.
        margin: the smallest difference that matters.
        p: the larger p of the two one-sided paired t tests (difference above ``-margin``, and
            below ``margin``): the judge by theory beside the interval.
        equivalent: whether the interval lies within (-margin, margin).
        not_inferior: whether the interval lies above -margin: ``a`` is at most a margin worse.
        patients: number of patients.
    """

    difference: float
    low: float
    high: float
    margin: float
    p: float
    equivalent: bool
    not_inferior: bool
    patients: int


def effect_size(a: ArrayLike, b: ArrayLike, patients: Patients) -> EffectSize:
    """Effect sizes of ``a - b`` over patients.

    Args:
        a: one finite number a case, ``(n,)``.
        b: the other treatment of the same cases, ``(n,)``.
        patients: the patient of each case, ``(n,)``.

    Returns:
        An :class:`EffectSize`.

    Raises:
        DataError: lengths that differ, a value that is not finite, or a missing patient.

    Source: Kerby 2014 (matched pairs rank-biserial correlation); Cohen 1988; Hedges 1981.
    """
    differences = patient_differences(a, b, patients)
    better = np.where(differences > 0, 1.0, np.where(differences < 0, 0.0, 0.5)).mean()
    return EffectSize(
        _rank_biserial(differences), _standardised(differences), float(better), len(differences)
    )


def _rank_biserial(differences: Values) -> float:
    changed = differences[differences != 0]
    if not len(changed):
        return 0.0
    ranks = stats.rankdata(np.abs(changed))
    return float((np.sign(changed) * ranks).sum() / ranks.sum())


def _standardised(differences: Values) -> float:
    free = len(differences) - 1
    if not free:
        return math.nan
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    if _all_alike(differences):
        return math.copysign(math.inf, mean) if mean else 0.0
    half = free / 2
    correction = math.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / math.sqrt(half)
    return mean / sd * (correction if free > 1 else 1.0)


def _all_alike(differences: Values) -> bool:
    """Whether what differs between patients is rounding alone."""
    return float(np.ptp(differences)) <= 1e-12 * float(np.abs(differences).max())


def equivalence(
    a: ArrayLike,
    b: ArrayLike,
    patients: Patients,
    margin: float,
    level: float = 0.05,
    draws: int = 10_000,
    seed: int = 0,
) -> Equivalence:
    """Ask whether two treatments of the same cases differ by less than a margin.

    The margin must be chosen before the values are seen. A single patient shows nothing: the
    interval is then infinite and p is 1.

    Args:
        a: one finite number a case, ``(n,)``.
        b: the other treatment of the same cases, ``(n,)``.
        patients: the patient of each case, ``(n,)``.
        margin: the smallest difference that matters, above 0.
        level: of each one-sided test, between 0 and 0.5.
        draws: resamples of patients for the interval.
        seed: of the resampling.

    Returns:
        An :class:`Equivalence` of ``a - b``.

    Raises:
        DataError: lengths that differ, a value that is not finite, a missing patient, or a margin
            or level out of range.

    Source: Schuirmann 1987 (two one-sided tests).
    """
    if not (math.isfinite(margin) and margin > 0) or not 0 < level < 0.5:
        msg = f"margin = {margin}, level = {level}: margin must be > 0 and level within (0, 0.5)"
        raise DataError(msg)
    differences = patient_differences(a, b, patients)
    count, mean = len(differences), float(differences.mean())
    if count == 1:
        return Equivalence(mean, -math.inf, math.inf, margin, 1.0, False, False, 1)
    low, high = bootstrap_ci(
        differences, np.arange(count), draws=draws, level=1 - 2 * level, seed=seed
    )
    above, within = low > -margin, -margin < low and high < margin
    return Equivalence(mean, low, high, margin, _p_tost(differences, margin), within, above, count)


def _p_tost(differences: Values, margin: float) -> float:
    """The larger p of the two one-sided t tests against the ends of the margin."""
    if _all_alike(differences):
        return 0.0 if abs(float(differences[0])) < margin else 1.0
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return float(max(above, below))

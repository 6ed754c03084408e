"""The uncertainty of an AUC: DeLong's variance and test, and the bootstrap over patients.

DeLong takes every case as independent. Where patients have several cases, the bootstrap over
patients is the interval to read; the two stand side by side.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit, logit

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.checks import binary_scores, class_probabilities, every_class_present
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]
_CHUNK = 250


def delong_variance(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """AUC and DeLong's estimate of its variance, in O(n log n).

    Args:
        labels: 1 for the positive cases, 0 for the others, ``(n,)``.
        scores: higher means more likely positive, ``(n,)``; ties count one half.

    Returns:
        (AUC, variance of the AUC). The variance is 0 where the classes are wholly separated:
        then it is no measure of certainty.

    Raises:
        DataError: fewer than two cases of either class, lengths that differ, or scores that are
            not finite.

    Source: DeLong, DeLong and Clarke-Pearson 1988; by midranks as Sun and Xu, IEEE Signal
        Processing Letters 21:1389 (2014).
    """
    of_positives, of_negatives = _placements(labels, scores, "scores")
    variance = of_positives.var(ddof=1) / of_positives.size
    variance += of_negatives.var(ddof=1) / of_negatives.size
    return float(of_positives.mean()), float(variance)


def delong_test(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike) -> float:
    """Two-sided p of the difference between the AUCs of two scores of the same cases.

    Args:
        labels: 1 for the positive cases, 0 for the others, ``(n,)``.
        scores_a: one score of each case, ``(n,)``.
        scores_b: the other score of each case, ``(n,)``.

    Returns:
        p from the normal distribution. Where the difference has no variance it is 1 for equal
        AUCs and 0 for unequal ones.

    Raises:
        DataError: as :func:`delong_variance`.
    """
    placed_a = _placements(labels, scores_a, "scores_a")
    placed_b = _placements(labels, scores_b, "scores_b")
    gaps = [a - b for a, b in zip(placed_a, placed_b, strict=True)]
    difference = float(gaps[0].mean())
    variance = sum(float(gap.var(ddof=1)) / gap.size for gap in gaps)
    if variance <= 1e-20:
        return 1.0 if abs(difference) < 1e-12 else 0.0
    return float(2 * stats.norm.sf(abs(difference) / math.sqrt(variance)))


def _placements(labels: ArrayLike, scores: ArrayLike, field: str) -> tuple[Values, Values]:
    """Share of negatives below each positive, and of positives above each negative."""
    positive, values = binary_scores(labels, scores, field)
    above, below = values[positive], values[~positive]
    if min(above.size, below.size) < 2:
        msg = (
            f"labels hold {above.size} positive and {below.size} negative cases: DeLong's "
            "variance needs two of each; pool the folds"
        )
        raise DataError(msg)
    ranks = stats.rankdata(values)
    of_positives = (ranks[positive] - stats.rankdata(above)) / below.size
    of_negatives = 1 - (ranks[~positive] - stats.rankdata(below)) / above.size
    return of_positives, of_negatives


def auc_ci(
    labels: ArrayLike, scores: ArrayLike, level: float = 0.95, scale: str = "linear"
) -> tuple[float, float]:
    """Confidence interval of an AUC from DeLong's variance.

    Args:
        labels: 1 for the positive cases, 0 for the others, ``(n,)``.
        scores: higher means more likely positive, ``(n,)``.
        level: coverage, between 0 and 1.
        scale: ``linear`` (AUC +- z se, cut at 0 and 1) or ``logit`` (the same on log odds, by the
            delta method: it stays within (0, 1) and covers better near 1; Pepe 2003).

    Returns:
        (low, high). At an AUC of 0 or 1 the variance is 0 and the interval has no width.

    Raises:
        DataError: as :func:`delong_variance`, or ``level`` out of range.
        SpecError: an unknown scale.
    """
    if scale not in ("linear", "logit"):
        msg = f"scale {scale!r} of the AUC interval is unknown: use linear or logit"
        raise SpecError(msg)
    _check_level(level)
    auc, variance = delong_variance(labels, scores)
    reach = float(stats.norm.ppf(0.5 + level / 2)) * math.sqrt(variance)
    if scale == "linear" or variance == 0:
        return max(auc - reach, 0.0), min(auc + reach, 1.0)
    middle, reach = float(logit(auc)), reach / (auc * (1 - auc))
    return float(expit(middle - reach)), float(expit(middle + reach))


def auc_bootstrap_ci(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: Patients,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of an AUC over patients.

    A draw in which a class has no case is drawn again: the interval is conditional on an ROC
    that exists. A class of a single patient is refused: how patients differ cannot be seen in it.

    Args:
        labels: 0 or 1 for ``(n,)`` scores; class numbers for ``(n, k)`` probabilities.
        scores: ``(n,)`` for one AUC, or ``(n, k)`` for the macro one-vs-rest AUC.
        patients: the patient of each case, ``(n,)``.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        (low, high).

    Raises:
        DataError: as :func:`~mammostudy.evaluation.roc.class_rocs`; a missing patient; a
            class of one patient only; or ``draws`` or ``level`` out of range.
    """
    _check_level(level)
    hits, columns = _one_vs_rest(labels, scores)
    codes, count = _patient_codes(patients, len(hits))
    _two_patients_each(hits, codes)
    if draws < 1:
        msg = f"draws = {draws}: at least 1 resample needed"
        raise DataError(msg)
    rng = np.random.default_rng(seed)
    found: list[Values] = []
    kept = 0
    while kept < draws:
        drawn = rng.integers(0, count, (_CHUNK, count))
        times = np.stack([np.bincount(row, minlength=count)[codes] for row in drawn])
        areas = _weighted_aucs(hits, columns, times.astype(np.float64))
        found.append(areas[np.isfinite(areas)])
        kept += found[-1].size
    low, high = np.percentile(np.concatenate(found)[:draws], [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        msg = f"level = {level}: the coverage must lie within (0, 1)"
        raise DataError(msg)


def _one_vs_rest(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Values]:
    """Positives and scores as ``(n, k)``; k is 1 for a single score."""
    if np.ndim(scores) == 1:
        positive, values = binary_scores(labels, scores)
        return positive[:, None], values[:, None]
    table, truth = class_probabilities(scores, labels, "scores")
    every_class_present(truth, table.shape[1])
    return truth[:, None] == np.arange(table.shape[1]), table


def _patient_codes(patients: Patients, cases: int) -> tuple[NDArray[np.intp], int]:
    names = np.asarray(patients)
    if names.shape != (cases,) or pd.isna(names).any():
        msg = f"patients of shape {names.shape} for {cases} cases: name the patient of every case"
        raise DataError(msg)
    unique, codes = np.unique(names.astype(str), return_inverse=True)
    return codes, len(unique)


def _two_patients_each(hits: NDArray[np.bool_], codes: NDArray[np.intp]) -> None:
    for number, positive in enumerate(hits.T):
        for side, cases in ((1, positive), (0, ~positive)):
            if len(np.unique(codes[cases])) < 2:
                name = side if hits.shape[1] == 1 else number if side else f"other than {number}"
                msg = (
                    f"labels: class {name} comes from one patient: no interval over patients "
                    "exists; pool the folds, or give the AUC without one"
                )
                raise DataError(msg)


def _weighted_aucs(hits: NDArray[np.bool_], columns: Values, times: Values) -> Values:
    """Mean over columns of the AUC of each draw ``(draws, n)``; NaN where a class is missing."""
    total = np.zeros(len(times))
    for positive, values in zip(hits.T, columns.T, strict=True):
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
        weights = times[:, order]
        above = np.add.reduceat(weights * positive[order], starts, axis=1)
        below = np.add.reduceat(weights * ~positive[order], starts, axis=1)
        won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        pairs = above.sum(axis=1) * below.sum(axis=1)
        total += np.divide(won, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
    means: Values = total / columns.shape[1]
    return means

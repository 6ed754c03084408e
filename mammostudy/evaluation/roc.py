"""ROC curves, their means, and the uncertainty of their areas.

DeLong takes every case as independent. Where patients have several cases, the bootstrap over
patients is the interval to read; the two stand side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from mammostudy.errors import DataError
from mammostudy.evaluation.calibration import class_labels, class_probabilities
from mammostudy.evaluation.statistics import (
    LEVEL,
    Patients,
    Times,
    Values,
    limits,
    patient_codes,
    resample,
)

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Roc:
    """One ROC curve, from (0, 0) to (1, 1)."""

    false_positive: Values  # rate, ascending, (m,)
    true_positive: Values  # rate, ascending, (m,)
    auc: float  # area under it (trapezoid: a tie counts one half)


@dataclass(frozen=True)
class MeanRoc:
    """The mean of several ROC curves at equal false positive rate, with one standard deviation."""

    false_positive: Values  # rate, ascending, each twice, so that steps stay steps, (m,)
    true_positive: Values  # mean rate, (m,)
    low: Values  # mean less one standard deviation between the curves (n - 1), not below 0
    high: Values  # mean and one standard deviation, not above 1
    auc: float  # area under the mean, equal to the mean of the areas
    auc_sd: float  # standard deviation of the areas (n - 1); 0 for a single curve
    curves: int  # how many were averaged


def binary_roc(positive: Flags, scores: Values) -> Roc:
    """The ROC curve of one score ``(n,)``; points on a straight line are left out."""
    false_positive, true_positive, _ = sklearn_roc_curve(positive, scores)
    return Roc(
        np.asarray(false_positive, dtype=np.float64),
        np.asarray(true_positive, dtype=np.float64),
        float(roc_auc_score(positive, scores)),
    )


def micro_roc(labels: ArrayLike, probabilities: ArrayLike) -> Roc:
    """The ROC curve of all (case, class) decisions together: large classes weigh more.

    Labels are class numbers ``(n,)``, probabilities ``(n, k)`` with rows that sum to 1.
    """
    table, truth = class_probabilities(probabilities, labels)
    hits = truth[:, None] == np.arange(table.shape[1])
    return binary_roc(hits.ravel(), table.ravel())


def mean_roc(curves: Sequence[Roc | MeanRoc]) -> MeanRoc:
    """The mean of ROC curves, as over folds, with a band of one standard deviation.

    The mean is vertical (Fawcett 2006), exact at every step of every curve: no grid of false
    positive rates is chosen, so the area under the mean is the mean of the areas.
    """
    rates = np.unique(np.concatenate([curve.false_positive for curve in curves]))
    sampled = np.stack([_at(curve, rates) for curve in curves])
    mean, several = sampled.mean(axis=0), len(curves) > 1
    spread = sampled.std(axis=0, ddof=1) if several else np.zeros_like(mean)
    areas = np.array([curve.auc for curve in curves], dtype=np.float64)
    return MeanRoc(
        false_positive=np.repeat(rates, 2),
        true_positive=mean,
        low=np.clip(mean - spread, 0, 1),
        high=np.clip(mean + spread, 0, 1),
        auc=float(np.trapezoid(mean, np.repeat(rates, 2))),
        auc_sd=float(areas.std(ddof=1)) if several else 0.0,
        curves=len(curves),
    )


def _at(curve: Roc | MeanRoc, rates: Values) -> Values:
    """Foot and top of the curve at each rate, one after the other: ``(2 m,)``."""
    x, y = curve.false_positive, curve.true_positive
    top = np.interp(rates, x, y)  # numpy takes the last of equal abscissae ...
    foot = np.interp(-rates, -x[::-1], y[::-1])  # ... so mirrored it takes the first
    return np.column_stack([foot, top]).ravel().astype(np.float64)


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
    of_positives, of_negatives = _placements(labels, scores)
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
    placed_a, placed_b = _placements(labels, scores_a), _placements(labels, scores_b)
    gaps = [a - b for a, b in zip(placed_a, placed_b, strict=True)]
    difference = float(gaps[0].mean())
    variance = sum(float(gap.var(ddof=1)) / gap.size for gap in gaps)
    if variance <= 1e-20:
        return 1.0 if abs(difference) < 1e-12 else 0.0
    return float(2 * stats.norm.sf(abs(difference) / math.sqrt(variance)))


def _placements(labels: ArrayLike, scores: ArrayLike) -> tuple[Values, Values]:
    """Share of negatives below each positive, and of positives above each negative."""
    positive = class_labels(labels, 2) == 1
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != positive.shape or not np.isfinite(values).all():
        msg = f"scores of shape {values.shape}: a finite one for each of {positive.size} labels"
        raise DataError(msg)
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


def auc_ci(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """95 % interval of an AUC from DeLong's variance, cut at 0 and 1.

    At an AUC of 0 or 1 the variance is 0 and the interval has no width.
    """
    auc, variance = delong_variance(labels, scores)
    reach = float(stats.norm.ppf(0.5 + LEVEL / 2)) * math.sqrt(variance)
    return max(auc - reach, 0.0), min(auc + reach, 1.0)


def auc_bootstrap_ci(
    labels: ArrayLike, scores: ArrayLike, patients: Patients, draws: int = 2_000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of an AUC over patients.

    A draw in which a class has no case is drawn again: the interval is conditional on an ROC
    that exists. A class of a single patient is refused: how patients differ cannot be seen in it.

    Args:
        labels: 0 or 1 for ``(n,)`` scores; class numbers for ``(n, k)`` probabilities.
        scores: ``(n,)`` for one AUC, or ``(n, k)`` for the macro one-vs-rest AUC.
        patients: the patient of each case, ``(n,)``.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        DataError: a class without a case or of one patient only.
    """
    return auc_difference_ci(labels, scores, None, patients, draws, seed)[1:]


def auc_difference_ci(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike | None,
    patients: Patients,
    draws: int = 2_000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Difference of two AUCs of the same cases with its 95 % bootstrap interval over patients.

    Both AUCs are taken of the same resamples, so that what the cases have in common cancels. The
    rest is as in :func:`auc_bootstrap_ci`; without ``scores_b`` it is of one AUC.

    Returns:
        (AUC of a minus AUC of b, low, high).
    """
    tables = [_columns(scores) for scores in (scores_a, scores_b) if scores is not None]
    truth, classes = np.asarray(labels), tables[0].shape[1]
    hits = (truth == 1)[:, None] if classes == 1 else truth[:, None] == np.arange(classes)
    codes = patient_codes(patients, len(hits))
    for number, positive in enumerate(hits.T):
        if min(len(np.unique(codes[side])) for side in (positive, ~positive)) < 2:
            msg = f"labels: column {number} has a class of one patient or none: no interval exists"
            raise DataError(msg)

    def gaps(times: Times) -> Values:
        areas = [_weighted_aucs(hits, table, times[:, codes]) for table in tables]
        return areas[0] - areas[1] if len(areas) > 1 else areas[0]

    count = int(codes.max()) + 1
    low, high = limits(resample(gaps, count, draws, seed, again=True))
    return float(gaps(np.ones((1, count), dtype=np.int64))[0]), low, high


def _columns(scores: ArrayLike) -> Values:
    values = np.asarray(scores, dtype=np.float64)
    return values.reshape(len(values), -1)


def _weighted_aucs(hits: Flags, columns: Values, times: Times) -> Values:
    """Mean over columns of the AUC of each draw ``(draws, n)``; NaN where a class is missing."""
    total = np.zeros(len(times))
    for positive, values in zip(hits.T, columns.T, strict=True):
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
        weights = times[:, order].astype(np.float64)
        above = np.add.reduceat(weights * positive[order], starts, axis=1)
        below = np.add.reduceat(weights * ~positive[order], starts, axis=1)
        won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        pairs = above.sum(axis=1) * below.sum(axis=1)
        total += np.divide(won, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
    means: Values = total / columns.shape[1]
    return means

"""Scores of classes: calibration, ROC curves, their means, and the uncertainty of their areas.

DeLong takes every case as independent. Where patients have several cases, the bootstrap over
patients is the interval to read; the two stand side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from mammostudy.errors import DataError
from mammostudy.evaluation import statistics
from mammostudy.evaluation.statistics import Patients, Times, Values

Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]
TOLERANCE = 1e-4  # by which probabilities may sum off 1 (float32 softmax stays within 1e-6)
COOLEST, HOTTEST = 0.01, 100.0


def class_labels(labels: ArrayLike, classes: int) -> Labels:
    """Labels as int64 ``(n,)`` in ``0 .. classes - 1``; others are refused."""
    raw = np.asarray(labels)
    if raw.ndim != 1 or not raw.size or not np.isin(raw, range(classes)).all():
        msg = f"labels must be class numbers 0 to {classes - 1}, one a case: map names to numbers"
        raise DataError(msg)
    return raw.astype(np.int64)


def class_probabilities(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Values, Labels]:
    """Probabilities float64 ``(n, k)`` and labels int64 ``(n,)`` that fit each other."""
    table = statistics.finite(probabilities, "probabilities")
    if table.ndim != 2 or table.shape[1] < 2 or len(table) != np.size(labels):
        msg = f"probabilities of shape {table.shape} for {np.size(labels)} labels: (cases, classes)"
        raise DataError(msg)
    if table.min() < 0 or (abs(table.sum(axis=1) - 1) > TOLERANCE).any():
        msg = "probabilities leave [0, 1] or do not sum to 1: apply softmax first"
        raise DataError(msg)
    return table, class_labels(labels, table.shape[1])


def binned_shares(scores: Values, right: Flags, bins: int) -> pd.DataFrame:
    """Mean score against share that is right (Wilson), in the bins ``(low, high]`` with a case."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    cases = np.bincount(place)
    used = np.flatnonzero(cases)
    table = pd.DataFrame({"low": edges[used], "high": edges[used + 1], "cases": cases[used]})
    table["mean"] = np.bincount(place, weights=scores)[used] / table["cases"]
    hits = np.bincount(place, weights=right)[used]
    table["share"] = hits / table["cases"]
    table["share_low"], table["share_high"] = statistics.wilson_interval(hits, table["cases"])
    return table


def reliability_table(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> pd.DataFrame:
    """The reliability diagram, as :func:`binned_shares`: mean confidence against the accuracy.

    The confidence of a case is its largest probability; it is right if that class is the true one
    (the first of equal ones).
    """
    table, truth = class_probabilities(probabilities, labels)
    return binned_shares(table.max(axis=1), table.argmax(axis=1) == truth, bins)


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over bins, weighted by their cases (top label).

    It falls with fewer bins and rises by chance with few cases: compare only equal numbers.

    Args:
        probabilities: ``(n, k)``; rows sum to 1.
        labels: true class number of each case, ``(n,)``.
        bins: number of bins between 0 and 1.

    Raises:
        DataError: probabilities that do not sum to 1, or labels that do not fit.

    Source: Naeini et al. 2015; Guo et al. 2017 (their 15 bins).
    """
    if bins < 1:
        msg = f"bins = {bins}: at least one bin needed"
        raise DataError(msg)
    table = reliability_table(probabilities, labels, bins)
    return float(np.average((table["share"] - table["mean"]).abs(), weights=table["cases"]))


def calibration_errors_by_chance(probabilities: Values, bins: int = 15) -> Values:
    """What a perfectly calibrated forecast of so many independent cases scores by chance.

    Labels are drawn from the probabilities ``(n, k)`` themselves (Broecker and Smith 2007).
    """
    rng = np.random.default_rng(0)
    edges = np.cumsum(probabilities, axis=1)
    edges[:, -1] = 1.0
    top, called = probabilities.max(axis=1), probabilities.argmax(axis=1)
    place = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], top, side="left")
    drawn = [(rng.random((len(edges), 1)) > edges).sum(axis=1) for _ in range(300)]
    gaps = [np.bincount(place, weights=(called == each) - top) for each in drawn]
    return np.array([np.abs(gap).sum() / len(top) for gap in gaps])


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature in [0.01, 100] that makes softmax(logits / temperature) most likely.

    Fit it on validation cases, never on those it is judged on; above 1 the network was too sure.
    Where no case is wrong the likelihood grows for ever towards 0 and says nothing: 1 is returned,
    the network's own probabilities. Source: Guo et al. 2017.
    """
    values, truth = statistics.finite(logits, "logits"), np.asarray(labels)
    rows = np.arange(len(truth))
    others = np.where(np.eye(values.shape[1])[truth] > 0, -np.inf, values).max(axis=1)
    if (values[rows, truth] > others).all():
        return 1.0

    def surprise(log_temperature: float) -> float:
        likelihood = log_softmax(values * np.exp(-log_temperature), axis=1)
        return -float(likelihood[rows, truth].mean())

    ends = (np.log(COOLEST), np.log(HOTTEST))
    best = minimize_scalar(surprise, bounds=ends, method="bounded", options={"xatol": 1e-6})
    lowest = min((float(best.x), *ends), key=surprise)
    return float(np.clip(np.exp(lowest), COOLEST, HOTTEST))


def apply_temperature(logits: ArrayLike, temperature: float = 1.0) -> Values:
    """Probabilities ``softmax(logits / temperature)``, float64 ``(n, k)``; rows sum to 1."""
    return np.asarray(
        softmax(statistics.finite(logits, "logits") / temperature, axis=1), dtype=np.float64
    )


@dataclass(frozen=True)
class Roc:
    """One ROC curve, from (0, 0) to (1, 1)."""

    false_positive: Values  # rate, ascending, (m,)
    true_positive: Values  # rate, ascending, (m,)
    auc: float  # area under it (trapezoid: a tie counts one half)


def binary_roc(positive: Flags, scores: Values) -> Roc:
    """The ROC curve of one score ``(n,)``; points on a straight line are left out."""
    if np.all(positive) or not np.any(positive):
        msg = "labels are of one class: an ROC needs positive and negative cases"
        raise DataError(msg)
    false_positive, true_positive, _ = sklearn_roc_curve(positive, scores)
    return Roc(false_positive, true_positive, float(roc_auc_score(positive, scores)))


def mean_roc(curves: Sequence[Roc]) -> Roc:
    """The vertical mean of ROC curves (Fawcett 2006), each rate twice so that steps stay steps.

    It is exact at every step of every curve: the area under the mean is the mean of the areas.
    """
    rates = np.unique(np.concatenate([curve.false_positive for curve in curves]))
    mean, twice = np.mean([_at(curve, rates) for curve in curves], axis=0), np.repeat(rates, 2)
    return Roc(twice, mean, float(np.trapezoid(mean, twice)))


def _at(curve: Roc, rates: Values) -> Values:
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
    values = statistics.finite(scores, "scores")
    if values.shape != positive.shape or not 2 <= positive.sum() <= positive.size - 2:
        msg = f"scores of shape {values.shape} for {positive.sum()} positive of {positive.size}: "
        msg += "a score a case, two positive and two negative needed"
        raise DataError(msg)
    above, below = values[positive], values[~positive]
    ranks = stats.rankdata(values)
    of_positives = (ranks[positive] - stats.rankdata(above)) / below.size
    of_negatives = 1 - (ranks[~positive] - stats.rankdata(below)) / above.size
    return of_positives, of_negatives


def auc_ci(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """95 % interval of an AUC from DeLong's variance, cut at 0 and 1 (where it has no width)."""
    auc, variance = delong_variance(labels, scores)
    reach = float(stats.norm.ppf(0.5 + statistics.LEVEL / 2)) * math.sqrt(variance)
    return max(auc - reach, 0.0), min(auc + reach, 1.0)


def auc_difference_ci(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike | None,
    patients: Patients,
    draws: int = 2_000,
) -> tuple[float, float, float]:
    """Difference a less b of two AUCs, and the ends of its 95 % interval over patients.

    Labels are 0 or 1 for scores ``(n,)``, class numbers for the macro one-vs-rest AUC of
    probabilities ``(n, k)``; without ``scores_b`` the interval is of the AUC of a. A draw in which
    a class has no case is drawn again: the interval is conditional on an ROC that exists. A class
    of a single patient is refused: how patients differ cannot be seen in it.
    """
    both = (np.asarray(scores, float) for scores in (scores_a, scores_b) if scores is not None)
    tables = [scores.reshape(len(scores), -1) for scores in both]
    truth, classes = np.asarray(labels), tables[0].shape[1]
    hits = (truth == 1)[:, None] if classes == 1 else truth[:, None] == np.arange(classes)
    codes = statistics.patient_codes(patients, len(hits))
    for number, positive in enumerate(hits.T):
        if min(len(np.unique(codes[side])) for side in (positive, ~positive)) < 2:
            msg = f"labels: column {number} has a class of one patient or none: no interval exists"
            raise DataError(msg)

    def gaps(times: Times) -> Values:
        areas = [_weighted_aucs(hits, table, times[:, codes]) for table in tables]
        return areas[0] - areas[1] if len(areas) > 1 else areas[0]

    count = int(codes.max()) + 1
    low, high = statistics.limits(statistics.resample(gaps, count, draws, 0, again=True))
    return float(gaps(np.ones((1, count), dtype=np.int64))[0]), low, high


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
        total += statistics.quotients(won, above.sum(axis=1) * below.sum(axis=1))
    return np.asarray(total / columns.shape[1])

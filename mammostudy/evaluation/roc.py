"""ROC curves of several classes (one against the rest), and their means over classes and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from mammostudy.errors import DataError
from mammostudy.evaluation.checks import binary_scores, class_probabilities, every_class_present

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Roc:
    """One ROC curve, from (0, 0) to (1, 1).

    Attributes:
        false_positive: rate, ascending, ``(m,)``.
        true_positive: rate, ascending, ``(m,)``.
        auc: area under it (trapezoid: a tie counts one half).
    """

    false_positive: Values
    true_positive: Values
    auc: float


@dataclass(frozen=True)
class MeanRoc:
    """The mean of several ROC curves at equal false positive rate.

    Attributes:
        false_positive: rate, ascending, ``(m,)``; each rate stands twice, so that steps stay steps.
        true_positive: mean rate, ``(m,)``.
        low: mean less one standard deviation between the curves (n - 1), not below 0, ``(m,)``.
        high: mean and one standard deviation, not above 1, ``(m,)``.
        auc: area under the mean, equal to the mean of the areas.
        auc_sd: standard deviation of the areas (n - 1); 0 for a single curve.
        curves: how many were averaged.
    """

    false_positive: Values
    true_positive: Values
    low: Values
    high: Values
    auc: float
    auc_sd: float
    curves: int


def binary_roc(labels: ArrayLike, scores: ArrayLike) -> Roc:
    """The ROC curve of one score.

    Args:
        labels: 1 for the positive cases, 0 for the others, ``(n,)``.
        scores: higher means more likely positive, ``(n,)``.

    Returns:
        A :class:`Roc`; points on a straight line are left out.

    Raises:
        DataError: lengths that differ, scores that are not finite, or one class only.

    Source: ``sklearn.metrics.roc_curve`` and ``roc_auc_score``.
    """
    positive, values = binary_scores(labels, scores)
    false_positive, true_positive, _ = sklearn_roc_curve(positive, values)
    return Roc(
        np.asarray(false_positive, dtype=np.float64),
        np.asarray(true_positive, dtype=np.float64),
        float(roc_auc_score(positive, values)),
    )


def class_rocs(
    labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None = None
) -> list[Roc]:
    """The ROC curve of each class against the rest.

    Args:
        labels: true class number of each case, ``(n,)``.
        probabilities: ``(n, k)``; rows sum to 1.
        names: of the classes, for the message.

    Returns:
        One :class:`Roc` a class.

    Raises:
        DataError: probabilities that do not sum to 1, or a class without a case.
    """
    table, truth = class_probabilities(probabilities, labels)
    every_class_present(truth, table.shape[1], names)
    return [binary_roc(truth == k, table[:, k]) for k in range(table.shape[1])]


def micro_roc(labels: ArrayLike, probabilities: ArrayLike) -> Roc:
    """The ROC curve of all (case, class) decisions together: large classes weigh more.

    Args:
        labels: true class number of each case, ``(n,)``.
        probabilities: ``(n, k)``; rows sum to 1.

    Returns:
        A :class:`Roc`.

    Raises:
        DataError: probabilities that do not sum to 1, or labels that do not fit them.
    """
    table, truth = class_probabilities(probabilities, labels)
    hits = truth[:, None] == np.arange(table.shape[1])
    return binary_roc(hits.ravel(), table.ravel())


def macro_roc(
    labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None = None
) -> MeanRoc:
    """The mean of the classes' ROC curves: each class weighs the same.

    Args:
        labels: true class number of each case, ``(n,)``.
        probabilities: ``(n, k)``; rows sum to 1.
        names: of the classes, for the message.

    Returns:
        A :class:`MeanRoc`; its area is scikit-learn's macro one-vs-rest AUC.

    Raises:
        DataError: as :func:`class_rocs`.
    """
    return mean_roc(class_rocs(labels, probabilities, names))


def mean_roc(curves: Sequence[Roc | MeanRoc]) -> MeanRoc:
    """The mean of ROC curves, as over folds, with a band of one standard deviation.

    The mean is vertical (Fawcett 2006), exact at every step of every curve: no grid of false
    positive rates is chosen, so the area under the mean is the mean of the areas.

    Args:
        curves: one or more.

    Returns:
        A :class:`MeanRoc`.

    Raises:
        DataError: no curve.
    """
    if not curves:
        msg = "curves is empty: the mean of no ROC curve does not exist"
        raise DataError(msg)
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

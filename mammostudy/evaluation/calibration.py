"""Whether probabilities mean what they say: calibration error, Brier score, temperature."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mammostudy.errors import DataError
from mammostudy.evaluation.checks import class_labels, class_probabilities
from mammostudy.evaluation.proportions import wilson_interval

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]
COOLEST, HOTTEST = 0.01, 100.0
"""Ends of the temperatures that :func:`fit_temperature` looks at."""


def reliability_table(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> pd.DataFrame:
    """Confidence against accuracy in bins of confidence: the reliability diagram as a table.

    The confidence of a case is its largest probability; it is right if that class is the true one
    (the first of equal ones). Bins are equally wide and open below, ``(low, high]``.

    Args:
        probabilities: ``(n, k)``; rows sum to 1.
        labels: true class number of each case, ``(n,)``.
        bins: number of bins between 0 and 1.

    Returns:
        One row for each bin with a case: low, high (ends of the bin), cases, confidence (mean),
        accuracy, accuracy_low, accuracy_high (Wilson, 95 %).

    Raises:
        DataError: probabilities that do not sum to 1, labels that do not fit, or ``bins`` < 1.
    """
    if bins < 1:
        msg = f"bins = {bins}: at least one bin needed"
        raise DataError(msg)
    table, truth = class_probabilities(probabilities, labels)
    confidence, right = table.max(axis=1), table.argmax(axis=1) == truth
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    cases = np.bincount(place, minlength=bins)
    used = np.flatnonzero(cases)
    hits = np.bincount(place, weights=right, minlength=bins)[used]
    total = np.bincount(place, weights=confidence, minlength=bins)[used]
    low, high = wilson_interval(hits, cases[used])
    return pd.DataFrame(
        {
            "low": edges[used],
            "high": edges[used + 1],
            "cases": cases[used],
            "confidence": total / cases[used],
            "accuracy": hits / cases[used],
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over bins, weighted by their cases (top label).

    It falls with fewer bins and rises by chance with few cases: compare only equal numbers.

    Args:
        probabilities: ``(n, k)``; rows sum to 1.
        labels: true class number of each case, ``(n,)``.
        bins: number of bins between 0 and 1.

    Returns:
        The error, in [0, 1].

    Raises:
        DataError: as :func:`reliability_table`.

    Source: Naeini et al. 2015; Guo et al. 2017 (their 15 bins).
    """
    table = reliability_table(probabilities, labels, bins)
    gap = (table["accuracy"] - table["confidence"]).abs().to_numpy(dtype=np.float64)
    return float(np.average(gap, weights=table["cases"].to_numpy(dtype=np.float64)))


def brier_score(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Brier's score of several classes: squared error summed over classes, mean over cases.

    Args:
        probabilities: ``(n, k)``; rows sum to 1.
        labels: true class number of each case, ``(n,)``.

    Returns:
        The score, in [0, 2]; 0 is best, ``1 - 1/k`` is what equal probabilities get. With two
        classes it is twice the usual binary score.

    Raises:
        DataError: probabilities that do not sum to 1, or labels that do not fit.

    Source: Brier 1950.
    """
    table, truth = class_probabilities(probabilities, labels)
    error = table - np.eye(table.shape[1])[truth]
    return float((error**2).sum(axis=1).mean())


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that makes softmax(logits / temperature) most likely.

    Fit it on validation cases, never on those it is judged on. It changes no prediction.

    Args:
        logits: ``(n, k)``, before the softmax.
        labels: true class number of each case, ``(n,)``.

    Returns:
        The temperature, within [0.01, 100]; above 1 the network was too sure. Where no case is
        wrong the likelihood grows for ever towards 0 and says nothing: 1 is returned, the
        network's own probabilities. Where logits are worse than chance it is the upper end.

    Raises:
        DataError: logits that are not ``(n, k)`` or not finite, or labels that do not fit.

    Source: Guo et al. 2017.
    """
    values, truth = _checked_logits(logits), class_labels(labels, np.shape(logits)[1])
    if len(values) != len(truth):
        msg = f"{len(values)} rows of logits and {len(truth)} labels: one of each a case needed"
        raise DataError(msg)

    others = np.where(np.eye(values.shape[1])[truth] > 0, -np.inf, values).max(axis=1)
    if (values[np.arange(len(truth)), truth] > others).all():
        return 1.0

    def surprise(log_temperature: float) -> float:
        likelihood = log_softmax(values * np.exp(-log_temperature), axis=1)
        return -float(likelihood[np.arange(len(truth)), truth].mean())

    ends = (np.log(COOLEST), np.log(HOTTEST))
    best = minimize_scalar(surprise, bounds=ends, method="bounded", options={"xatol": 1e-6})
    lowest = min((float(best.x), *ends), key=surprise)
    return float(np.clip(np.exp(lowest), COOLEST, HOTTEST))


def apply_temperature(logits: ArrayLike, temperature: float = 1.0) -> Values:
    """Probabilities ``softmax(logits / temperature)``.

    Args:
        logits: ``(n, k)``, before the softmax.
        temperature: above 0; 1 leaves the network's own probabilities.

    Returns:
        float64 ``(n, k)``; rows sum to 1.

    Raises:
        DataError: logits that are not ``(n, k)`` or not finite, or a temperature of 0 or less.
    """
    if not 0 < temperature < np.inf:
        msg = f"temperature = {temperature}: it must be a number above 0"
        raise DataError(msg)
    return np.asarray(softmax(_checked_logits(logits) / temperature, axis=1), dtype=np.float64)


def _checked_logits(logits: ArrayLike) -> Values:
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        msg = f"logits of shape {values.shape}: (cases, classes) with two classes or more needed"
        raise DataError(msg)
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        msg = f"logits[{at}] = {values[at].tolist()} are not finite: did the training diverge?"
        raise DataError(msg)
    return values

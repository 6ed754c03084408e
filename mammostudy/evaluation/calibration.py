"""Class numbers and probabilities, and whether they mean what they say: calibration error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mammostudy.errors import DataError
from mammostudy.evaluation.statistics import Values, wilson_interval

Labels = NDArray[np.int64]
TOLERANCE = 1e-4
"""How far the probabilities of a case may sum from 1 (float32 softmax stays within 1e-6)."""
COOLEST, HOTTEST = 0.01, 100.0
"""Ends of the temperatures that :func:`fit_temperature` looks at."""


def class_labels(labels: ArrayLike, classes: int) -> Labels:
    """Labels as int64 ``(n,)`` in ``0 .. classes - 1``; others are refused."""
    raw = np.asarray(labels)
    known = raw.ndim == 1 and raw.size and raw.dtype.kind in "biuf"
    if not known or not np.isin(raw, range(classes)).all():
        msg = f"labels must be class numbers 0 to {classes - 1}, one a case: map names to numbers"
        raise DataError(msg)
    return raw.astype(np.int64)


def class_probabilities(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Values, Labels]:
    """Probabilities float64 ``(n, k)`` and labels int64 ``(n,)`` that fit each other."""
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or len(table) != np.size(labels):
        msg = f"probabilities of shape {table.shape} for {np.size(labels)} labels: (cases, classes)"
        raise DataError(msg)
    good = ((table >= 0) & (table <= 1)).all(axis=1) & (abs(table.sum(axis=1) - 1) <= TOLERANCE)
    if not good.all():
        at = int(np.flatnonzero(~good)[0])
        msg = (
            f"probabilities[{at}] = {table[at].tolist()} leaves [0, 1] or does not sum to 1: "
            "apply softmax to logits first"
        )
        raise DataError(msg)
    return table, class_labels(labels, table.shape[1])


def top_confusions(counts: ArrayLike, most: int = 3) -> list[tuple[int, int, int]]:
    """The commonest mistakes in a confusion matrix ``(k, k)``, rows truth.

    Returns:
        (truth, predicted, count), largest count first, in row order where equal; no zeros.
    """
    matrix = np.array(counts, dtype=np.int64)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    places = (divmod(int(at), matrix.shape[1]) for at in order)
    return [
        (row, column, int(matrix[row, column])) for row, column in places if matrix[row, column]
    ]


def binned_shares(
    scores: Values, right: Sequence[bool] | NDArray[np.bool_], bins: int
) -> pd.DataFrame:
    """Mean score against share that is right, in bins ``(low, high]`` of equal width.

    Returns:
        One row for each bin with a case: low, high (ends of the bin), cases, mean, share,
        share_low, share_high (Wilson, 95 %).
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    cases = np.bincount(place, minlength=bins)
    used = np.flatnonzero(cases)
    hits = np.bincount(place, weights=right, minlength=bins)[used]
    total = np.bincount(place, weights=scores, minlength=bins)[used]
    low, high = wilson_interval(hits, cases[used])
    return pd.DataFrame(
        {
            "low": edges[used],
            "high": edges[used + 1],
            "cases": cases[used],
            "mean": total / cases[used],
            "share": hits / cases[used],
            "share_low": low,
            "share_high": high,
        }
    )


def reliability_table(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> pd.DataFrame:
    """Confidence against accuracy in bins of confidence: the reliability diagram as a table.

    The confidence of a case is its largest probability; it is right if that class is the true one
    (the first of equal ones). Bins are equally wide and open below, ``(low, high]``.

    Returns:
        One row for each bin with a case: low, high (ends of the bin), cases, confidence (mean),
        accuracy, accuracy_low, accuracy_high (Wilson, 95 %).
    """
    if bins < 1:
        msg = f"bins = {bins}: at least one bin needed"
        raise DataError(msg)
    table, truth = class_probabilities(probabilities, labels)
    found = binned_shares(table.max(axis=1), table.argmax(axis=1) == truth, bins)
    names = {str(name): str(name).replace("share", "accuracy") for name in found}
    return found.rename(columns=names | {"mean": "confidence"})


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
        DataError: probabilities that do not sum to 1, labels that do not fit, or ``bins`` < 1.

    Source: Naeini et al. 2015; Guo et al. 2017 (their 15 bins).
    """
    table = reliability_table(probabilities, labels, bins)
    return float(
        np.average((table["accuracy"] - table["confidence"]).abs(), weights=table["cases"])
    )


def brier_score(probabilities: Values, labels: Labels) -> float:
    """Brier's score of several classes: squared error summed over classes, mean over cases.

    It lies in [0, 2]; 0 is best, ``1 - 1/k`` is what equal probabilities get. With two classes it
    is twice the usual binary score.

    Source: Brier 1950.
    """
    error = probabilities - np.eye(probabilities.shape[1])[labels]
    return float((error**2).sum(axis=1).mean())


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that makes softmax(logits / temperature) most likely.

    Fit it on validation cases, never on those it is judged on. It changes no prediction. Logits
    are ``(n, k)``, labels class numbers ``(n,)``.

    Returns:
        The temperature, within [0.01, 100]; above 1 the network was too sure. Where no case is
        wrong the likelihood grows for ever towards 0 and says nothing: 1 is returned, the
        network's own probabilities. Where logits are worse than chance it is the upper end.

    Source: Guo et al. 2017.
    """
    values, truth = _finite(logits), np.asarray(labels)
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
    return np.asarray(softmax(_finite(logits) / temperature, axis=1), dtype=np.float64)


def _finite(logits: ArrayLike) -> Values:
    values = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        msg = f"logits[{at}] = {values[at].tolist()} are not finite: did the training diverge?"
        raise DataError(msg)
    return values

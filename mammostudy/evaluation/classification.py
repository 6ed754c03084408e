"""Confusion matrices and the scores read from them; rows are truth, columns are predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import cohen_kappa_score, f1_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from mammostudy.errors import DataError
from mammostudy.evaluation.checks import class_labels
from mammostudy.evaluation.proportions import wilson_interval

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ConfusionScores:
    """What one confusion matrix says.

    Attributes:
        cases: number of cases.
        accuracy: share of cases on the diagonal: each case counts the same.
        macro_recall: mean of the class recalls: each class counts the same. It is what the paper
            prints as overall accuracy (79.97 % against an accuracy of 75.7 %).
        macro_f1: mean of the classes' F1; a class that is never predicted has F1 0.
        kappa: Cohen's kappa, unweighted; NaN where all cases are of one class and predicted so.
    """

    cases: int
    accuracy: float
    macro_recall: float
    macro_f1: float
    kappa: float


@dataclass(frozen=True)
class Recalls:
    """Recall of each class with Wilson's interval; all arrays ``(k,)``.

    Attributes:
        cases: true cases of the class.
        correct: of these, how many were predicted as such.
        recall: ``correct / cases``.
        low: lower end of the interval.
        high: upper end of it.
    """

    cases: Counts
    correct: Counts
    recall: Values
    low: Values
    high: Values


def confusion_counts(labels: ArrayLike, predicted: ArrayLike, classes: int) -> Counts:
    """Count truth against prediction.

    Args:
        labels: true class number of each case, ``(n,)``.
        predicted: predicted class number of each case, ``(n,)``.
        classes: number of classes; a class that occurs nowhere keeps its row and column.

    Returns:
        int64 ``(classes, classes)``: rows truth, columns prediction.

    Raises:
        DataError: lengths that differ, or numbers that are no class.
    """
    truth = class_labels(labels, classes)
    guess = class_labels(predicted, classes, "predicted")
    if truth.shape != guess.shape:
        msg = f"{truth.size} labels and {guess.size} predicted: one of each a case needed"
        raise DataError(msg)
    counts = sklearn_confusion_matrix(truth, guess, labels=range(classes))
    return np.asarray(counts, dtype=np.int64)


def row_normalised(counts: ArrayLike, names: Sequence[str] | None = None) -> Values:
    """Divide each row of a confusion matrix by its total: the diagonal is the recall.

    Args:
        counts: ``(k, k)``, rows truth.
        names: of the classes, for the message.

    Returns:
        float64 ``(k, k)``; every row sums to 1.

    Raises:
        DataError: not a square matrix of counts, or a class without a case.
    """
    matrix = _checked(counts, names)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float64)


def class_recalls(
    counts: ArrayLike, level: float = 0.95, names: Sequence[str] | None = None
) -> Recalls:
    """Recall of each class, with Wilson's interval over cases.

    Args:
        counts: ``(k, k)``, rows truth.
        level: coverage of the interval.
        names: of the classes, for the message.

    Returns:
        A :class:`Recalls`. Where patients have several cases, give the interval of
        :func:`~mammostudy.evaluation.bootstrap_ci` over the class's cases beside it.

    Raises:
        DataError: as :func:`row_normalised`.
    """
    matrix = _checked(counts, names)
    cases, correct = matrix.sum(axis=1), np.diagonal(matrix)
    low, high = wilson_interval(correct, cases, level)
    return Recalls(cases, correct, np.asarray(correct / cases, dtype=np.float64), low, high)


def score_confusion(counts: ArrayLike, names: Sequence[str] | None = None) -> ConfusionScores:
    """Accuracy, macro recall, macro F1 and kappa of a confusion matrix.

    Args:
        counts: ``(k, k)``, rows truth.
        names: of the classes, for the message.

    Returns:
        A :class:`ConfusionScores`.

    Raises:
        DataError: as :func:`row_normalised`.
    """
    matrix = _checked(counts, names)
    truth, predicted = (axis.ravel() for axis in np.indices(matrix.shape))
    weight = matrix.ravel()
    f1 = f1_score(truth, predicted, average="macro", sample_weight=weight, zero_division=0)
    one_class = matrix.sum() == np.trace(matrix) and np.count_nonzero(np.diagonal(matrix)) == 1
    kappa = np.nan if one_class else cohen_kappa_score(truth, predicted, sample_weight=weight)
    return ConfusionScores(
        cases=int(matrix.sum()),
        accuracy=float(np.trace(matrix) / matrix.sum()),
        macro_recall=float(np.mean(np.diagonal(matrix) / matrix.sum(axis=1))),
        macro_f1=float(f1),
        kappa=float(kappa),
    )


def top_confusions(counts: ArrayLike, most: int = 3) -> list[tuple[int, int, int]]:
    """The commonest mistakes.

    Args:
        counts: ``(k, k)``, rows truth.
        most: how many to give at most.

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


def _checked(counts: ArrayLike, names: Sequence[str] | None) -> Counts:
    """Return the counts as int64, or say what is wrong with them."""
    raw = np.asarray(counts)
    if raw.ndim != 2 or raw.shape[0] != raw.shape[1] or len(raw) < 2:
        msg = f"counts of shape {raw.shape}: a square confusion matrix of 2 classes or more needed"
        raise DataError(msg)
    matrix = raw.astype(np.int64)
    if not np.array_equal(matrix, raw) or (matrix < 0).any():
        msg = "counts of the confusion matrix must be whole numbers, 0 or more, not shares"
        raise DataError(msg)
    empty = np.flatnonzero(matrix.sum(axis=1) == 0)
    if empty.size:
        missing = ", ".join(str(at) if names is None else names[int(at)] for at in empty)
        msg = (
            f"counts hold no case of class {missing}: its recall does not exist; pool the folds, "
            "stratify the split, or leave the class out and say so"
        )
        raise DataError(msg)
    return matrix

"""What labels, scores and probabilities must be before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError

Values = NDArray[np.float64]
Labels = NDArray[np.int64]
TOLERANCE = 1e-4
"""How far the probabilities of a case may sum from 1 (float32 softmax stays within 1e-6)."""


def class_labels(labels: ArrayLike, classes: int, field: str = "labels") -> Labels:
    """Return labels as int64 ``(n,)`` in ``0 .. classes - 1``.

    Args:
        labels: one class number a case.
        classes: how many classes there are.
        field: what the labels are called in the message.

    Raises:
        DataError: none, not one a case, not whole numbers, or a class that does not exist.
    """
    raw = np.asarray(labels)
    if raw.ndim != 1 or not raw.size:
        msg = f"{field} of shape {raw.shape}: one class number a case needed, at least one"
        raise DataError(msg)
    if raw.dtype.kind not in "biuf" or not np.all(np.equal(np.mod(raw, 1), 0)):
        msg = f"{field} must be class numbers 0 to {classes - 1}: map names to numbers first"
        raise DataError(msg)
    numbers: Labels = raw.astype(np.int64)
    outside = np.flatnonzero((numbers < 0) | (numbers >= classes))
    if outside.size:
        at = int(outside[0])
        msg = f"{field}[{at}] is {numbers[at]}: with {classes} classes use 0 to {classes - 1}"
        raise DataError(msg)
    return numbers


def every_class_present(
    labels: Labels, classes: int, names: Sequence[str] | None = None, field: str = "labels"
) -> None:
    """Refuse labels in which a class has no case: its recall and its ROC do not exist.

    Args:
        labels: int64 ``(n,)``.
        classes: how many classes there should be.
        names: of the classes, for the message.
        field: what the labels are called in the message.

    Raises:
        DataError: a class has no case; the message names all such classes.
    """
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        missing = ", ".join(_name(int(at), names) for at in np.flatnonzero(counts == 0))
        msg = (
            f"{field} hold no case of class {missing}: pool the folds, stratify the split, "
            "or leave the class out and say so"
        )
        raise DataError(msg)


def _name(number: int, names: Sequence[str] | None) -> str:
    return str(number) if names is None else names[number]


def class_probabilities(
    probabilities: ArrayLike, labels: ArrayLike, field: str = "probabilities"
) -> tuple[Values, Labels]:
    """Return probabilities float64 ``(n, k)`` and labels int64 ``(n,)`` that fit each other.

    Args:
        probabilities: one row a case, one column a class; rows sum to 1.
        labels: the true class of each case.
        field: what the probabilities are called in the message.

    Raises:
        DataError: not ``(n, k)`` with two classes or more, another number of labels, values
            outside [0, 1] or rows that do not sum to 1.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or len(table) != np.size(labels):
        msg = (
            f"{field} of shape {table.shape} for {np.size(labels)} labels: "
            "(cases, classes) with two classes or more needed"
        )
        raise DataError(msg)
    if not ((table >= 0) & (table <= 1)).all():
        at = int(np.flatnonzero(~((table >= 0) & (table <= 1)).all(axis=1))[0])
        msg = f"{field}[{at}] = {table[at].tolist()} leaves [0, 1]: apply softmax to logits first"
        raise DataError(msg)
    off = np.flatnonzero(np.abs(table.sum(axis=1) - 1) > TOLERANCE)
    if off.size:
        at = int(off[0])
        msg = (
            f"{field}[{at}] sums to {table[at].sum():.6g}, not 1: "
            "apply softmax to logits, or divide each row by its sum"
        )
        raise DataError(msg)
    return table, class_labels(labels, table.shape[1])


def binary_scores(
    labels: ArrayLike, scores: ArrayLike, field: str = "scores"
) -> tuple[NDArray[np.bool_], Values]:
    """Return labels bool ``(n,)`` and scores float64 ``(n,)`` of which an ROC can be made.

    Args:
        labels: 1 or True for the positive cases, 0 or False for the others.
        scores: higher means more likely positive.
        field: what the scores are called in the message.

    Raises:
        DataError: other labels, lengths that differ, a score that is not finite, or only one
            class among the labels.
    """
    numbers = class_labels(labels, 2)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != numbers.shape:
        msg = f"{field} of shape {values.shape} for {numbers.size} labels: one score a case needed"
        raise DataError(msg)
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        msg = f"{field}[{at}] is {values[at]}: give every case a finite score"
        raise DataError(msg)
    if numbers.min() == numbers.max():
        msg = (
            f"labels are all {numbers[0]}: an ROC needs positive and negative cases; "
            "pool the folds or stratify the split"
        )
        raise DataError(msg)
    return numbers == 1, values

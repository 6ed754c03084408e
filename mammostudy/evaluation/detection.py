"""What a detector did beside its FROC curve: average precision, errors of boxes, its scores.

Average precision is counted as COCO does (Lin et al. 2014): a second box on a found mass is a false
positive, and precision is made falling before it is sampled at 101 recalls. One thing is otherwise:
boxes of equal score enter together, where COCO takes them in the order given, so that a detector
with few scores gets nothing by luck of order. Without ties the numbers are COCO's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import FALSE, Matches
from mammostudy.evaluation.classification import binned_shares
from mammostudy.evaluation.froc_curves import (
    Ladder,
    froc_of,
    ladder_of,
    quotients,
    resample_ladders,
    two_sided_p,
)
from mammostudy.evaluation.statistics import Patients, Times, Values, bootstrap_ci, limits

RECALLS = np.linspace(0.0, 1.0, 101)


def precision_recall(matches: Matches) -> pd.DataFrame:
    """Columns thresholds (descending), precision and recall, a row a distinct score."""
    curve = froc_of(matches)
    hits = curve.sensitivity[1:] * len(matches.true_boxes)
    counted = hits + curve.false_positives_per_image[1:] * matches.images
    columns = {"thresholds": curve.thresholds[1:], "precision": hits / counted}
    return pd.DataFrame(columns | {"recall": curve.sensitivity[1:]})


@dataclass(frozen=True)
class BoxPrecision:
    """Average precision at one or several thresholds of IoU."""

    value: float  # mean over the thresholds
    by_threshold: Values  # one a threshold, (t,)
    matches: tuple[Matches, ...]  # at each threshold; the bootstrap draws patients from them


def precision_of(matches: Sequence[Matches]) -> BoxPrecision:
    """Average precision of matches by IoU, one a threshold, repeats counted as false positives."""
    if not all(one.rule == "iou" and one.repeats == "false_positive" for one in matches):
        msg = "average precision needs matches by iou with repeats='false_positive'"
        raise DataError(msg)
    once = np.ones((1, 1), dtype=np.int64)
    ladders = [ladder_of(one, np.zeros(one.images, np.intp)) for one in matches]
    found = np.array([ladder_precisions(ladder, once)[0] for ladder in ladders])
    return BoxPrecision(float(found.mean()), found, tuple(matches))


def ladder_precisions(ladder: Ladder, times: Times) -> Values:
    """Average precision of resamples ``(draws, patients)``; NaN where a draw has no mass."""
    weights = times.astype(np.float64)
    hits, masses = weights @ ladder.hits, weights @ ladder.masses
    if not hits.shape[1]:
        return np.where(masses > 0, 0.0, np.nan)
    total = hits + weights @ ladder.false
    precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = np.nan_to_num(quotients(hits, masses[:, None]))
    sampled = np.searchsorted(RECALLS, recall, side="right")
    weight = np.diff(sampled, axis=1, prepend=0)
    return np.where(masses > 0, (envelope * weight).sum(axis=1) / len(RECALLS), np.nan)


def average_precision_ci(
    precision: BoxPrecision, patients: Patients, draws: int = 2_000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of an average precision over the patients of the images."""
    found = resample_ladders([precision.matches], patients, ladder_precisions, draws, seed)[0]
    return limits(found)


def average_precision_difference(
    a: BoxPrecision, b: BoxPrecision, patients: Patients, draws: int = 2_000, seed: int = 0
) -> pd.DataFrame:
    """Average precision of a less b on the same resamples: difference, low, high, p (two-sided)."""
    both = [a.matches, b.matches]
    first, second = resample_ladders(both, patients, ladder_precisions, draws, seed)
    low, high = limits(first - second)
    p = two_sided_p((first - second)[:, None])
    return pd.DataFrame({"difference": [a.value - b.value], "low": low, "high": high, "p": p})


def error_summary(
    masses: pd.DataFrame,
    patients: Patients,
    errors: Sequence[str],
    draws: int = 2_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean errors of the boxes of found masses, with 95 % intervals over patients.

    Masses have a column ``found``, at least once true, and the errors. Missed ones do not enter:
    two detectors that find different masses are not compared by this table. The mean of a signed
    error is its bias; ``mean_absolute`` its size.
    """
    found = masses["found"].to_numpy(dtype=np.bool_)
    names = np.asarray(patients)[found]
    rows = []
    for error in errors:
        values = masses.loc[found, error].to_numpy(dtype=np.float64)
        low, high = bootstrap_ci(values, names, draws=draws, seed=seed)
        middle, size = float(np.median(values)), float(np.abs(values).mean())
        rows.append((error, len(values), float(values.mean()), low, high, middle, size))
    columns = ["error", "masses", "mean", "low", "high", "median", "mean_absolute"]
    return pd.DataFrame(rows, columns=columns)


def score_reliability(matches: Matches, bins: int = 10) -> pd.DataFrame:
    """Score against the share of boxes that are a mass: low, high, boxes, score, share, share_*.

    A box is a mass if it fits one by the rule of the matches, so that a repeat on a found mass is
    one too. Scores lie in [0, 1]; a row is a bin ``(low, high]`` that has a box; Wilson's interval
    takes boxes as independent.
    """
    table = binned_shares(matches.scores, matches.outcome != FALSE, bins)
    return table.rename(columns={"cases": "boxes", "mean": "score"})

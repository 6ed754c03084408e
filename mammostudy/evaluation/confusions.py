"""Scores of a confusion matrix with intervals over patients: all masks of a patient go together.

A patient's matrix has a last column for masks of which nothing was left to classify: they count as
wrong. Macro scores are means over the classes that a resample holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.evaluation.statistics import Times, Values, resample, smallest_detectable

MISSED: Final = "none"
_DRAWS: Final = 5_000


def patient_confusions(rows: pd.DataFrame, classes: Sequence[str]) -> Values:
    """Count truth against prediction in each patient, ordered by name: ``(patients, k, k + 1)``.

    Rows are masks: patient, label, predicted (a class, or ``none`` where missed: last column).
    """
    names = (*classes, MISSED)
    if unknown := (set(rows["label"]) - set(classes)) | (set(rows["predicted"]) - set(names)):
        msg = f"class {sorted(map(str, unknown))[0]!r} is none of {', '.join(classes)}"
        raise DataError(msg)
    number = {name: at for at, name in enumerate(names)}
    codes, patients = pd.factorize(rows["patient"], sort=True)
    counts = np.zeros((len(patients), len(classes), len(names)))
    np.add.at(counts, (codes, rows["label"].map(number), rows["predicted"].map(number)), 1)
    return counts


def confusion_intervals(counts: Values, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Score confusion matrices of patients: (value, low, high), 95 % intervals over patients.

    Accuracy, macro recall, macro F1 and kappa, then ``recall k`` of each class by its number.
    Missing: the recall of a class without a mask, and the ends where a single patient stands
    behind a score.
    """
    value, drawn = _scores(counts.sum(axis=0)[None]), _scores(_resampled(counts, seed))
    behind = dict.fromkeys(value, len(counts))
    behind |= {f"recall {k}": int(n) for k, n in enumerate(counts.any(axis=2).sum(axis=0))}
    return {name: (float(value[name][0]), *_interval(drawn[name], behind[name])) for name in value}


def macro_recall_test(a: Values, b: Values, seed: int = 0) -> dict[str, float]:
    """Compare the macro recalls of two classifiers of the same masks, ``a`` minus ``b``.

    The same patients are drawn for both; p is of swapping whole patients' predictions at random.
    """
    gap = _macro(a.sum(axis=0)[None]) - _macro(b.sum(axis=0)[None])
    drawn = _macro(_resampled(a, seed)) - _macro(_resampled(b, seed))
    low, high = _interval(drawn, len(a))
    swap = np.random.default_rng(seed).integers(0, 2, (_DRAWS, len(a))).astype(np.float64)
    first = np.tensordot(swap, a, 1) + np.tensordot(1 - swap, b, 1)
    chance = _macro(first) - _macro((a + b).sum(axis=0) - first)
    as_large = int((np.abs(chance) >= abs(gap[0]) - 1e-12).sum())
    return {
        "difference": float(gap[0]),
        "low": low,
        "high": high,
        "p": (1 + as_large) / (1 + _DRAWS),
        "smallest_detectable": smallest_detectable(float(drawn.std())),
    }


def _resampled(counts: Values, seed: int) -> Values:
    """Return the summed counts of resamples of patients, ``(draws, k, k + 1)``."""

    def summed(times: Times) -> Values:
        return np.tensordot(times.astype(np.float64), counts, axes=1)

    return resample(summed, len(counts), _DRAWS, seed, multinomial=True)


def _recalls(matrices: Values) -> Values:
    """Return the recall of each class, ``(m, k)``; missing for a class that is not there."""
    cases, hits = matrices.sum(axis=2), np.diagonal(matrices, axis1=1, axis2=2)
    missing = np.full(hits.shape, np.nan)
    return np.asarray(np.divide(hits, cases, out=missing, where=cases > 0), dtype=np.float64)


def _macro(matrices: Values) -> Values:
    return np.asarray(np.nanmean(_recalls(matrices), axis=1), dtype=np.float64)


def _scores(matrices: Values) -> dict[str, Values]:
    """Return the scores of confusion matrices ``(m, k, k + 1)``, each ``(m,)``."""
    k, total = matrices.shape[1], matrices.sum(axis=(1, 2))
    hits, truth = np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=2)
    guessed = matrices.sum(axis=1)[:, :k]
    accuracy, recalls = hits.sum(axis=1) / total, _recalls(matrices)
    missing = np.full(hits.shape, np.nan)
    f1 = np.divide(2 * hits, truth + guessed, out=missing, where=truth > 0)
    chance = (truth * guessed).sum(axis=1) / total**2
    kappa = np.divide(
        accuracy - chance, 1 - chance, out=np.full_like(chance, np.nan), where=chance < 1
    )
    macro = np.nanmean(recalls, axis=1), np.nanmean(f1, axis=1)
    found = dict(zip(("macro recall", "macro F1"), macro, strict=True))
    found = {"accuracy": accuracy, **found, "kappa": kappa}
    found |= {f"recall {at}": recalls[:, at] for at in range(k)}
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def _interval(drawn: Values, patients: int) -> tuple[float, float]:
    """Return the ends of the percentile interval; missing where a single patient stands behind."""
    if patients < 2 or np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)

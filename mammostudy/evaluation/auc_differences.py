"""How far two AUCs of the same cases lie apart, with patients as the unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.delong import (
    _CHUNK,
    _check_level,
    _one_vs_rest,
    _patient_codes,
    _two_patients_each,
    _weighted_aucs,
)
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]


def auc_difference_ci(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    patients: Patients,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Difference of two AUCs with its percentile bootstrap interval over patients.

    Both AUCs are taken of the same resamples, so that what the cases have in common cancels. A
    draw in which a class has no case is drawn again.

    Args:
        labels: 0 or 1 for ``(n,)`` scores; class numbers for ``(n, k)`` probabilities.
        scores_a: ``(n,)`` for one AUC, or ``(n, k)`` for the macro one-vs-rest AUC.
        scores_b: the other scores of the same cases, of the same shape.
        patients: the patient of each case, ``(n,)``.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        (AUC of a minus AUC of b, low, high).

    Raises:
        DataError: as :func:`~mammostudy.evaluation.delong.auc_bootstrap_ci`, or scores of
            different shapes.
    """
    _check_level(level)
    if np.shape(scores_a) != np.shape(scores_b):
        msg = (
            f"scores_a of shape {np.shape(scores_a)}, scores_b of shape {np.shape(scores_b)}: "
            "score the same cases and classes"
        )
        raise DataError(msg)
    if draws < 1:
        msg = f"draws = {draws}: at least 1 resample needed"
        raise DataError(msg)
    hits, a = _one_vs_rest(labels, scores_a)
    _, b = _one_vs_rest(labels, scores_b)
    codes, count = _patient_codes(patients, len(hits))
    _two_patients_each(hits, codes)

    def gaps(times: Values) -> Values:
        found: Values = _weighted_aucs(hits, a, times) - _weighted_aucs(hits, b, times)
        return found

    rng = np.random.default_rng(seed)
    kept: list[Values] = []
    while sum(len(part) for part in kept) < draws:
        drawn = rng.integers(0, count, (_CHUNK, count))
        times = np.stack([np.bincount(row, minlength=count)[codes] for row in drawn])
        part = gaps(times.astype(np.float64))
        kept.append(part[np.isfinite(part)])
    ends = [50 * (1 - level), 50 * (1 + level)]
    low, high = np.percentile(np.concatenate(kept)[:draws], ends)
    return float(gaps(np.ones((1, len(hits))))[0]), float(low), float(high)

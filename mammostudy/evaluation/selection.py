"""Does an uncertainty know where the error is: rank correlation, and risk against coverage.

A *score* is one number a case, higher for the less certain; an *error* is one number a case that
ought to be small (1 - Dice). Refusing the least certain cases should lower the mean error of the
rest: the risk-coverage curve shows by how much, between an order that knows the errors and one
drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.resampling import (
    CHUNK,
    Patients,
    Values,
    clusters,
    percentile_limits,
    times_drawn,
)

VERSION = 1
"""Recipe version: raised by hand whenever a change here moves a number."""


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation of score and error.

    Attributes:
        rho: over cases; 0 where the score or the error is the same in all of them.
        low: lower end of the bootstrap interval over patients.
        high: upper end of it.
        cases: number of cases.
        patients: number of patients.
    """

    rho: float
    low: float
    high: float
    cases: int
    patients: int


@dataclass(frozen=True)
class RiskCoverage:
    """The mean error of the most certain cases, for every number of them.

    Attributes:
        coverage: share of cases kept, ascending from 1/n to 1, ``(n,)``.
        risk: mean error of the cases kept, ``(n,)``.
        oracle: the same where the cases of least error are kept first, ``(n,)``.
        area: mean risk over coverages (AURC).
        oracle_area: the same of the oracle: no score has less.
        random_area: of an order drawn at random: the mean error.
    """

    coverage: Values
    risk: Values
    oracle: Values
    area: float
    oracle_area: float
    random_area: float

    @property
    def gain(self) -> float:
        """Share of the way from a random order to the oracle: 1 knows all, 0 nothing.

        It is negative where the score misleads, and 0 where all errors are equal.
        """
        room = self.random_area - self.oracle_area
        return (self.random_area - self.area) / room if room > 0 else 0.0


def rank_correlation(
    scores: ArrayLike,
    errors: ArrayLike,
    patients: Patients,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's rank correlation of score and error, with an interval over patients.

    Args:
        scores: one finite number a case, ``(n,)``.
        errors: one finite number a case, ``(n,)``.
        patients: the patient of each case, ``(n,)``; all cases of a drawn patient enter together.
        draws: number of resamples.
        level: coverage of the interval, between 0 and 1.
        seed: of the resampling.

    Returns:
        A :class:`RankCorrelation`.

    Raises:
        DataError: fewer than two cases, a value that is not finite, lengths that differ, a missing
            patient, or ``draws`` or ``level`` out of range.
    """
    _check_draws(draws, level)
    pair = _pair(scores, errors)
    codes, count = _codes(pair, patients)
    once = np.ones((1, len(codes)), dtype=np.int64)
    rho = float(_weighted_rho(pair, once)[0])
    rng = np.random.default_rng(seed)
    found = [
        _weighted_rho(
            pair,
            times_drawn(rng.integers(0, count, (min(CHUNK, draws - start), count)))[:, codes],
        )
        for start in range(0, draws, CHUNK)
    ]
    low, high = percentile_limits(np.concatenate(found), level)
    return RankCorrelation(rho, low, high, len(codes), count)


def risk_coverage(scores: ArrayLike, errors: ArrayLike) -> RiskCoverage:
    """Keep the most certain cases first, and take the mean error of those kept.

    Cases of equal score come in any order: the curve is the mean over these orders.

    Args:
        scores: one finite number a case, higher for the less certain, ``(n,)``.
        errors: one finite number a case, ``(n,)``.

    Returns:
        A :class:`RiskCoverage`.

    Raises:
        DataError: fewer than two cases, a value that is not finite, or lengths that differ.

    Source: Geifman and El-Yaniv 2017; Geifman et al. 2019 (AURC).
    """
    score, error = _pair(scores, errors)
    _, group = np.unique(score, return_inverse=True)
    expected = (np.bincount(group, weights=error) / np.bincount(group))[group]
    kept = np.arange(1, len(error) + 1)
    risk = expected[np.argsort(group, kind="stable")].cumsum() / kept
    oracle = np.sort(error).cumsum() / kept
    return RiskCoverage(
        kept / len(error),
        risk,
        oracle,
        float(risk.mean()),
        float(oracle.mean()),
        float(error.mean()),
    )


def gain_interval(
    scores: ArrayLike,
    errors: ArrayLike,
    patients: Patients,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval over patients of :attr:`RiskCoverage.gain`.

    Args:
        scores: one finite number a case, ``(n,)``.
        errors: one finite number a case, ``(n,)``.
        patients: the patient of each case, ``(n,)``; all cases of a drawn patient enter together.
        draws: number of resamples.
        level: coverage of the interval, between 0 and 1.
        seed: of the resampling.

    Returns:
        Lower and upper end.

    Raises:
        DataError: as for :func:`rank_correlation`.
    """
    _check_draws(draws, level)
    score, error = _pair(scores, errors)
    codes, count = _codes((score, error), patients)
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count))
    gains = np.zeros(draws)
    for at, times in enumerate(times_drawn(drawn)[:, codes]):
        if times.sum() > 1:  # a patient of one case, drawn alone, has no order
            rows = np.repeat(np.arange(len(codes)), times)
            gains[at] = risk_coverage(score[rows], error[rows]).gain
    low, high = percentile_limits(gains, level)
    return low, high


def _check_draws(draws: int, level: float) -> None:
    if draws < 1 or not 0 < level < 1:
        msg = f"draws = {draws}, level = {level}: draws must be at least 1 and level within (0, 1)"
        raise DataError(msg)


def _pair(scores: ArrayLike, errors: ArrayLike) -> tuple[Values, Values]:
    """Scores and errors as arrays that fit each other."""
    score, error = (np.asarray(each, dtype=np.float64) for each in (scores, errors))
    if score.ndim != 1 or score.shape != error.shape or len(score) < 2:
        msg = f"scores {score.shape} and errors {error.shape}: one of each a case, two cases needed"
        raise DataError(msg)
    for name, each in (("scores", score), ("errors", error)):
        if not np.isfinite(each).all():
            at = int(np.flatnonzero(~np.isfinite(each))[0])
            msg = f"{name}[{at}] is {each[at]}: a missed case counts as the worst value"
            raise DataError(msg)
    return score, error


def _codes(pair: tuple[Values, Values], patients: Patients) -> tuple[NDArray[np.intp], int]:
    """The number of each case's patient, and how many patients."""
    clusters(pair[0], patients)  # refuses lengths that differ and a missing patient
    unique, codes = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    return codes, len(unique)


def _weighted_rho(pair: tuple[Values, Values], times: NDArray[np.int64]) -> Values:
    """Spearman's correlation where each case stands so many times, a row of ``times`` each."""
    total = times.sum(axis=1, keepdims=True)
    first, second = (_mid_ranks(each, times) - (total + 1) / 2 for each in pair)
    both = (times * first * second).sum(axis=1)
    scale = np.sqrt((times * first**2).sum(axis=1) * (times * second**2).sum(axis=1))
    rho: Values = np.divide(both, scale, out=np.zeros_like(both), where=scale > 0)
    return rho


def _mid_ranks(values: Values, times: NDArray[np.int64]) -> Values:
    """The mean rank of each case among repeated ones, equal values sharing theirs."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    sizes = np.add.reduceat(times[:, order], starts, axis=1)
    ranks: Values = (sizes.cumsum(axis=1) - (sizes - 1) / 2)[:, group]
    return ranks

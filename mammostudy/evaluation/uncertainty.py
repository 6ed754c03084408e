"""What sampled predictions say about uncertainty, and whether it knows where the error is.

Samples are probability maps ``(k, n, s, s)`` in [0, 1]: k draws (of test-time dropout, of several
models) for each of n cases. A *score* is one number a case, higher for the less certain; an
*error* one that ought to be small (1 - Dice). Refusing the least certain cases should lower the
mean error of the rest: the risk-coverage curve shows by how much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import entr

from mammostudy.evaluation import statistics
from mammostudy.evaluation.overlap import dice
from mammostudy.evaluation.statistics import Codes, Patients, Values

THRESHOLD: Final = 0.5  # of the probability, from which a pixel is marked
REACH: Final = 1.5  # interquartile ranges from the lower quartile to where outliers begin

Samples = NDArray[np.float32] | NDArray[np.float64]
Mask = NDArray[np.bool_]


def deviation_map(samples: Samples) -> Values:
    """The standard deviation of each pixel between samples (over k, not k - 1), ``(n, s, s)``."""
    return np.asarray(samples.std(axis=0, dtype=np.float64))


def information_map(samples: Samples) -> Values:
    """What a sample tells about a pixel: the entropy of the mean less the mean entropy, in bits.

    It is 0 where all samples agree, however unsure each is (Houlsby et al. 2011).
    """
    each = np.mean([_bits(one.astype(np.float64)) for one in samples], axis=0)
    return np.asarray(np.clip(_bits(samples.mean(axis=0, dtype=np.float64)) - each, 0, 1))


def _bits(probability: Values) -> Values:
    """The entropy of a yes or no."""
    return np.asarray((entr(probability) + entr(1 - probability)) / np.log(2))


def spread_score(spread: Values, samples: Samples) -> Values:
    """The mean of a map of spread ``(n, s, s)`` where any sample marks a mass, ``(n,)``.

    Where nothing is marked it is that of the frame.
    """
    marked: Mask = np.logical_or.reduce(samples >= THRESHOLD, axis=0)
    marked[~marked.any(axis=(1, 2))] = True
    return np.asarray((spread * marked).sum(axis=(1, 2)) / marked.sum(axis=(1, 2)))


def disagreement(samples: Samples) -> Values:
    """How far the masks of two samples differ: the mean of 1 - Dice over all pairs, ``(n,)``.

    Were the truth one more sample, it would be the expected 1 - Dice of a sample (Roy et al. 2019).
    """
    masks = samples >= THRESHOLD
    first, second = np.triu_indices(len(masks), k=1)
    pairs = [1 - dice(masks[i], masks[j]) for i, j in zip(first, second, strict=True)]
    return np.asarray(np.mean(pairs, axis=0))


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation of score and error, with its interval over patients."""

    rho: float  # over cases; 0 where the score or the error is the same in all of them
    low: float
    high: float
    cases: int
    patients: int


def rank_correlation(
    scores: ArrayLike, errors: ArrayLike, patients: Patients, draws: int = 10_000
) -> RankCorrelation:
    """Spearman's rank correlation of score and error, with a 95 % interval over patients.

    All are one a case, ``(n,)``; all cases of a drawn patient enter together.
    """
    pair = statistics.finite(scores, "scores"), statistics.finite(errors, "errors")
    codes = statistics.patient_codes(patients, len(pair[0]))

    def rho(rows: Codes) -> float:
        first, second = (stats.rankdata(each[rows]) - (len(rows) + 1) / 2 for each in pair)
        scale = math.sqrt((first**2).sum() * (second**2).sum())
        return float((first * second).sum() / scale) if scale else 0.0

    count = int(codes.max()) + 1
    found = statistics.resample(statistics.of_cases(codes, rho), count, draws, 0)
    return RankCorrelation(rho(np.arange(len(codes))), *statistics.limits(found), len(codes), count)


@dataclass(frozen=True)
class RiskCoverage:
    """The mean error of the most certain cases, for every number of them."""

    coverage: Values  # share of cases kept, ascending from 1/n to 1, (n,)
    risk: Values  # mean error of the cases kept, (n,)
    oracle: Values  # the same where the cases of least error are kept first, (n,)

    @property
    def gain(self) -> float:
        """Share of the way from a random order to the oracle: 1 knows all, 0 nothing.

        Of the mean risks over coverages (AURC); that of a random order is the mean error.
        """
        drawn = self.oracle[-1]
        room = drawn - self.oracle.mean()
        return float((drawn - self.risk.mean()) / room) if room > 0 else 0.0


def risk_coverage(scores: ArrayLike, errors: ArrayLike) -> RiskCoverage:
    """Keep the most certain cases first, and take the mean error of those kept.

    Cases of equal score come in any order: the curve is the mean over these orders.

    Source: Geifman and El-Yaniv 2017; Geifman et al. 2019 (AURC).
    """
    error = np.asarray(errors, dtype=np.float64)
    _, group = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    expected = (np.bincount(group, weights=error) / np.bincount(group))[group]
    kept = np.arange(1, len(error) + 1)
    risk = expected[np.argsort(group, kind="stable")].cumsum() / kept
    oracle = np.sort(error).cumsum() / kept
    return RiskCoverage(kept / len(error), risk, oracle)


def gain_interval(
    scores: ArrayLike, errors: ArrayLike, patients: Patients, draws: int = 1000
) -> tuple[float, float]:
    """95 % bootstrap interval over patients of :attr:`RiskCoverage.gain`."""
    score, error = (np.asarray(each, dtype=np.float64) for each in (scores, errors))
    codes = statistics.patient_codes(patients, len(score))
    gain = statistics.of_cases(codes, lambda rows: risk_coverage(score[rows], error[rows]).gain)
    return statistics.limits(statistics.resample(gain, int(codes.max()) + 1, draws, 0))


def low_outliers(values: ArrayLike) -> Mask:
    """Which values ``(..., n)`` of a line lie more than 1.5 interquartile ranges below its Q1.

    The yardstick is the treatment's own: who scatters widely has few (Tukey 1977).
    """
    cases = np.asarray(values, dtype=np.float64)
    first, third = np.quantile(cases, (0.25, 0.75), axis=-1, keepdims=True)
    return np.asarray(cases < first - REACH * (third - first))

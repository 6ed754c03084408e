"""How large a difference is, whether it is too small to matter, and what trainings scatter.

As everywhere, a patient's cases are averaged first: a patient is one difference ``a - b``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation.statistics import (
    Patients,
    Values,
    bootstrap_ci,
    clusters,
    patient_codes,
    patient_differences,
)

Seeds = Sequence[Any] | NDArray[Any] | pd.Series


@dataclass(frozen=True)
class EffectSize:
    """How large a difference is beside its scatter between patients."""

    rank_biserial: float
    """Ranks of the patients whom ``a`` serves better less those of the others, over the sum of
    both, in [-1, 1]; without a difference they are left out, as in Wilcoxon's test."""
    better: float  # share of the patients whom a serves better, a tie counting one half
    patients: int


def effect_size(a: ArrayLike, b: ArrayLike, patients: Patients) -> EffectSize:
    """Effect size of ``a - b`` of paired cases ``(n,)`` over their patients ``(n,)``.

    Source: Kerby 2014 (matched pairs rank-biserial correlation); 0 where no patient differs.
    """
    differences = patient_differences(a, b, patients)
    better = np.where(differences > 0, 1.0, np.where(differences < 0, 0.0, 0.5)).mean()
    changed = differences[differences != 0]
    ranks = stats.rankdata(np.abs(changed))
    biserial = (np.sign(changed) * ranks).sum() / ranks.sum() if len(changed) else 0.0
    return EffectSize(float(biserial), float(better), len(differences))


@dataclass(frozen=True)
class Equivalence:
    """Whether two treatments differ by less than a margin, by two one-sided tests at 5 %."""

    difference: float  # mean over patients of each patient's mean of a - b
    low: float  # ends of the 90 % bootstrap interval
    high: float
    equivalent: bool  # whether the interval lies within the margin on both sides


def equivalence(a: ArrayLike, b: ArrayLike, patients: Patients, margin: float) -> Equivalence:
    """Ask whether two treatments of the same cases ``(n,)`` differ by less than a margin.

    The margin is the smallest difference that matters, chosen before the values are seen. A single
    patient shows nothing: the interval is then infinite.

    Source: Schuirmann 1987 (two one-sided tests).
    """
    differences = patient_differences(a, b, patients)
    count, mean = len(differences), float(differences.mean())
    if count == 1:
        return Equivalence(mean, -math.inf, math.inf, False)
    low, high = bootstrap_ci(differences, np.arange(count), level=0.90)
    return Equivalence(mean, low, high, -margin < low and high < margin)


@dataclass(frozen=True)
class VarianceParts:
    """The variance of a score taken apart: ``mean + patient_i + seed_j + rest_ij``.

    More patients shrink the first part, more trainings the second; neither replaces the other.
    """

    mean: float  # over patients and seeds
    seed: float  # variance between seeds: what another training would change for all patients alike
    patient: float  # variance between patients: what other patients would change
    rest: float  # what is left in a cell: a seed's luck with a patient, and draws at prediction
    p_seed: float  # of the F test that seeds do not differ; 1 where there is no scatter at all
    patients: int
    seeds: int

    @property
    def seed_sd(self) -> float:
        """Standard deviation between seeds."""
        return math.sqrt(self.seed)

    @property
    def patient_sd(self) -> float:
        """Standard deviation between patients."""
        return math.sqrt(self.patient)

    @property
    def rest_sd(self) -> float:
        """Standard deviation within a cell."""
        return math.sqrt(self.rest)

    def error_of_mean(self) -> float:
        """Standard error of the mean score, over patients and seeds."""
        cells = self.patients * self.seeds
        return math.sqrt(self.patient / self.patients + self.seed / self.seeds + self.rest / cells)


def variance_parts(values: ArrayLike, patients: Patients, seeds: Seeds) -> VarianceParts:
    """Take the variance of a score apart into seeds, patients and the rest.

    A patient's cases under one seed are averaged first. The components solve the expected mean
    squares of the two-way layout; one that comes out negative is 0. Give differences of two paired
    treatments as values ``(n,)`` to learn how far their difference depends on the seed.

    Raises:
        DataError: fewer than two patients or seeds, or a patient without the same cases under
            each seed.

    Source: Searle, Casella and McCulloch 1992, *Variance Components* (balanced two-way random
        model, one observation a cell).
    """
    cells = _cells(values, patients, seeds)
    count, trained = cells.shape
    mean = cells.mean()
    by_patient, by_seed = cells.mean(axis=1), cells.mean(axis=0)
    left = cells - by_patient[:, None] - by_seed[None] + mean
    square_patient = trained * by_patient.var(ddof=1)
    square_seed = count * by_seed.var(ddof=1)
    free = (count - 1) * (trained - 1)
    rest = float((left**2).sum() / free)
    p = 0.0 if square_seed > 0 else 1.0
    if rest > 0:
        p = float(stats.f.sf(square_seed / rest, trained - 1, free))
    return VarianceParts(
        mean=float(mean),
        seed=max(0.0, float(square_seed - rest) / count),
        patient=max(0.0, float(square_patient - rest) / trained),
        rest=rest,
        p_seed=p,
        patients=count,
        seeds=trained,
    )


def _cells(values: ArrayLike, patients: Patients, seeds: Seeds) -> Values:
    """The mean of each patient under each seed, ``(patients, seeds)``."""
    scores = np.asarray(values, dtype=np.float64)
    clusters(scores, patients)  # refuses what is no number or nobody's
    rows, columns = patient_codes(patients, len(scores)), patient_codes(seeds, len(scores))
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    if min(shape) < 2:
        msg = f"{shape[0]} patient(s) and {shape[1]} seed(s): two of each needed"
        raise DataError(msg)
    place = np.ravel_multi_index((rows, columns), shape)
    sizes = np.bincount(place, minlength=math.prod(shape)).reshape(shape)
    uneven = int((np.ptp(sizes, axis=1) > 0).sum())
    if uneven:
        msg = (
            f"{uneven} of {shape[0]} patients do not have the same cases under every seed: "
            "keep one fold, or the patients that all seeds have"
        )
        raise DataError(msg)
    order = np.lexsort((scores, place))  # the order of the rows does not enter the sums
    sums = np.bincount(place[order], weights=scores[order]).reshape(shape)
    cells: Values = sums / sizes
    return cells

"""How much of a score's scatter comes from the seed of a training, and how much from the patient.

A score of patient i under seed j is taken as ``mean + patient_i + seed_j + rest_ij``, the three
drawn independently: a two-way random layout with one value a cell. More patients shrink the first
part, more trainings the second; neither replaces the other.
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
from mammostudy.evaluation.resampling import Patients, Values, clusters

Seeds = Sequence[Any] | NDArray[Any] | pd.Series


@dataclass(frozen=True)
class VarianceParts:
    """The variance of a score taken apart.

    Attributes:
        mean: over patients and seeds.
        seed: variance between seeds: what another training would change for every patient alike.
        patient: variance between patients: what other patients would change.
        rest: what is left in a cell: a seed's luck with a patient, and draws at prediction.
        p_seed: p of the F test that seeds do not differ; 1 where there is no scatter at all.
        patients: how many.
        seeds: how many.
    """

    mean: float
    seed: float
    patient: float
    rest: float
    p_seed: float
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

    def error_of_mean(self, patients: int | None = None, seeds: int | None = None) -> float:
        """Standard error of the mean score, of these numbers of patients and seeds or others.

        Args:
            patients: how many; None takes those that were seen.
            seeds: how many; None takes those that were seen.

        Raises:
            DataError: a number below 1.
        """
        many = self.patients if patients is None else patients
        trained = self.seeds if seeds is None else seeds
        if min(many, trained) < 1:
            msg = f"patients = {many}, seeds = {trained}: one of each or more needed"
            raise DataError(msg)
        return math.sqrt(self.patient / many + self.seed / trained + self.rest / (many * trained))


def variance_parts(values: ArrayLike, patients: Patients, seeds: Seeds) -> VarianceParts:
    """Take the variance of a score apart into seeds, patients and the rest.

    A patient's cases under one seed are averaged first. The components solve the expected mean
    squares of the two-way layout; one that comes out negative is 0. Give differences of two paired
    treatments as values to learn how far their difference depends on the seed.

    Args:
        values: one finite number a case and seed, ``(n,)``.
        patients: the patient of each, ``(n,)``.
        seeds: the seed of the training behind each, ``(n,)``.

    Returns:
        A :class:`VarianceParts`.

    Raises:
        DataError: lengths that differ, a value that is not finite, a missing patient or seed,
            fewer than two patients or seeds, or a patient without the same cases under each seed.

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
    p = 1.0
    if rest > 0:
        p = float(stats.f.sf(square_seed / rest, trained - 1, free))
    elif square_seed > 0:
        p = 0.0
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
    trained = np.asarray(seeds)
    scores = np.asarray(values, dtype=np.float64)
    if trained.shape != scores.shape or pd.isna(trained).any():
        msg = f"values {scores.shape} and seeds {trained.shape}: name the seed of each value"
        raise DataError(msg)
    clusters(scores, patients)  # refuses what is no number or nobody's
    names, rows = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    drawn, columns = np.unique(trained.astype(str), return_inverse=True)
    shape = len(names), len(drawn)
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

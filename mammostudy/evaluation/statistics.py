"""Intervals and tests in which the patient, not the image, is the unit.

The two views of a breast, the two energies of a contrast study and several contours of one
patient are one cluster: they enter a resample together or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.errors import DataError

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Times = NDArray[np.int64]
Patients = Sequence[Any] | NDArray[Any] | pd.Series
POWER: Final = 0.80
LEVEL: Final = 0.95
CHUNK: Final = 500  # resamples that are held in memory at once


def patient_codes(patients: Patients, cases: int) -> Codes:
    """Number the patients by their sorted names, ``(cases,)``; a missing one is refused."""
    names = np.asarray(patients)
    if names.shape != (cases,) or pd.isna(names).any():
        msg = f"patients of shape {names.shape} for {cases} cases: name the patient of each"
        raise DataError(msg)
    return np.unique(names.astype(str), return_inverse=True)[1]


def patient_weights(
    patients: int, draws: int, rng: np.random.Generator, multinomial: bool = False
) -> Times:
    """How often each patient stands in each resample, ``(draws, patients)``.

    Patients are drawn one after the other, or (``multinomial``) their counts at once. Both ways
    have one law and other draws; what is on record was drawn by one or the other.
    """
    if multinomial:
        return rng.multinomial(patients, np.full(patients, 1 / patients), draws)
    drawn = rng.integers(0, patients, (draws, patients))
    flat = (drawn + patients * np.arange(draws)[:, None]).ravel()
    return np.bincount(flat, minlength=draws * patients).reshape(draws, patients)


def resample(
    measure: Callable[[Times], Values],
    patients: int,
    draws: int,
    rng: np.random.Generator | int,
    *,
    multinomial: bool = False,
    again: bool = False,
) -> Values:
    """A measure of resamples of patients, ``(draws, ...)``; each patient brings all of its cases.

    With ``again`` a resample whose measure is NaN is drawn again; some must have a number.
    """
    source = np.random.default_rng(rng)
    found: list[Values] = []
    kept = 0
    while kept < draws:
        values = measure(patient_weights(patients, min(CHUNK, draws - kept), source, multinomial))
        if again:
            values = values[np.isfinite(values.reshape(len(values), -1)).all(axis=1)]
        found.append(values)
        kept += len(values)
    return np.concatenate(found)


def of_cases(codes: Codes, function: Callable[[Codes], float]) -> Callable[[Times], Values]:
    """A function of cases, given by number and repeated, as a measure of resamples."""
    numbers = np.arange(len(codes))
    return lambda times: np.array([float(function(np.repeat(numbers, n[codes]))) for n in times])


def percentiles(found: Values, level: float = LEVEL) -> Values:
    """The two percentiles of resamples ``(draws, ...)`` with equal shares outside: ``(2, ...)``."""
    return np.percentile(found, [50 * (1 - level), 50 * (1 + level)], axis=0)


def limits(found: Values, level: float = LEVEL) -> tuple[float, float]:
    """The percentiles of resamples ``(draws,)`` as two floats."""
    low, high = percentiles(found, level)
    return float(low), float(high)


def quotients(part: Values, whole: Values) -> Values:
    """``part / whole``, NaN where there is no whole."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def finite(raw: ArrayLike, field: str) -> Values:
    """Numbers as float64, all finite; others are refused by the name of their field."""
    try:
        array = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if not np.isfinite(array).all():
        msg = f"{field}: not all are finite numbers; a missed case counts as the worst value"
        raise DataError(msg)
    return array


def clusters(values: ArrayLike, patients: Patients) -> tuple[Values, Codes]:
    """Sort values ``(n,)`` by patient and value: the order of the rows tells nothing."""
    cases = finite(values, "values")
    if cases.ndim != 1 or not len(cases):
        msg = f"values of shape {cases.shape}: expected one number a case"
        raise DataError(msg)
    codes = patient_codes(patients, len(cases))
    order = np.lexsort((cases, codes))
    return cases[order], codes[order]


def patient_differences(a: ArrayLike, b: ArrayLike, patients: Patients) -> Values:
    """Each patient's mean of ``a - b``, ``(patients,)``, in the order of their names."""
    first, second = finite(a, "a"), finite(b, "b")
    if first.shape != second.shape:
        msg = f"a has shape {first.shape} and b {second.shape}: pair them case by case first"
        raise DataError(msg)
    cases, codes = clusters(first - second, patients)
    return np.asarray(np.bincount(codes, weights=cases) / np.bincount(codes))


def bootstrap_ci(
    values: ArrayLike,
    patients: Patients,
    statistic: Callable[..., Any] = np.mean,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval over patients: all cases of a drawn patient enter together.

    The interval depends on the values and their patients, not on the order of the rows.  With a
    single patient it has no width: read it with the number of patients beside it.

    Args:
        values: one finite number a case, ``(n,)``.
        patients: the patient of each case, ``(n,)``.
        statistic: takes a 1-d array and gives a number (``numpy.mean``, ``numpy.median``, ...).
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        (low, high).

    Raises:
        DataError: no values, a value that is not finite, lengths that differ, a missing patient,
            or ``draws`` or ``level`` out of range.
    """
    if draws < 1 or not 0 < level < 1:
        msg = f"draws = {draws}, level = {level}: out of range"
        raise DataError(msg)
    cases, codes = clusters(values, patients)
    count = int(codes[-1]) + 1
    measure = of_cases(codes, lambda rows: statistic(cases[rows]))
    if statistic is np.mean:  # a faster way to it
        sums, counts = np.bincount(codes, weights=cases), np.bincount(codes)
        measure = lambda times: (times @ sums) / (times @ counts)  # noqa: E731
    return limits(resample(measure, count, draws, seed), level)


@dataclass(frozen=True)
class PairedTest:
    """Two treatments of the same patients, compared."""

    difference: float  # mean over patients of each patient's mean of a - b
    low: float  # ends of its 95 % bootstrap interval
    high: float
    p_wilcoxon: float  # two-sided, of the signed-rank test over patients
    p_permutation: float  # two-sided, of the sign-flip permutation test of the mean over patients
    patients: int
    smallest_detectable: float  # at 5 % with 80 % power: (z(0.975) + z(0.80)) sd / sqrt(patients)


def paired_test(a: ArrayLike, b: ArrayLike, patients: Patients) -> PairedTest:
    """Compare two treatments of the same cases, patient by patient.

    Cases of one patient are averaged first, so that each patient counts once.  Without a
    difference in any patient both p-values are 1; a single patient tells nothing: the interval
    and the smallest detectable difference are then infinite and both p-values 1.

    Args:
        a: one finite number a case, ``(n,)``.
        b: the other treatment of the same cases, ``(n,)``.
        patients: the patient of each case, ``(n,)``.

    Raises:
        DataError: lengths that differ, a value that is not finite, or a missing patient.
    """
    means = patient_differences(a, b, patients)
    count, difference = len(means), float(means.mean())
    if count == 1:
        return PairedTest(difference, -math.inf, math.inf, 1.0, 1.0, 1, math.inf)
    low, high = bootstrap_ci(means, np.arange(count))
    p_wilcoxon, p_permutation = _p_values(means)
    detectable = smallest_detectable(float(means.std(ddof=1)) / math.sqrt(count))
    return PairedTest(difference, low, high, p_wilcoxon, p_permutation, count, detectable)


def smallest_detectable(error: float) -> float:
    """What a two-sided test at 5 % finds with 80 % power, by the standard error."""
    return float(stats.norm.ppf(0.975) + stats.norm.ppf(POWER)) * error


def _p_values(differences: Values) -> tuple[float, float]:
    """Wilcoxon's and the sign-flip permutation's two-sided p of one difference a patient."""
    if not differences.any():
        return 1.0, 1.0
    flip = stats.permutation_test(
        (differences,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        batch=CHUNK,
        rng=np.random.default_rng(0),
    )
    return float(stats.wilcoxon(differences).pvalue), float(flip.pvalue)


def holm(pvalues: ArrayLike) -> Values:
    """Holm's step-down correction (1979) of the p-values of one family, ``(m,)``."""
    raw = np.atleast_1d(np.asarray(pvalues, dtype=np.float64))
    if not ((raw >= 0) & (raw <= 1)).all():
        msg = f"pvalues: {raw.tolist()} holds one outside [0, 1]; leave untested pairs out"
        raise DataError(msg)
    order = np.argsort(raw)  # statsmodels' own collects garbage: a quarter of a second a table
    steps = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.maximum.accumulate(steps).clip(max=1)
    return adjusted


def wilson_interval(successes: ArrayLike, totals: ArrayLike) -> tuple[Values, Values]:
    """Wilson's 95 % score interval (low, high) of proportions, cases taken as independent."""
    from statsmodels.stats.proportion import proportion_confint

    hits, cases = np.broadcast_arrays(np.asarray(successes, float), np.asarray(totals, float))
    low, high = proportion_confint(hits, cases, alpha=1 - LEVEL, method="wilson")
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def effect_size(a: ArrayLike, b: ArrayLike, patients: Patients) -> float:
    """Rank-biserial correlation of ``a - b`` of paired cases ``(n,)`` over patients (Kerby 2014).

    The ranks of those whom a serves better less the others', over their sum; patients without a
    difference have no rank.
    """
    differences = patient_differences(a, b, patients)
    changed = differences[differences != 0]
    ranks = stats.rankdata(np.abs(changed))
    return float((np.sign(changed) * ranks).sum() / ranks.sum()) if len(changed) else 0.0


@dataclass(frozen=True)
class CrossedTest:
    """A score or a difference over patients and trainings: ``mean + patient + training + rest``."""

    difference: float  # mean over patients of their means over cases and trainings
    low: float  # ends of its 95 % interval, for other patients and other trainings
    high: float
    p: float  # two-sided, that the mean is 0
    patients: int
    trainings: int
    smallest_detectable: float  # at 5 % with 80 % power
    error: float  # standard error of the mean
    patient_sd: float  # between patients: what other patients would change
    training_sd: float  # between trainings of a fold; NaN where every fold has only one
    rest_sd: float  # left in a cell: a training's luck with a patient, and draws at prediction


def crossed_test(
    values: ArrayLike, patients: Patients, trainings: Patients, folds: Patients | None = None
) -> CrossedTest:
    """Test a mean over patients and trainings, both of them drawn by chance.

    Within a fold every patient is tested by every training of that fold (crossed); no training
    stands in two folds. Variances solve the expected mean squares of the two-way
    layout, pooled over folds (Searle, Casella and McCulloch 1992); the interval is Student's, with
    the degrees of freedom of Satterthwaite (1946). Folds of one training each tell nothing of
    trainings: the interval is then over patients alone.

    Args:
        values: one finite number a case and training, ``(n,)``.
        patients: the patient of each value; a patient's cases count as their mean.
        trainings: the training of each value, by any name within its fold.
        folds: the fold of each value; default one fold.

    Raises:
        DataError: a patient without the same cases under every training of the fold.
    """
    blocks = _blocks(finite(values, "values"), patients, trainings, folds)
    people, runs = np.array([block.shape for block in blocks], dtype=np.float64).T
    share = people / people.sum()
    mean = float(share @ [block.to_numpy().mean() for block in blocks])
    tested = pd.concat([block.index.to_series() for block in blocks]).value_counts()
    squares, free = _mean_squares(blocks)
    if free[0] < 1:  # one patient tells nothing of others
        ends, unknown = (-math.inf, math.inf, 1.0, 1, int(runs.sum())), (math.nan,) * 3
        return CrossedTest(mean, *ends, math.inf, math.inf, *unknown)
    per_patient = (runs * (people - 1)).sum() / free[0]
    per_training = (people * (runs - 1)).sum() / free[1] if free[1] else math.inf
    parts = np.array([squares[0] - squares[2], squares[1] - squares[2], squares[2]])
    parts[:2] = np.maximum(parts[:2] / [per_patient, per_training], 0)
    weights = np.array([((tested / people.sum()) ** 2).sum(), (share**2 / runs).sum(), 0.0])
    weights[2] = (share**2 / (people * runs)).sum()
    error = math.sqrt(float(weights @ parts))
    # the same variance by mean squares; one whose part came out negative does not enter
    of_squares = weights[:2] / [per_patient, per_training] * (parts[:2] > 0)
    of_squares = np.append(of_squares, weights[2] - of_squares.sum())
    spent = (of_squares * squares)[free > 0] ** 2 / free[free > 0]
    degrees = error**4 / spent.sum() if error else math.inf
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, degrees)) if error else float(mean == 0)
    known = free[1] > 0
    return CrossedTest(
        difference=mean,
        low=mean - reach,
        high=mean + reach,
        p=p,
        patients=len(tested),
        trainings=int(runs.sum()),
        smallest_detectable=smallest_detectable(error),
        error=error,
        patient_sd=math.sqrt(parts[0]),
        training_sd=math.sqrt(parts[1]) if known else math.nan,
        rest_sd=math.sqrt(parts[2]) if known else math.nan,
    )


def _blocks(
    values: Values, patients: Patients, trainings: Patients, folds: Patients | None
) -> list[pd.DataFrame]:
    """The mean of each patient (index) under each training (columns), a table a fold."""
    names = {"patient": patients, "training": trainings}
    table = pd.DataFrame({name: np.asarray(each).astype(str) for name, each in names.items()})
    table["fold"] = "" if folds is None else np.asarray(folds).astype(str)
    table = table.assign(value=values).sort_values(["fold", "patient", "training", "value"])
    blocks = []
    for _, part in table.groupby("fold"):
        cells = part.groupby(["patient", "training"])["value"]
        if cells.size().unstack().nunique(axis=1, dropna=False).gt(1).any():
            raise DataError("values: a patient needs the same cases under every training of a fold")
        blocks.append(cells.mean().unstack())
    return blocks


def _mean_squares(blocks: Sequence[pd.DataFrame]) -> tuple[Values, Values]:
    """Mean squares of patients, trainings and the rest, pooled over folds; degrees of freedom."""
    sums, free = np.zeros(3), np.zeros(3)
    for block in (each.to_numpy() for each in blocks):
        count, trained = block.shape
        by_patient, by_training = block.mean(axis=1), block.mean(axis=0)
        left = block - by_patient[:, None] - by_training + block.mean()
        sums += (
            trained * count * by_patient.var(),
            count * trained * by_training.var(),
            (left**2).sum(),
        )
        free += count - 1, trained - 1, (count - 1) * (trained - 1)
    return np.divide(sums, free, out=np.zeros(3), where=free > 0), free


def has_converged(curves: Sequence[dict[str, float]], metric: str) -> bool:
    """Return whether a validation metric, of which more is better, had settled at the end.

    The mean of the last fifth's validations must lie neither more than 1 % above the best one
    before them (it still rose) nor more than 10 % below (it collapsed), and that best one above 0.
    """
    points = [(row["iteration"], row[metric]) for row in curves if metric in row]
    if len(points) < 5:
        return False
    border = 0.8 * points[-1][0]
    before = max((value for at, value in points if at <= border), default=0.0)
    last = float(np.mean([value for at, value in points if at > border]))
    return before > 0 and 0.9 * before <= last <= 1.01 * before

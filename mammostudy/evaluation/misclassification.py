"""What a table of counts can show: power at a sample size, and what mislabelling leaves of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

from mammostudy.errors import DataError
from mammostudy.evaluation.association import Table, check_table, v_of_tables

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Misclassified:
    """An association seen through a classifier that errs.

    Attributes:
        table: expected counts of row against predicted column, float64 ``(r, c)``.
        before: Cramer's V of the true table.
        after: V of the expected table: what remains with no chance in it.
        expected: mean V over simulated classifications of these cases; above ``after`` because
            chance adds to V.
        low: lower end of the middle 95 % of the simulated V.
        high: upper end of it.
    """

    table: Values
    before: float
    after: float
    expected: float
    low: float
    high: float


def misclassified(
    table: Table, confusion: ArrayLike, draws: int = 2_000, seed: int = 0
) -> Misclassified:
    """Pass the true columns of a table through a classifier's confusion matrix.

    The classifier errs by the true column alone: whether it errs more in one row than in another
    is not in a confusion matrix. Under that assumption V can only fall.

    Args:
        table: whole counts ``(r, c)``: row (subtype) against true column (shape).
        confusion: ``(c, c)``, row-stochastic: share of each true column that is predicted as each.
        draws: number of simulated classifications of the table's cases.
        seed: of the simulation.

    Returns:
        A :class:`Misclassified`. Columns that are never predicted are left out of V.

    Raises:
        DataError: as :func:`~mammostudy.evaluation.association.check_table`; a confusion matrix of
            another size or whose rows do not sum to 1; or ``draws`` < 1.
    """
    counts = check_table(table, whole=True)
    errors = _checked_confusion(confusion, counts.shape[1])
    if draws < 1:
        msg = f"draws = {draws}: at least 1 simulated table needed"
        raise DataError(msg)
    blurred: Values = counts @ errors
    rng = np.random.default_rng(seed)
    simulated = np.zeros((draws, *counts.shape))
    for column, shares in enumerate(errors):
        cases = np.broadcast_to(counts[:, column].astype(np.int64), (draws, len(counts)))
        simulated += rng.multinomial(cases, shares / shares.sum())
    drawn = v_of_tables(simulated)
    before, after = v_of_tables(np.stack([counts, blurred]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Misclassified(
        blurred, float(before), float(after), float(drawn.mean()), float(low), float(high)
    )


def _checked_confusion(confusion: ArrayLike, columns: int) -> Values:
    shares = np.asarray(confusion, dtype=np.float64)
    if shares.shape != (columns, columns):
        msg = f"confusion of shape {shares.shape}: the table has {columns} columns, so it must too"
        raise DataError(msg)
    if not (shares >= 0).all() or not np.allclose(shares.sum(axis=1), 1, atol=1e-6):
        msg = (
            "confusion: each row must hold shares that sum to 1; divide the rows of counts by "
            "their totals (mammostudy.evaluation.classification.row_normalised)"
        )
        raise DataError(msg)
    return shares


def chi_square_power(v: float, shape: tuple[int, int], cases: int, alpha: float = 0.05) -> float:
    """Chance that the chi-square test finds an association.

    Args:
        v: Cramer's V in the population, in [0, 1].
        shape: rows and columns of the table.
        cases: sample size.
        alpha: level of the test.

    Returns:
        The power, by the noncentral chi-square distribution with noncentrality
        ``n V^2 (min(r, c) - 1)``; ``alpha`` at V = 0.

    Raises:
        DataError: V, shape, cases or alpha out of range.

    Source: Cohen 1988 (``w = V sqrt(min(r, c) - 1)``), through ``scipy.stats.ncx2``.
    """
    if not 0 <= v <= 1 or min(shape) < 2 or cases < 1 or not 0 < alpha < 1:
        msg = (
            f"v = {v}, shape = {shape}, cases = {cases}, alpha = {alpha}: v within [0, 1], two "
            "rows and columns or more, one case or more and alpha within (0, 1) needed"
        )
        raise DataError(msg)
    degrees = (shape[0] - 1) * (shape[1] - 1)
    threshold = float(stats.chi2.ppf(1 - alpha, degrees))
    noncentrality = cases * v**2 * (min(shape) - 1)
    if noncentrality == 0:
        return alpha
    return float(stats.ncx2.sf(threshold, degrees, noncentrality))


def smallest_detectable_v(
    shape: tuple[int, int], cases: int, power: float = 0.80, alpha: float = 0.05
) -> float:
    """The smallest Cramer's V that the chi-square test finds with the given power.

    Args:
        shape: rows and columns of the table.
        cases: sample size.
        power: wanted chance of finding it, above ``alpha`` and below 1.
        alpha: level of the test.

    Returns:
        V in (0, 1]; infinity where even V = 1 is found less often.

    Raises:
        DataError: shape, cases, power or alpha out of range.
    """
    if not alpha < power < 1:
        msg = f"power = {power}: it must lie between alpha ({alpha}) and 1"
        raise DataError(msg)
    if chi_square_power(1.0, shape, cases, alpha) < power:
        return math.inf
    found = brentq(lambda v: chi_square_power(v, shape, cases, alpha) - power, 0.0, 1.0)
    return float(found)

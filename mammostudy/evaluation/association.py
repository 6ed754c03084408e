"""How two ways of sorting the same cases go together: tables of counts, as subtype by shape.

Every test here takes each case as independent; :func:`cramers_v_ci` can draw patients instead.
A table with an empty row or column is refused: an empty one has no expected counts, and whether
to leave it out is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]
Table = ArrayLike | pd.DataFrame
_CHUNK = 500


@dataclass(frozen=True)
class ChiSquare:
    """Pearson's test of independence, without continuity correction.

    Attributes:
        statistic: chi-square.
        degrees: of freedom, (rows - 1) (columns - 1).
        p: from the chi-square distribution.
        expected: counts under independence, of the table's shape.
        sparse: share of cells with an expected count below 5; above a fifth (Cochran 1954), read
            :func:`fisher_monte_carlo` instead.
    """

    statistic: float
    degrees: int
    p: float
    expected: Values
    sparse: float


def check_table(table: Table, whole: bool = False) -> Values:
    """Return a table as float64 ``(r, c)``, or say what is wrong with it.

    Args:
        table: two rows and columns or more; a data frame lends its names to the message.
        whole: whether only whole numbers will do.

    Raises:
        DataError: too few rows or columns, negative, not finite or (``whole``) broken counts, or
            an empty row or column, by name.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or min(counts.shape) < 2:
        msg = f"table of shape {counts.shape}: two rows and two columns or more needed"
        raise DataError(msg)
    if not (np.isfinite(counts) & (counts >= 0)).all():
        msg = "table holds counts that are negative or missing: give 0 where there is no case"
        raise DataError(msg)
    if whole and not np.array_equal(counts, np.round(counts)):
        msg = "table holds broken counts: this needs numbers of cases, not shares"
        raise DataError(msg)
    for axis, line in ((1, "row"), (0, "column")):
        empty = np.flatnonzero(counts.sum(axis=axis) == 0)
        if empty.size:
            names = ", ".join(_line_name(table, line, int(at)) for at in empty)
            msg = f"table has an empty {line} ({names}): leave it out, and say so"
            raise DataError(msg)
    return counts


def _line_name(table: Table, line: str, at: int) -> str:
    if isinstance(table, pd.DataFrame):
        return str((table.index if line == "row" else table.columns)[at])
    return str(at)


def chi_square(table: Table) -> ChiSquare:
    """Pearson's chi-square test of independence.

    Args:
        table: counts ``(r, c)``.

    Returns:
        A :class:`ChiSquare`.

    Raises:
        DataError: as :func:`check_table`.

    Source: ``scipy.stats.chi2_contingency``.
    """
    found = stats.chi2_contingency(check_table(table), correction=False)
    expected = np.asarray(found.expected_freq, dtype=np.float64)
    sparse = float((expected < 5).mean())
    return ChiSquare(float(found.statistic), int(found.dof), float(found.pvalue), expected, sparse)


def fisher_monte_carlo(table: Table, draws: int = 9_999, seed: int = 0) -> float:
    """Fisher's test of independence: exact for 2 x 2, else by random tables with the same margins.

    Args:
        table: whole counts ``(r, c)``.
        draws: number of random tables; the smallest p is ``1 / (draws + 1)``.
        seed: of the random tables.

    Returns:
        Its two-sided p (tables no more likely than this one).

    Raises:
        DataError: as :func:`check_table`, or ``draws`` < 1.

    Source: Fisher-Freeman-Halton test, ``scipy.stats.fisher_exact`` with ``MonteCarloMethod``.
    """
    counts = check_table(table, whole=True).astype(np.int64)
    if draws < 1:
        msg = f"draws = {draws}: at least 1 random table needed"
        raise DataError(msg)
    if counts.shape == (2, 2):
        return float(stats.fisher_exact(counts).pvalue)
    method = stats.MonteCarloMethod(n_resamples=draws, rng=np.random.default_rng(seed))
    return float(stats.fisher_exact(counts, method=method).pvalue)


def adjusted_residuals(table: Table) -> Values:
    """Standardised (adjusted) residuals: each about N(0, 1) under independence.

    Args:
        table: counts ``(r, c)``.

    Returns:
        float64 ``(r, c)``: ``(o - e) / sqrt(e (1 - row share) (1 - column share))``. With many
        cells some pass 2 by chance.

    Raises:
        DataError: as :func:`check_table`.

    Source: Haberman 1973.
    """
    counts = check_table(table)
    total = counts.sum()
    rows, columns = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    expected = rows * columns / total
    spread = np.sqrt(expected * (1 - rows / total) * (1 - columns / total))
    residuals: Values = (counts - expected) / spread
    return residuals


def cramers_v(table: Table, corrected: bool = False) -> float:
    """Cramer's V: 0 without association, 1 where one side decides the other.

    Args:
        table: counts ``(r, c)``; expected counts need not be whole.
        corrected: Bergsma's correction (2013) of the bias: the plain V of independent cases is
            about ``sqrt((r - 1) (c - 1) / (n min(r - 1, c - 1)))``, not 0.

    Returns:
        V in [0, 1].

    Raises:
        DataError: as :func:`check_table`.

    Source: Cramer 1946; as ``scipy.stats.contingency.association`` where not corrected.
    """
    return float(v_of_tables(check_table(table)[None], corrected)[0])


def v_of_tables(tables: Values, corrected: bool = False) -> Values:
    """Cramer's V of many tables at once, for resampling.

    Args:
        tables: counts ``(b, r, c)``. Rows and columns that a table leaves empty are left out of
            it; where fewer than two rows or columns remain, V is 0.
        corrected: Bergsma's correction.

    Returns:
        float64 ``(b,)``.
    """
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    total = np.maximum(rows.sum(axis=1), 1e-300)
    product = rows[:, :, None] * columns[:, None, :]
    shares = np.divide(tables**2, product, out=np.zeros(tables.shape), where=product > 0)
    phi2 = np.maximum(shares.sum(axis=(1, 2)) - 1, 0)
    r, c = (rows > 0).sum(axis=1).astype(np.float64), (columns > 0).sum(axis=1).astype(np.float64)
    if corrected:
        left = np.maximum(total - 1, 1e-300)
        phi2 = np.maximum(phi2 - (r - 1) * (c - 1) / left, 0)
        r, c = r - (r - 1) ** 2 / left, c - (c - 1) ** 2 / left
    room = np.minimum(r, c) - 1
    squared = np.divide(phi2, room, out=np.zeros_like(phi2), where=room > 1e-12)
    return np.asarray(np.sqrt(np.clip(squared, 0, 1)), dtype=np.float64)


def cramers_v_ci(
    rows: Sequence[Any] | NDArray[Any] | pd.Series,
    columns: Sequence[Any] | NDArray[Any] | pd.Series,
    patients: Patients | None = None,
    *,
    corrected: bool = False,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of Cramer's V, over cases or patients.

    V cannot be negative and resampling adds chance association: the interval never reaches 0 and
    sits high for small n. It says how large V may be; whether there is any is the test's answer.

    Args:
        rows: row category of each case, ``(n,)``.
        columns: column category of each case, ``(n,)``.
        patients: the patient of each case; without it each case is its own.
        corrected: Bergsma's correction, in each draw.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        (low, high). Categories that a draw misses are left out of its V.

    Raises:
        DataError: lengths that differ, a missing category or patient, only one category, or
            ``draws`` or ``level`` out of range.
    """
    if draws < 1 or not 0 < level < 1:
        msg = f"draws = {draws}, level = {level}: draws must be at least 1 and level within (0, 1)"
        raise DataError(msg)
    names = range(len(rows)) if patients is None else patients
    by_patient = _tables_of_patients(np.asarray(rows), np.asarray(columns), np.asarray(names))
    check_table(by_patient.sum(axis=0))
    rng, count = np.random.default_rng(seed), len(by_patient)
    found: list[Values] = []
    for start in range(0, draws, _CHUNK):
        times = rng.multinomial(count, np.full(count, 1 / count), min(_CHUNK, draws - start))
        tables = np.tensordot(times.astype(np.float64), by_patient, axes=1)
        found.append(v_of_tables(tables, corrected))
    low, high = np.percentile(np.concatenate(found), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _tables_of_patients(rows: NDArray[Any], columns: NDArray[Any], names: NDArray[Any]) -> Values:
    """One table of counts a patient: float64 ``(patients, r, c)``."""
    for field, values in (("rows", rows), ("columns", columns), ("patients", names)):
        if values.ndim != 1 or values.shape != rows.shape or not values.size:
            msg = f"{field} of shape {values.shape}: one of each a case needed, {rows.shape}"
            raise DataError(msg)
        if pd.isna(values).any():
            at = int(np.flatnonzero(pd.isna(values))[0])
            msg = f"{field}[{at}] is missing: leave out cases without it, and say how many"
            raise DataError(msg)
    codes = [np.unique(v.astype(str), return_inverse=True)[1] for v in (names, rows, columns)]
    tables = np.zeros([int(code.max()) + 1 for code in codes])
    np.add.at(tables, tuple(codes), 1.0)
    return tables


def individuals(table: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn a table back into cases.

    Args:
        table: whole counts ``(r, c)``.

    Returns:
        (row number, column number) of each case, int64 ``(n,)`` each, in the table's order.

    Raises:
        DataError: as :func:`check_table`.
    """
    counts = check_table(table, whole=True).astype(np.int64)
    rows, columns = (axis.ravel().repeat(counts.ravel()) for axis in np.indices(counts.shape))
    return rows.astype(np.int64), columns.astype(np.int64)

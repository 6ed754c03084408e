"""What a table of subtype by shape says: the numbers that both pages on subtypes print.

Every case of a table is one patient (or one breast), so a bootstrap over cases is one over
patients. An empty row or column is left out before anything is computed, and named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammostudy.evaluation import association as tests
from mammostudy.evaluation.association import (
    Misclassified,
    chi_square_power,
    group_share,
    misclassified,
    row_shares,
    smallest_detectable_v,
)
from mammostudy.evaluation.statistics import POWER

LUMINAL: Final = ("Luminal-A", "Luminal-B")
TYPICAL: Final = ("irregular", "lobular")
LEVEL: Final = 0.05
SPARSE: Final = 0.2
DRAWS: Final = 9_999
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """The association in one table, or in what is left of it without empty rows and columns.

    Attributes:
        cases: patients or breasts in the table.
        shape: rows and columns.
        statistic: Pearson's chi-square.
        degrees: of freedom.
        p: of the chi-square test.
        p_fisher: of Fisher's test by random tables (exact for 2 x 2).
        sparse: share of cells with an expected count below 5.
        v: Cramer's V.
        v_low: lower end of its 95 % bootstrap interval over cases.
        v_high: upper end of it.
        corrected: V with Bergsma's correction.
        corrected_low: lower end of its interval.
        corrected_high: upper end of it.
        detectable: smallest V that the test finds with 80 % power at this many cases.
    """

    cases: int
    shape: tuple[int, int]
    statistic: float
    degrees: int
    p: float
    p_fisher: float
    sparse: float
    v: float
    v_low: float
    v_high: float
    corrected: float
    corrected_low: float
    corrected_high: float
    detectable: float


@dataclass(frozen=True)
class ShareDifference:
    """A share in one group minus the same share in another.

    Attributes:
        difference: of the shares.
        low: lower end of the 95 % interval.
        high: upper end of it.
        p_permutation: two-sided p when groups are dealt anew among the cases, all deals counted.
        patients: cases of both groups.
        smallest_detectable: difference found with 80 % power, by the normal approximation for
            two shares at the pooled share.
        counts: (hits, cases) of the first group and of the second.
    """

    difference: float
    low: float
    high: float
    p_permutation: float
    patients: int
    smallest_detectable: float
    counts: tuple[tuple[int, int], tuple[int, int]]


def trimmed(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out empty rows and columns.

    Returns:
        (what is left, the names left out).
    """
    rows, columns = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    left = [str(name) for name in (*table.index[~rows], *table.columns[~columns])]
    return table.loc[rows, columns], left


def has_association(table: pd.DataFrame) -> bool:
    """Whether enough is left of a table to ask for one: two rows and two columns."""
    return min(trimmed(table)[0].shape) >= 2


def associate(table: pd.DataFrame, seed: int = 0) -> Association | None:
    """Return the association in a table of whole counts; None where too little is left of it."""
    if not has_association(table):
        return None
    left, _ = trimmed(table)
    found = tests.chi_square(left)
    rows, columns = tests.individuals(left)
    shape = (len(left), len(left.columns))
    cases = len(rows)
    return Association(
        cases,
        shape,
        found.statistic,
        found.degrees,
        found.p,
        tests.fisher_monte_carlo(left, DRAWS, seed),
        found.sparse,
        tests.cramers_v(left),
        *tests.cramers_v_ci(rows, columns, seed=seed),
        tests.cramers_v(left, corrected=True),
        *tests.cramers_v_ci(rows, columns, corrected=True, seed=seed),
        smallest_detectable_v(shape, cases),
    )


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Share of each shape in each subtype with Wilson's interval, empty lines left out.

    Returns:
        A row a cell: row, column, count, total, share, low, high.
    """
    if not has_association(table):
        return pd.DataFrame(columns=["row", "column", "count", "total", "share", "low", "high"])
    return row_shares(trimmed(table)[0])


def residuals(table: pd.DataFrame) -> pd.DataFrame:
    """Adjusted residuals under the names of the table, empty lines left out."""
    left, _ = trimmed(table)
    return pd.DataFrame(tests.adjusted_residuals(left), left.index, left.columns)


def power_curves(sizes: Mapping[str, tuple[tuple[int, int], int]]) -> pd.DataFrame:
    """Power of the chi-square test over V, at the size of each table.

    Args:
        sizes: name -> (shape, cases).

    Returns:
        Columns table, v, power.
    """
    out = [
        (name, float(v), chi_square_power(float(v), shape, cases))
        for name, (shape, cases) in sizes.items()
        for v in np.linspace(0, 0.5, 101)
    ]
    return pd.DataFrame(out, columns=["table", "v", "power"])


def blurred(table: pd.DataFrame, confusion: pd.DataFrame) -> Misclassified | None:
    """Pass a table through the errors of a shape model.

    Args:
        table: subtype by shape, whole counts.
        confusion: counts, truth by prediction, of the same shapes.

    Returns:
        What remains of V; None where the table, or a shape's row of the confusion matrix, is
        empty. Only shapes that the table holds count: predictions of others are left out of their
        row before it is divided by its total.
    """
    if not has_association(table):
        return None
    left, _ = trimmed(table)
    counts = confusion.reindex(index=left.columns, columns=left.columns, fill_value=0)
    totals = counts.sum(axis=1)
    if (totals == 0).any():
        return None
    return misclassified(left, counts.div(totals, axis=0).to_numpy())


def luminal_share(
    table: pd.DataFrame, shapes: Sequence[str] = TYPICAL
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Count irregular or lobular cases of the luminal subtypes and of the others.

    Returns:
        (hits, cases) of the luminal and of the other subtypes; None where either has no case, and
        where no case or every case is irregular or lobular: there is nothing to compare then.
    """
    luminal = table.index.isin(LUMINAL)
    hits = table[[name for name in shapes if name in table.columns]].sum(axis=1)
    groups = [
        (int(hits[chosen].sum()), int(table.loc[chosen].to_numpy().sum()))
        for chosen in (luminal, ~luminal)
    ]
    (a, n), (b, m) = groups
    return (groups[0], groups[1]) if min(n, m) > 0 and 0 < a + b < n + m else None


def share_difference(
    first: tuple[int, int], second: tuple[int, int], *, draws: int = 10_000, seed: int = 0
) -> ShareDifference:
    """Compare a share between two groups of independent cases.

    Args:
        first: (hits, cases) of the first group.
        second: of the second.
        draws: resamples of the bootstrap over all cases; one that misses a group is left out.
        seed: of the resampling.
    """
    (a, n), (b, m) = first, second
    total = n + m
    drawn = np.random.default_rng(seed).multinomial(
        total, np.array([a, n - a, b, m - b]) / total, draws
    )
    sizes = drawn[:, :2].sum(axis=1), drawn[:, 2:].sum(axis=1)
    whole = (sizes[0] > 0) & (sizes[1] > 0)
    spread = drawn[whole, 0] / sizes[0][whole] - drawn[whole, 2] / sizes[1][whole]
    low, high = np.percentile(spread, [2.5, 97.5])
    pooled = (a + b) / total
    z = float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))
    detectable = z * math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    p = _dealt_anew(first, second)
    counts = (first, second)
    return ShareDifference(a / n - b / m, float(low), float(high), p, total, detectable, counts)


def _dealt_anew(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Share of all deals of the hits among the cases whose difference is as large, both ways."""
    (a, n), (b, m) = first, second
    hits = np.arange(max(0, a + b - m), min(n, a + b) + 1)
    differences = np.abs(hits / n - (a + b - hits) / m)
    chances = stats.hypergeom.pmf(hits, n + m, a + b, n)
    return float(min(1.0, chances[differences >= abs(a / n - b / m) - 1e-12].sum()))


def fraction(table: pd.DataFrame, row: str, columns: Sequence[str]) -> pd.Series:
    """Return one row of :func:`~mammostudy.evaluation.association.group_share`."""
    return group_share(table, [row], columns).iloc[0]


def null_redraws(
    columns: ArrayLike, margin: ArrayLike, draws: int = 1_000, seed: int = 0
) -> pd.DataFrame:
    """Draw the subtypes anew without regard to shape, and test each table.

    Args:
        columns: number of cases of each shape, ``(c,)``; they stay as they are.
        margin: shares of the subtypes, ``(r,)``; they are divided by their sum.
        draws: number of redraws.
        seed: of the redraws.

    Returns:
        A row a redraw: ``v`` (Cramer's V), ``p`` of the chi-square test. Rows and columns that a
        redraw leaves empty are left out of its test; where too little is left, p is 1.
    """
    cases = np.asarray(columns, dtype=np.int64)
    weights = np.asarray(margin, dtype=np.float64) / np.sum(margin)
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.multinomial(n, weights, draws) for n in cases], axis=2).astype(float)
    v = tests.v_of_tables(drawn)
    r, c = ((drawn.sum(axis=axis) > 0).sum(axis=1) for axis in (2, 1))
    statistic = v**2 * cases.sum() * (np.minimum(r, c) - 1)
    degrees = (r - 1) * (c - 1)
    p = np.where(degrees > 0, stats.chi2.sf(statistic, np.maximum(degrees, 1)), 1.0)
    return pd.DataFrame({"v": v, "p": p})

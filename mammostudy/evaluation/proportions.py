"""Shares of counts, and of the rows of a table, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.association import check_table

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

Values = NDArray[np.float64]


def wilson_interval(
    successes: ArrayLike, totals: ArrayLike, level: float = 0.95
) -> tuple[Values, Values]:
    """Wilson's score interval of proportions.

    It takes every case as independent: with several cases a patient, put the bootstrap over
    patients beside it.

    Args:
        successes: whole numbers, any shape.
        totals: whole numbers that broadcast with ``successes``, each at least 1.
        level: coverage, between 0 and 1.

    Returns:
        (low, high), float64 in [0, 1], of the common shape.

    Raises:
        DataError: a total of 0, a count outside ``0 .. total``, or ``level`` out of range.

    Source: Wilson 1927, through ``statsmodels.stats.proportion.proportion_confint``.
    """
    if not 0 < level < 1:
        msg = f"level = {level}: the coverage must lie within (0, 1)"
        raise DataError(msg)
    hits, cases = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    )
    if not (cases >= 1).all():
        msg = "totals hold a 0: a share of no case does not exist; leave that row out"
        raise DataError(msg)
    if not ((hits >= 0) & (hits <= cases)).all():
        msg = "successes must lie between 0 and their totals: check which counts were given"
        raise DataError(msg)
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, cases, alpha=1 - level, method="wilson")
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def row_shares(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Share of each column within its row, with Wilson's interval.

    Args:
        table: whole counts; index and columns are the names.
        level: coverage of the interval.

    Returns:
        One row a cell: row, column, count, total, share, low, high.

    Raises:
        DataError: as :func:`check_table`.
    """
    check_table(table, whole=True)
    cells = [(row, [column]) for row in table.index for column in table.columns]
    tidy = pd.concat([group_share(table, [row], column, level) for row, column in cells])
    tidy = tidy.rename(columns={"rows": "row", "columns": "column"})
    return tidy.reset_index(drop=True)


def group_share(
    table: pd.DataFrame, rows: Sequence[Any], columns: Sequence[Any], level: float = 0.95
) -> pd.DataFrame:
    """Share of some columns, taken together, within some rows, taken together.

    The published luminal masses that are irregular or lobular, 96 of 123 Luminal-A, are
    ``group_share(subtype_table(), ["Luminal-A"], ["irregular", "lobular"])``.

    Args:
        table: whole counts; index and columns are the names.
        rows: names of the rows.
        columns: names of the columns.
        level: coverage of Wilson's interval.

    Returns:
        One row: rows, columns (joined by `` + ``), count, total, share, low, high.

    Raises:
        DataError: a name that the table does not have, or rows without a case.
    """
    for field, names, known in (("row", rows, table.index), ("column", columns, table.columns)):
        for name in names:
            if name not in known:
                msg = f"{field} {name!r} is not in the table: use one of {list(known)}"
                raise DataError(msg)
    chosen = table.loc[list(rows)]
    count, total = int(chosen[list(columns)].to_numpy().sum()), int(chosen.to_numpy().sum())
    low, high = wilson_interval(count, total, level)
    label = {"rows": " + ".join(map(str, rows)), "columns": " + ".join(map(str, columns))}
    numbers = {"count": count, "total": total, "share": count / total}
    return pd.DataFrame([{**label, **numbers, "low": float(low), "high": float(high)}])

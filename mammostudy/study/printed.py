"""Summaries as a page prints them: a row a group, a metric with its interval in one cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pandas as pd

from mammostudy.study import words

NOT_RUN: Final = "not run"
MISSING: Final = "–"


def cell(mean: float, low: float, high: float, digits: int = 3) -> str:
    """Print a mean with its interval: ``0.842 [0.810, 0.871]``."""
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def cell_of(row: pd.Series, digits: int = 3) -> str:
    """Print the mean of a summary's row with its interval."""
    return cell(row["mean"], row["low"], row["high"], digits)


def wide_table(
    summary: pd.DataFrame,
    metrics: Mapping[str, str],
    by: Mapping[str, str],
    digits: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Lay a summary out for the eye.

    Args:
        summary: from :func:`mammostudy.study.tables.summarise`.
        metrics: column of the records' rows -> heading.
        by: column that names a group -> heading.
        digits: decimals of a metric where they are not 3.

    Returns:
        A row a group, in the summary's order: the group, a cell a metric, cases, patients, seeds,
        the first metric's standard deviation over seeds, and whether training had converged.
    """
    headings = [*by.values(), *metrics.values(), *_COUNTS]
    if summary.empty:
        return pd.DataFrame(columns=headings)
    out = []
    for group, part in summary.groupby(list(by), sort=False):
        rows = {str(row["metric"]): row for _, row in part.iterrows()}
        first = rows[next(iter(metrics))]
        printed = {
            heading: cell_of(rows[name], (digits or {}).get(name, 3))
            for name, heading in metrics.items()
        }
        spread = float(first["seed_sd"])
        sd = MISSING if math.isnan(spread) else f"{spread:.3f}"
        counts = (first["cases"], first["patients"], first["seeds"], sd, first["converged"])
        names = dict(zip(by.values(), group, strict=True))
        out.append(names | printed | dict(zip(_COUNTS, counts, strict=True)))
    return pd.DataFrame(out, columns=headings)


_COUNTS: Final = ("cases", "patients", "trainings", "SD over seeds", "converged")


def p_value(p: float) -> str:
    """Print a p value: three decimals, or that it is smaller."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def tests_table(tests: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Lay out paired comparisons for the eye.

    Args:
        tests: a row a comparison, with the fields of
            :class:`mammostudy.evaluation.statistics.PairedTest` as columns.
        names: column that names a comparison, or says more about it -> heading.

    Returns:
        The named columns, difference with its interval, p of the permutation test, patients and
        the smallest detectable difference.
    """
    headings = [*names.values(), *_TESTED]
    if tests.empty:
        return pd.DataFrame(columns=headings)
    table = tests[list(names)].rename(columns=dict(names))
    differences = [
        words.interval(row["difference"], row["low"], row["high"]) for _, row in tests.iterrows()
    ]
    table[_TESTED[0]] = differences
    table[_TESTED[1]] = tests["p_permutation"].map(p_value)
    table[_TESTED[2]] = tests["patients"]
    table[_TESTED[3]] = tests["smallest_detectable"].map("{:.3f}".format)
    return table


_TESTED: Final = (
    "difference [95 % interval]",
    "p, not corrected",
    "patients",
    "smallest detectable",
)


def with_absent(
    table: pd.DataFrame, expected: Iterable[Sequence[object]], keys: Sequence[str]
) -> pd.DataFrame:
    """Put the rows in the order expected, and print ``not run`` where there is none.

    Args:
        table: of :func:`wide_table`.
        expected: the groups that the page promises, a value a key.
        keys: headings of the columns that name a group.
    """
    groups = pd.DataFrame([tuple(group) for group in expected], columns=list(keys))
    full = groups.astype(object).merge(table.astype(object), how="left", on=list(keys))
    return full.where(full.notna(), NOT_RUN)

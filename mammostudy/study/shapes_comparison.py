"""Classifiers of shape compared on the masks they share: the alternatives, the ablations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mammostudy.evaluation.statistics import holm
from mammostudy.study import printed, shape_tables, words
from mammostudy.study.shapes import PAPER, Groups, Rows, settled


def tests(rows: Rows, classes: Sequence[str]) -> pd.DataFrame:
    """Compare the paper's CNN with every other classifier on the masks they share.

    Returns:
        A row an alternative: b (its name), the fields of
        :class:`mammostudy.evaluation.statistics.PairedTest` for accuracy, paper minus b; p_holm;
        macro, macro_low, macro_high (difference of macro recalls), masks, folds.
    """
    if PAPER not in rows:
        return pd.DataFrame()
    others = [name for name in rows if name != PAPER]
    table = pd.DataFrame(
        [made for name in others if (made := _against(rows[PAPER], rows[name], name, classes))]
    )
    return table if table.empty else table.assign(p_holm=holm(table["p_permutation"]))


def ablations(found: Groups, classes: Sequence[str]) -> pd.DataFrame:
    """Compare the paper's recipe with one field changed to the unchanged one, on shared masks.

    Returns:
        As :func:`tests` without p_holm, the changed recipe minus the paper's; ``b`` names the
        change, ``converged`` says whether its trainings settled.
    """
    paper = found["headline"].get(PAPER)
    if not paper:
        return pd.DataFrame()
    base, out = shape_tables.pooled(paper), []
    for name, listed in found["ablations"].items():
        if not listed or listed[0].spec == paper[0].spec:
            continue
        rows = shape_tables.pooled(listed)
        if made := _against(rows, base, name, classes):
            out.append(made | {"converged": settled(listed)})
    return pd.DataFrame(out)


def _against(
    a: pd.DataFrame, b: pd.DataFrame, name: str, classes: Sequence[str]
) -> dict[str, Any] | None:
    """Compare two classifiers, ``a`` minus ``b``, on the masks they share."""
    test = shape_tables.accuracy_test(a, b)
    if test is None:
        return None
    first, _ = shape_tables.shared(a, b)
    macro, low, high = shape_tables.macro_difference(a, b, classes)
    counts = {"masks": len(first), "folds": first["fold"].nunique()}
    return {"b": name, **vars(test), "macro": macro, "macro_low": low, "macro_high": high, **counts}


def printed_tests(table: pd.DataFrame, heading: str) -> pd.DataFrame:
    """Lay out :func:`tests` or :func:`ablations`; ``heading`` names the first column."""
    wide = printed.tests_table(table, {"b": heading})
    if table.empty:
        return wide
    cells = zip(table["macro"], table["macro_low"], table["macro_high"], strict=True)
    wide = wide.rename(columns={"difference [95 % interval]": "accuracy, difference"})
    wide.insert(2, "macro recall, difference", [words.interval(*cell) for cell in cells])
    if "p_holm" in table:
        wide["p, Holm"] = table["p_holm"].map(printed.p_value)
    wide[["masks", "folds"]] = table[["masks", "folds"]]
    if "converged" in table:
        wide["converged"] = table["converged"]
    return wide

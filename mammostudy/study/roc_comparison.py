"""The AUC of the paper's CNN against that of other classifiers of the same masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.classification import auc_difference_ci, delong_test
from mammostudy.evaluation.statistics import holm
from mammostudy.study import shape_tables
from mammostudy.study.roc import MICRO, PAPER, Tables, Values, arrays, rocs

_NONE: Final = (float("nan"), float("nan"))


def comparisons(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Compare the AUC of the paper's CNN with each other row, on the cases they share.

    Returns:
        Columns b (the other row), curve (a class, then ``macro``), cases, patients, a and b_auc
        (the two areas), difference, low, high (bootstrap over patients; missing where a class
        comes from one patient), p (DeLong; none for macro), p_holm (over all p of this table).
    """
    out = []
    for other in tables:
        if other != PAPER and PAPER in tables:
            out += _compared(tables[PAPER], tables[other], classes, other)
    table = pd.DataFrame(out, columns=list(_COMPARED))
    tested = table["p"].notna()
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"].to_numpy(dtype=np.float64))
    return table


_COMPARED: Final = (
    *("b", "curve", "cases", "patients", "a", "b_auc"),
    *("difference", "low", "high", "p", "p_holm"),
)


def _compared(
    ours: pd.DataFrame, theirs: pd.DataFrame, classes: Sequence[str], other: str
) -> list[tuple[object, ...]]:
    """Rows of :func:`comparisons` of two rows, without the correction."""
    mine, its = shape_tables.shared(ours, theirs)
    if mine.empty:
        return []
    labels, a = arrays(mine, classes)
    _, b = arrays(its, classes)
    first, second = rocs(mine, classes), rocs(its, classes)
    patients = mine["patient"].to_numpy()
    out: list[tuple[object, ...]] = []
    for name in first:
        if name == MICRO:
            continue
        number = list(classes).index(name) if name in classes else None
        truth = labels if number is None else labels == number
        pair = (a, b) if number is None else (a[:, number], b[:, number])
        p = float("nan") if number is None else _test(truth, *pair)
        low, high = _gap(truth, *pair, patients)
        areas = (first[name].auc, second[name].auc)
        counts = (len(mine), len(set(patients)))
        out.append((other, name, *counts, *areas, areas[0] - areas[1], low, high, p, np.nan))
    return out


def _test(truth: NDArray[np.generic], a: Values, b: Values) -> float:
    try:
        return delong_test(truth, a, b)
    except DataError:
        return float("nan")


def _gap(
    truth: NDArray[np.generic], a: Values, b: Values, patients: NDArray[np.generic]
) -> tuple[float, float]:
    try:
        return auc_difference_ci(truth, a, b, patients)[1:]
    except DataError:
        return _NONE

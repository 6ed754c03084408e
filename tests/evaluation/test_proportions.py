"""Wilson's interval; the shares that the paper prints of its subtype table."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation.association import group_share, row_shares
from mammostudy.evaluation.statistics import wilson_interval
from mammostudy.study.published import SHAPES, subtype_table


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (3, 10), (96, 123), (33, 33)])
def test_interval_agrees_with_scipy(hits, total):
    oracle = stats.binomtest(hits, total).proportion_ci(method="wilson")
    low, high = wilson_interval(hits, total)
    assert (float(low), float(high)) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_arrays_broadcast():
    low, high = wilson_interval([0, 5, 10], 10)
    assert low.shape == high.shape == (3,)
    assert high[0] == pytest.approx(1 - low[2])


@pytest.mark.parametrize(
    ("subtype", "shapes", "count", "total"),
    [
        ("Luminal-A", ("irregular", "lobular"), 96, 123),
        ("Luminal-B", ("irregular", "lobular"), 82, 107),
        ("HER-2", ("oval", "round"), 23, 33),
        ("Basal-like", ("oval", "round"), 22, 37),
    ],
)
def test_published_fractions(subtype, shapes, count, total):
    found = group_share(subtype_table(), [subtype], shapes).iloc[0]
    assert (found["count"], found["total"]) == (count, total)
    assert found["share"] == pytest.approx(count / total)
    assert found["low"] < found["share"] < found["high"]


def test_several_rows_together():
    found = group_share(subtype_table(), ["Luminal-A", "Luminal-B"], ["irregular", "lobular"])
    assert found.iloc[0][["rows", "count", "total"]].tolist() == ["Luminal-A + Luminal-B", 178, 230]


def test_rows_shares_hold_each_cell():
    table = row_shares(subtype_table())
    assert len(table) == 16
    assert table.groupby("row")["share"].sum().to_numpy() == pytest.approx(np.ones(4))
    cell = table.query("row == 'HER-2' and column == 'round'").iloc[0]
    assert (cell["count"], cell["total"]) == (15, 33)
    assert table["column"].unique().tolist() == list(SHAPES)


def test_bad_input():
    with pytest.raises(DataError, match="totals hold a 0"):
        wilson_interval(0, 0)
    with pytest.raises(DataError, match="between 0 and their totals"):
        wilson_interval(5, 4)
    with pytest.raises(DataError, match="level = 2"):
        wilson_interval(1, 4, level=2)
    with pytest.raises(DataError, match="row 'luminal' is not in the table"):
        group_share(subtype_table(), ["luminal"], ["round"])
    with pytest.raises(DataError, match=r"empty row \(HER-2\)"):
        row_shares(pd.DataFrame([[1, 2], [0, 0]], index=["Luminal-A", "HER-2"]))

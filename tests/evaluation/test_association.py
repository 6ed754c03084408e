"""Association in tables: scipy and statsmodels as oracles, the published table as example."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats.contingency import association as scipy_association
from statsmodels.stats.power import GofChisquarePower

from mammostudy.errors import DataError
from mammostudy.evaluation.association import (
    adjusted_residuals,
    chi_square,
    chi_square_power,
    cramers_v,
    cramers_v_ci,
    fisher_monte_carlo,
    group_share,
    individuals,
    misclassified,
    row_shares,
    smallest_detectable_v,
    v_of_tables,
)
from mammostudy.study.published import confusion_matrix, subtype_table

PUBLISHED = subtype_table()
TABLES = [PUBLISHED.to_numpy(), [[10, 3], [2, 9]], [[5, 1, 0], [2, 8, 4]], np.ones((3, 5), int)]
COUNTS = np.asarray(confusion_matrix(), dtype=float)
CONFUSION = COUNTS / COUNTS.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("table", TABLES)
def test_v_agrees_with_scipy(table):
    oracle = scipy_association(np.asarray(table), method="cramer")
    assert cramers_v(table) == pytest.approx(oracle, abs=1e-7)


def test_v_of_certainty_of_nothing_and_its_correction_by_hand():
    assert cramers_v(np.diag([5, 6, 7])) == pytest.approx(1)
    assert cramers_v([[10, 20], [30, 60]]) == pytest.approx(0, abs=1e-7)
    # 2 x 2, n = 40, chi2 = 10 (phi2 = 1/4): phi2 - 1/39, min side 2 - 1/39
    table = [[15, 5], [5, 15]]
    assert chi_square(table).statistic == pytest.approx(10)
    expected = np.sqrt((0.25 - 1 / 39) / (2 - 1 / 39 - 1))
    assert cramers_v(table, corrected=True) == pytest.approx(expected)


def test_v_of_tables_leaves_empty_lines_out():
    full, padded = np.array([[5.0, 1.0], [2.0, 8.0]]), np.zeros((3, 3))
    padded[:2, :2] = full
    for corrected in (False, True):
        one, two = (v_of_tables(t[None], corrected)[0] for t in (full, padded))
        assert one == pytest.approx(two)
    assert v_of_tables(np.array([[[3.0, 4.0], [0.0, 0.0]]]))[0] == 0
    assert v_of_tables(np.zeros((1, 2, 2)))[0] == 0


def test_tests_of_the_published_table():
    found, oracle = chi_square(PUBLISHED), stats.chi2_contingency(PUBLISHED)
    assert (found.statistic, found.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert (found.degrees, found.sparse) == (9, (oracle.expected_freq < 5).mean())
    assert cramers_v(PUBLISHED) == pytest.approx(np.sqrt(found.statistic / 900))
    residuals = adjusted_residuals(PUBLISHED)
    assert residuals[2, 3] > 3  # HER-2, round
    table = [[12, 5], [6, 14]]
    assert adjusted_residuals(table) ** 2 == pytest.approx(chi_square(table).statistic)
    assert fisher_monte_carlo(PUBLISHED, draws=499) == pytest.approx(1 / 500)


def test_fisher_is_exact_on_two_by_two_and_agrees_with_enumeration():
    table = [[8, 2], [1, 5]]
    assert fisher_monte_carlo(table) == pytest.approx(stats.fisher_exact(table).pvalue)
    table = np.array([[3, 1, 0], [1, 3, 2]])  # all 2 x 3 tables with these margins
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    law = stats.random_table(rows, columns)
    chance = [
        law.pmf(np.array([[i, j, rows[0] - i - j], columns - [i, j, rows[0] - i - j]]))
        for i in range(columns[0] + 1)
        for j in range(columns[1] + 1)
        if 0 <= rows[0] - i - j <= columns[2]
    ]
    assert sum(chance) == pytest.approx(1)
    exact = sum(p for p in chance if p <= law.pmf(table) * (1 + 1e-7))
    assert fisher_monte_carlo(table, draws=9999) == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize(
    "table", [[[1, 1, 0], [0, 0, 1]], [[1, 1, 0], [0, 0, 2]], [[2, 0, 1], [1, 1, 0]]]
)
def test_fisher_of_three_to_five_cases_is_a_number(table):
    """SciPy's own p of so few cases is an array of one."""
    p = fisher_monte_carlo(table, draws=199)
    assert isinstance(p, float)
    assert 0 < p <= 1


def test_patients_are_drawn_whole():
    rows, columns = individuals([[12, 5, 3], [4, 10, 6]])
    once = cramers_v_ci(rows, columns, np.arange(40))
    three = rows.repeat(3), columns.repeat(3)
    assert cramers_v_ci(*three, np.arange(40).repeat(3)) == pytest.approx(once)
    naive = cramers_v_ci(*three)
    assert naive[1] - naive[0] < 0.75 * (once[1] - once[0])
    with pytest.raises(DataError):
        cramers_v_ci(["a", None], ["x", "y"])


@pytest.mark.parametrize(("v", "cases"), [(0.1, 300), (0.2, 80), (0.3, 186)])
def test_power_agrees_with_statsmodels(v, cases):
    # a goodness-of-fit test of 10 bins has the 9 degrees of a 4 x 4 table
    oracle = GofChisquarePower().power(v * math.sqrt(3), cases, 0.05, n_bins=10)
    assert chi_square_power(v, (4, 4), cases) == pytest.approx(oracle, abs=1e-9)
    assert smallest_detectable_v((4, 4), cases, power=oracle) == pytest.approx(v, rel=1e-6)


def test_perfect_blind_and_published_classifiers():
    perfect = misclassified(PUBLISHED, np.eye(4), draws=50)
    assert perfect.before == perfect.after == pytest.approx(perfect.expected)
    blind = misclassified(PUBLISHED, np.full((4, 4), 0.25))
    assert blind.after == pytest.approx(0, abs=1e-7)
    assert blind.expected == pytest.approx(math.sqrt(9 / 900), abs=0.015)
    found = misclassified(PUBLISHED, CONFUSION)
    assert found.table == pytest.approx(PUBLISHED.to_numpy() @ CONFUSION)
    assert found.after < found.before == pytest.approx(cramers_v(PUBLISHED))
    assert found.low < found.expected < found.high


def test_what_is_no_table_is_refused():
    for table in ([[1, 2]], [1, 2], [[1, -2], [3, 4]], [[1, np.nan], [3, 4]], [[1, 0], [3, 0]]):
        with pytest.raises(DataError, match="table"):
            cramers_v(table)


def test_published_fractions():
    found = group_share(PUBLISHED, ["Luminal-A", "Luminal-B"], ["irregular", "lobular"]).iloc[0]
    assert found[["rows", "count", "total"]].tolist() == ["Luminal-A + Luminal-B", 96 + 82, 230]
    assert found["low"] < found["share"] < found["high"]
    cell = row_shares(PUBLISHED).query("row == 'HER-2' and column == 'round'").iloc[0]
    assert (cell["count"], cell["total"], cell["share"]) == (15, 33, 15 / 33)


def test_misclassified_by_hand():
    # columns confused with 10 %: the difference of shares shrinks from 0.6 to 0.48
    found = misclassified([[80, 20], [20, 80]], [[0.9, 0.1], [0.1, 0.9]], draws=10)
    assert (found.before, found.after) == pytest.approx((0.6, 0.48))

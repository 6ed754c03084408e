"""Association in tables: scipy and statsmodels as oracles, the published table as example."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats.contingency import association as scipy_association
from statsmodels.stats.contingency_tables import Table as StatsmodelsTable

from mammostudy.errors import DataError
from mammostudy.evaluation.association import (
    adjusted_residuals,
    check_table,
    chi_square,
    cramers_v,
    cramers_v_ci,
    fisher_monte_carlo,
    individuals,
    v_of_tables,
)
from mammostudy.study.published import subtype_table

PUBLISHED = subtype_table()
TABLES = [PUBLISHED.to_numpy(), [[10, 3], [2, 9]], [[5, 1, 0], [2, 8, 4]], np.ones((3, 5), int)]


@pytest.mark.parametrize("table", TABLES)
def test_v_agrees_with_scipy(table):
    oracle = scipy_association(np.asarray(table), method="cramer")
    assert cramers_v(table) == pytest.approx(oracle, abs=1e-7)


def test_v_of_certainty_and_of_nothing():
    assert cramers_v(np.diag([5, 6, 7])) == pytest.approx(1)
    assert cramers_v([[10, 20], [30, 60]]) == pytest.approx(0, abs=1e-7)


def test_correction_by_hand():
    # 2 x 2, n = 40, chi2 = 10 (phi2 = 1/4): phi2 - 1/39, min side 2 - 1/39
    table = [[15, 5], [5, 15]]
    assert chi_square(table).statistic == pytest.approx(10)
    expected = np.sqrt((0.25 - 1 / 39) / (2 - 1 / 39 - 1))
    assert cramers_v(table, corrected=True) == pytest.approx(expected)


def test_correction_takes_the_bias_away_under_independence():
    rng = np.random.default_rng(0)
    tables = rng.multinomial(100, np.full(16, 1 / 16), 2000).reshape(-1, 4, 4).astype(float)
    plain, corrected = v_of_tables(tables), v_of_tables(tables, corrected=True)
    assert plain.mean() > 0.15
    assert corrected.mean() < 0.06


def test_v_of_tables_leaves_empty_lines_out():
    full = np.array([[5.0, 1.0], [2.0, 8.0]])
    padded = np.zeros((3, 3))
    padded[:2, :2] = full
    for corrected in (False, True):
        one, two = (v_of_tables(t[None], corrected)[0] for t in (full, padded))
        assert one == pytest.approx(two)
    assert v_of_tables(np.array([[[3.0, 4.0], [0.0, 0.0]]]))[0] == 0
    assert v_of_tables(np.zeros((1, 2, 2)))[0] == 0


def test_chi_square_of_the_published_table():
    found = chi_square(PUBLISHED)
    oracle = stats.chi2_contingency(PUBLISHED)
    assert (found.statistic, found.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert found.degrees == 9
    rows, columns = PUBLISHED.sum(axis=1), PUBLISHED.sum(axis=0)
    assert found.expected == pytest.approx(np.outer(rows, columns) / 300)
    assert found.sparse == pytest.approx((np.outer(rows, columns) / 300 < 5).mean())
    assert cramers_v(PUBLISHED) == pytest.approx(np.sqrt(found.statistic / 900))


def test_residuals_agree_with_statsmodels():
    oracle = StatsmodelsTable(PUBLISHED.to_numpy()).standardized_resids
    found = adjusted_residuals(PUBLISHED)
    assert found == pytest.approx(oracle)
    her2_round = found[2, 3]
    assert her2_round > 3


def test_squared_residual_of_a_two_by_two_is_chi_square():
    table = [[12, 5], [6, 14]]
    assert adjusted_residuals(table) ** 2 == pytest.approx(chi_square(table).statistic)


def test_fisher_is_exact_on_two_by_two():
    table = [[8, 2], [1, 5]]
    assert fisher_monte_carlo(table) == pytest.approx(stats.fisher_exact(table).pvalue)


def test_fisher_monte_carlo_agrees_with_enumeration():
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


def test_fisher_of_the_published_table_is_as_small_as_draws_allow_and_repeats():
    assert fisher_monte_carlo(PUBLISHED, draws=499) == pytest.approx(1 / 500)
    table = [[5, 3, 2], [2, 4, 4], [3, 3, 4]]
    assert fisher_monte_carlo(table, 500, seed=4) == fisher_monte_carlo(table, 500, seed=4)


def test_individuals_give_the_table_back():
    rows, columns = individuals(PUBLISHED)
    assert len(rows) == 300
    assert (pd.crosstab(rows, columns).to_numpy() == PUBLISHED.to_numpy()).all()


def test_bootstrap_interval_of_v():
    rows, columns = individuals(PUBLISHED)
    low, high = cramers_v_ci(rows, columns)
    assert 0.15 < low < cramers_v(PUBLISHED) < high < 0.5
    low, high = cramers_v_ci(rows, columns, corrected=True)
    assert low < cramers_v(PUBLISHED, corrected=True) < high


def test_bootstrap_agrees_with_resampled_cases():
    rows, columns = individuals([[12, 5, 3], [4, 10, 6]])
    rng, oracle = np.random.default_rng(1), []
    for _ in range(1000):
        at = rng.integers(0, 40, 40)
        oracle.append(
            scipy_association(np.histogram2d(rows[at], columns[at], (2, 3))[0].astype(int))
        )
    found = cramers_v_ci(rows, columns, draws=4000)
    assert found == pytest.approx(np.percentile(oracle, [2.5, 97.5]), abs=0.03)


def test_patients_are_drawn_whole():
    rows, columns = individuals([[12, 5, 3], [4, 10, 6]])
    patients = np.arange(40)
    once = cramers_v_ci(rows, columns, patients)
    tripled = cramers_v_ci(rows.repeat(3), columns.repeat(3), patients.repeat(3))
    naive = cramers_v_ci(rows.repeat(3), columns.repeat(3))
    assert tripled == pytest.approx(once)
    assert naive[1] - naive[0] < 0.75 * (once[1] - once[0])


@pytest.mark.parametrize(
    "function", [cramers_v, chi_square, fisher_monte_carlo, adjusted_residuals, individuals]
)
def test_empty_lines_are_named(function):
    table = PUBLISHED.copy()
    table.loc["HER-2"] = 0
    with pytest.raises(DataError, match=r"empty row \(HER-2\): leave it out"):
        function(table)
    with pytest.raises(DataError, match=r"empty column \(1\)"):
        function([[1, 0], [3, 0]])


def test_control_an_empty_line_would_have_no_expected_counts():
    with pytest.raises(ValueError, match="zero element"):
        stats.chi2_contingency([[1, 0], [3, 0]])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 2]], "two rows and two columns"),
        ([1, 2], "two rows and two columns"),
        ([[1, -2], [3, 4]], "negative or missing"),
        ([[1, np.nan], [3, 4]], "negative or missing"),
        ([[0.5, 1], [3, 4]], "broken counts"),
    ],
)
def test_what_is_no_table(table, message):
    with pytest.raises(DataError, match=message):
        check_table(table, whole=True)


def test_bad_cases():
    with pytest.raises(DataError, match="columns of shape"):
        cramers_v_ci([0, 1], [0])
    with pytest.raises(DataError, match=r"rows\[1\] is missing"):
        cramers_v_ci(["a", None], ["x", "y"])
    with pytest.raises(DataError, match="two rows"):
        cramers_v_ci(["a", "a"], ["x", "y"])
    with pytest.raises(DataError, match="draws = 0"):
        cramers_v_ci([0, 1], [0, 1], draws=0)
    with pytest.raises(DataError, match="draws = 0"):
        fisher_monte_carlo(PUBLISHED, draws=0)

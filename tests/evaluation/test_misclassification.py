"""Power against simulation and statsmodels; what an erring classifier leaves of a table."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import GofChisquarePower

from mammostudy.errors import DataError
from mammostudy.evaluation.association import cramers_v
from mammostudy.evaluation.classification import row_normalised
from mammostudy.evaluation.misclassification import (
    chi_square_power,
    misclassified,
    smallest_detectable_v,
)
from mammostudy.study.published import confusion_matrix, subtype_table

TABLE = subtype_table()
CONFUSION = row_normalised(confusion_matrix())


@pytest.mark.parametrize(("v", "cases"), [(0.1, 300), (0.2, 80), (0.3, 186)])
def test_power_agrees_with_statsmodels(v, cases):
    # a goodness-of-fit test of 10 bins has the 9 degrees of a 4 x 4 table
    oracle = GofChisquarePower().power(v * math.sqrt(3), cases, 0.05, n_bins=10)
    assert chi_square_power(v, (4, 4), cases) == pytest.approx(oracle, abs=1e-9)


def test_power_is_what_simulated_tables_reject():
    shares = np.array([[0.16, 0.09], [0.09, 0.16], [0.25, 0.25]])
    v = cramers_v(shares * 1e6)
    tables = np.random.default_rng(0).multinomial(120, shares.ravel(), 1500).reshape(-1, 3, 2)
    rejected = np.mean([stats.chi2_contingency(t).pvalue < 0.05 for t in tables])
    assert chi_square_power(v, (3, 2), 120) == pytest.approx(rejected, abs=0.04)


def test_power_at_no_association_is_the_level():
    assert chi_square_power(0, (4, 4), 300) == 0.05
    assert chi_square_power(1e-7, (4, 4), 300) == pytest.approx(0.05, abs=1e-6)


def test_smallest_detectable_is_the_inverse():
    v = smallest_detectable_v((4, 4), 300)
    assert chi_square_power(v, (4, 4), 300) == pytest.approx(0.8, abs=1e-6)
    assert smallest_detectable_v((4, 4), 1200) == pytest.approx(v / 2, rel=1e-6)
    assert smallest_detectable_v((4, 4), 2) == math.inf


def test_perfect_classifier_leaves_the_table():
    found = misclassified(TABLE, np.eye(4), draws=50)
    assert found.table == pytest.approx(TABLE.to_numpy())
    assert found.before == found.after == pytest.approx(found.expected)
    assert found.low == pytest.approx(found.high)


def test_blind_classifier_leaves_nothing_but_chance():
    found = misclassified(TABLE, np.full((4, 4), 0.25))
    assert found.after == pytest.approx(0, abs=1e-7)
    assert found.expected == pytest.approx(math.sqrt(9 / 900), abs=0.015)


def test_published_confusion_weakens_the_published_table():
    found = misclassified(TABLE, CONFUSION)
    assert found.table == pytest.approx(TABLE.to_numpy() @ CONFUSION)
    assert found.table.sum(axis=1) == pytest.approx(TABLE.sum(axis=1))
    assert found.before == pytest.approx(cramers_v(TABLE))
    assert found.after < found.before
    assert found.low < found.expected < found.high


def test_two_by_two_by_hand():
    # columns confused with 10 %: the difference of shares shrinks from 0.6 to 0.48
    found = misclassified([[80, 20], [20, 80]], [[0.9, 0.1], [0.1, 0.9]], draws=10)
    assert found.table == pytest.approx(np.array([[74, 26], [26, 74]]))
    assert (found.before, found.after) == pytest.approx((0.6, 0.48))


def test_expected_v_is_that_of_cases_classified_one_by_one():
    table, confusion = np.array([[8, 4], [3, 9]]), np.array([[0.8, 0.2], [0.3, 0.7]])
    rng, oracle = np.random.default_rng(3), []
    rows, columns = (axis.ravel().repeat(table.ravel()) for axis in np.indices((2, 2)))
    for _ in range(1500):
        predicted = (rng.random(24) < confusion[columns, 1]).astype(int)
        seen = np.zeros((2, 2))
        np.add.at(seen, (rows, predicted), 1)
        oracle.append(cramers_v(seen) if seen.sum(axis=0).all() else 0.0)
    assert misclassified(table, confusion).expected == pytest.approx(np.mean(oracle), abs=0.02)


def test_a_column_never_predicted_is_left_out():
    confusion = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = misclassified([[5, 1, 2], [1, 6, 3]], confusion, draws=5)
    assert found.after == pytest.approx(cramers_v([[5, 3], [1, 9]]))


@pytest.mark.parametrize(
    ("table", "confusion", "message"),
    [
        (TABLE, confusion_matrix(), "sum to 1; divide the rows"),
        (TABLE, np.eye(3), "table has 4 columns"),
        ([[1, 2], [0, 0]], np.eye(2), "empty row"),
        ([[0.5, 2], [1, 1]], np.eye(2), "broken counts"),
        ([[1, 2], [1, 1]], [[2, -1], [0, 1]], "sum to 1"),
    ],
)
def test_bad_tables(table, confusion, message):
    with pytest.raises(DataError, match=message):
        misclassified(table, confusion)


def test_bad_numbers():
    with pytest.raises(DataError, match="draws = 0"):
        misclassified(TABLE, CONFUSION, draws=0)
    with pytest.raises(DataError, match=r"v = 1\.5"):
        chi_square_power(1.5, (4, 4), 300)
    with pytest.raises(DataError, match=r"power = 0\.01"):
        smallest_detectable_v((4, 4), 300, power=0.01)

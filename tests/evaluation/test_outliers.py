import math

import numpy as np
import pytest
from matplotlib import cbook

from mammostudy.errors import DataError
from mammostudy.evaluation import outliers
from mammostudy.evaluation.resampling import times_drawn

SPREAD = np.linspace(0.6, 0.9, 19)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 2, 3, 4, 5], []),  # quartiles 2 and 4: below -1
        ([-1.1, 2, 3, 4, 5], [0]),  # the same quartiles: below -1
        ([-1.0, 2, 3, 4, 5], []),  # the limit itself is not below
        ([0.5, 0.5, 0.5, 0.5, 0.4], [4]),  # no spread: whatever is lower
        ([9, 1, 1, 1, 1], []),  # a high one is no low one
        ([0.3], []),
    ],
)
def test_low_outliers_by_hand(values, found):
    assert np.flatnonzero(outliers.low_outliers(values)).tolist() == found


def test_matplotlib_draws_the_same_outliers():
    values = np.random.default_rng(0).beta(5, 1, 200)
    drawn = cbook.boxplot_stats(values, whis=1.5)[0]
    fliers = [v for v in drawn["fliers"] if v < drawn["q1"]]
    assert len(fliers) > 3
    assert sorted(values[outliers.low_outliers(values)]) == sorted(fliers)


@pytest.mark.parametrize("values", [[], [0.1, math.nan]])
def test_values_that_cannot_be_judged(values):
    with pytest.raises(DataError, match="all finite"):
        outliers.low_outliers(values)


def test_shares_of_resamples_are_those_of_the_repeated_cases():
    rng = np.random.default_rng(1)
    cases = rng.beta(5, 1, 40).round(2)  # with ties
    codes = rng.integers(0, 12, 40)
    codes[:12] = range(12)
    drawn = rng.integers(0, 12, (30, 12))
    found = outliers._shares(cases, codes, drawn)
    for share, times in zip(found, times_drawn(drawn), strict=True):
        repeated = np.repeat(cases, times[codes])
        assert share == pytest.approx(outliers.low_outliers(repeated).mean())
    assert len(set(found.tolist())) > 5


def test_a_treatment_that_leaves_outliers_is_told():
    one = np.tile(SPREAD, 4)
    other = one.copy()
    other[:8] = 0.0
    patients = np.arange(76)
    test = outliers.fewer_outliers(one, other, patients, draws=500)
    assert test.difference == pytest.approx(8 / 76)
    assert 0 < test.low < test.difference < test.high
    assert test.p_permutation < 0.05
    assert math.isnan(test.p_wilcoxon)
    back = outliers.fewer_outliers(other, one, patients, draws=500)
    assert back.difference == -test.difference


def test_control_alike_treatments_are_not_told_apart():
    test = outliers.fewer_outliers(SPREAD, SPREAD, np.arange(19), draws=200)
    assert (test.difference, test.low, test.high, test.p_permutation) == (0, 0, 0, 1)


def test_patients_are_exchanged_whole():
    """Two patients of many cases each: four ways to exchange them, half of them as extreme."""
    one = np.tile(SPREAD, 2)
    other = one.copy()
    other[:4] = 0.0
    test = outliers.fewer_outliers(one, other, np.repeat([0, 1], 19), draws=2_000)
    assert test.p_permutation == pytest.approx(1.0, abs=0.01)
    apart = outliers.fewer_outliers(one, other, np.arange(38), draws=2_000)
    assert apart.p_permutation < 0.5


def test_one_patient_tells_nothing():
    test = outliers.fewer_outliers(SPREAD, SPREAD / 2, np.zeros(19))
    assert (test.low, test.high, test.patients) == (-math.inf, math.inf, 1)


@pytest.mark.parametrize(
    ("b", "patients"),
    [(SPREAD[:-1], np.arange(19)), (SPREAD, np.arange(18)), (SPREAD, [None] * 19)],
)
def test_bad_input_is_refused(b, patients):
    with pytest.raises(DataError):
        outliers.fewer_outliers(SPREAD, b, patients)

"""Resamples of patients: fast ways against the general one, limits against scipy."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation import resampling
from mammostudy.evaluation.resampling import (
    bca_limits,
    clusters,
    patient_differences,
    resamples,
    times_drawn,
)
from mammostudy.evaluation.statistics import bootstrap_ci

RNG = np.random.default_rng(7)
SKEWED = RNG.beta(8, 2, 60)
ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0]), st.integers(0, 4)), min_size=1, max_size=9
)


@settings(max_examples=40)
@given(ROWS)
def test_fast_mean_and_median_are_the_general_way(rows):
    cases, codes, _ = clusters([v for v, _ in rows], [f"p{p}" for _, p in rows])
    median = resamples(cases, codes, np.median, 60, seed=3)
    np.testing.assert_array_equal(median, resamples(cases, codes, lambda v: np.median(v), 60, 3))
    mean = resamples(cases, codes, np.mean, 60, seed=3)
    np.testing.assert_allclose(mean, resamples(cases, codes, lambda v: v.mean(), 60, 3), atol=1e-12)


def test_resamples_by_hand():
    """Two patients, of one case and of two: four draws of two, each with its own mean."""
    cases, codes, count = clusters([0.0, 1.0, 4.0], ["a", "b", "b"])
    assert count == 2
    found = set(resamples(cases, codes, np.mean, 500, seed=0).round(9))
    assert found == {0.0, round(5 / 3, 9), 2.5}
    assert set(resamples(cases, codes, np.median, 500, seed=0)) == {0.0, 1.0, 2.5}


def test_times_drawn_counts():
    np.testing.assert_array_equal(
        times_drawn(np.array([[0, 0, 2], [1, 2, 0]])), [[2, 0, 1], [1, 1, 1]]
    )


@pytest.mark.parametrize("statistic", [np.mean, np.median, lambda v, axis=-1: np.var(v, axis=axis)])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_bca_moves_the_same_resamples_as_scipy_does(statistic, level):
    cases, codes, _ = clusters(SKEWED, np.arange(60))
    found = resamples(cases, codes, statistic, 2000, seed=1)
    oracle = stats.bootstrap(
        (cases,), statistic, n_resamples=0, confidence_level=level, method="BCa",
        bootstrap_result=SimpleNamespace(bootstrap_distribution=found),
    ).confidence_interval  # fmt: skip
    got = bca_limits(found, cases, codes, statistic, level)
    assert got == pytest.approx((oracle.low, oracle.high), abs=1e-9)
    asked = bootstrap_ci(SKEWED, np.arange(60), statistic, 2000, level, seed=1, method="bca")
    assert asked == pytest.approx(got)


def test_bca_leaves_out_whole_patients():
    once = bootstrap_ci(SKEWED, np.arange(60), method="bca", draws=2000)
    tripled = bootstrap_ci(
        np.repeat(SKEWED, 3), np.repeat(np.arange(60), 3), method="bca", draws=2000
    )
    assert tripled == pytest.approx(once)
    assert once != pytest.approx(bootstrap_ci(SKEWED, np.arange(60), draws=2000), abs=1e-4)


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.0, 0.0, 1.0]])
def test_bca_of_few_values_is_finite(values):
    low, high = bootstrap_ci(values, list("abc"), np.median, method="bca")
    assert min(values) <= low <= high <= max(values)
    assert bootstrap_ci([0.2, 0.4], ["a", "a"], method="bca") == pytest.approx((0.3, 0.3))


def test_an_unknown_method_is_refused():
    with pytest.raises(DataError, match="percentile or bca"):
        bootstrap_ci([0.1, 0.2], ["a", "b"], method="basic")


def test_differences_are_of_patients_in_order_of_their_names():
    found = patient_differences([3.0, 1.0, 5.0], [0.0, 0.0, 1.0], ["b", "a", "b"])
    np.testing.assert_allclose(found, [1.0, 3.5])


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_a_thousand_cases_cost_little_work(statistic, monkeypatch):
    """The general way would be asked ten thousand times; the fast ones never."""
    monkeypatch.setattr(resampling, "_statistics", None)
    values = np.random.default_rng(0).random(1000)
    start = time.process_time()
    bootstrap_ci(values, np.arange(1000), statistic)
    assert time.process_time() - start < 2

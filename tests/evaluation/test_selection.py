"""Rank correlation and risk against coverage: by hand, by scipy, by enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation import selection
from mammostudy.evaluation.selection import rank_correlation, risk_coverage

RNG = np.random.default_rng(4)
TIED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=9)


def test_risks_by_hand():
    """Kept in the order of the scores: errors 0, .4, .2, .6."""
    found = risk_coverage([0.1, 0.3, 0.2, 0.9], [0.0, 0.2, 0.4, 0.6])
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.risk, [0, 0.2, 0.2, 0.3])
    np.testing.assert_allclose(found.oracle, [0, 0.1, 0.2, 0.3])
    assert found.area == pytest.approx(0.7 / 4)
    assert found.oracle_area == pytest.approx(0.6 / 4)
    assert found.random_area == pytest.approx(0.3)
    assert found.gain == pytest.approx((0.3 - 0.175) / (0.3 - 0.15))


def test_the_ends_of_the_scale():
    errors = RNG.random(30)
    assert risk_coverage(errors, errors).gain == pytest.approx(1)
    assert risk_coverage(-errors, errors).gain < 0
    assert risk_coverage(np.ones(30), errors).gain == pytest.approx(0)
    assert risk_coverage(RNG.random(30), np.full(30, 0.25)).gain == 0


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=6))
def test_ties_are_the_mean_over_their_orders(pairs):
    scores, errors = np.array(pairs, float).T
    curves = [
        errors[list(order)].cumsum() / np.arange(1, len(errors) + 1)
        for order in itertools.permutations(range(len(errors)))
        if (np.diff(scores[list(order)]) >= 0).all()
    ]
    np.testing.assert_allclose(risk_coverage(scores, errors).risk, np.mean(curves, axis=0))


def test_a_random_order_has_the_mean_error():
    errors = RNG.random(20)
    areas = [risk_coverage(RNG.permutation(20), errors).area for _ in range(3000)]
    found = risk_coverage(np.zeros(20), errors)
    assert np.mean(areas) == pytest.approx(found.random_area, abs=0.005)
    assert min(areas) >= found.oracle_area


@pytest.mark.parametrize(
    ("errors", "rho"),
    [([1, 2, 3, 4], 1), ([4, 3, 2, 1], -1), ([2, 1, 4, 3], 0.6), ([5, 5, 5, 5], 0)],
)
def test_rho_by_hand(errors, rho):
    """One swap in each half: 1 - 6 (1 + 1 + 1 + 1) / (4 (16 - 1)) = .6."""
    found = rank_correlation([10, 20, 30, 40], errors, range(4), draws=50)
    assert found.rho == pytest.approx(rho)
    assert (found.cases, found.patients) == (4, 4)


@settings(max_examples=40)
@given(TIED, st.data())
def test_repeated_cases_correlate_as_scipy_says(pairs, data):
    scores, errors = np.array(pairs, float).T
    times = np.array(data.draw(st.tuples(*[st.integers(0, 3)] * len(pairs))))
    found = selection._weighted_rho((scores, errors), times[None])[0]
    repeated = [np.repeat(each, times) for each in (scores, errors)]
    if all(len(set(each)) > 1 for each in repeated):
        assert found == pytest.approx(stats.spearmanr(*repeated).statistic)
    else:
        assert found == 0


def test_the_interval_agrees_with_scipys():
    scores = RNG.random(50)
    errors = scores + RNG.normal(0, 0.3, 50)

    def rho(a, b, axis):
        ranks = [stats.rankdata(each, axis=axis) - 25.5 for each in (a, b)]
        scale = np.sqrt(np.prod([(each**2).sum(axis=axis) for each in ranks], axis=0))
        return (ranks[0] * ranks[1]).sum(axis=axis) / scale

    oracle = stats.bootstrap(
        (scores, errors), rho, paired=True, n_resamples=5000, method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    found = rank_correlation(scores, errors, range(50))
    assert found.rho == pytest.approx(stats.spearmanr(scores, errors).statistic)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.03)


def test_copies_of_a_case_add_no_certainty():
    scores, errors = RNG.random((2, 30))
    once = rank_correlation(scores, errors, range(30), draws=2000)
    three = [np.repeat(each, 3) for each in (scores, errors, np.arange(30))]
    tripled = rank_correlation(*three, draws=2000)
    assert (tripled.low, tripled.high) == pytest.approx((once.low, once.high))
    assert (tripled.cases, tripled.patients) == (90, 30)
    naive = rank_correlation(*three[:2], range(90), draws=2000)  # control
    assert naive.high - naive.low < 0.7 * (once.high - once.low)


def test_order_of_rows_and_names_do_not_matter():
    scores, errors = RNG.random((2, 20))
    names = np.array([f"p{i % 7}" for i in range(20)])
    order = RNG.permutation(20)
    there = rank_correlation(scores, errors, names, draws=300)
    back = rank_correlation(scores[order], errors[order], names[order], draws=300)
    assert (there.low, there.high) == pytest.approx((back.low, back.high))


@pytest.mark.parametrize(
    "call", [risk_coverage, lambda s, e: rank_correlation(s, e, range(len(s)))]
)
@pytest.mark.parametrize(
    ("scores", "errors", "message"),
    [
        ([0.1, 0.2], [0.1], "one of each a case"),
        ([0.1], [0.1], "two cases"),
        ([0.1, math.nan], [0.1, 0.2], r"scores\[1\] is nan"),
        ([0.1, 0.2], [math.inf, 0.2], r"errors\[0\] is inf"),
    ],
)
def test_refuses_bad_input(call, scores, errors, message):
    with pytest.raises(DataError, match=message):
        call(scores, errors)


def test_refuses_bad_patients_and_numbers():
    with pytest.raises(DataError, match="name the patient"):
        rank_correlation([0.1, 0.2], [0.1, 0.2], ["a", None])
    with pytest.raises(DataError, match="one of each a case"):
        rank_correlation([0.1, 0.2], [0.1, 0.2], ["a"])
    with pytest.raises(DataError, match="draws = 0"):
        rank_correlation([0.1, 0.2], [0.1, 0.2], ["a", "b"], draws=0)


def test_interval_of_the_gain_is_scipys():
    """The plain bootstrap of scipy, where every patient has one case."""
    scores = np.random.default_rng(5).random(40)
    errors = scores + np.random.default_rng(6).normal(0, 0.3, 40)
    oracle = stats.bootstrap(
        (scores, errors), lambda a, b: risk_coverage(a, b).gain, paired=True, vectorized=False,
        n_resamples=1500, method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    low, high = selection.gain_interval(scores, errors, range(40), draws=1500)
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.05)
    assert low < risk_coverage(scores, errors).gain < high


def test_interval_of_the_gain_draws_patients_whole():
    scores, errors = np.random.default_rng(7).random((2, 30))
    low, high = selection.gain_interval(scores, errors, range(30))
    three = [np.repeat(each, 3) for each in (scores, errors, np.arange(30))]
    assert selection.gain_interval(*three) == pytest.approx((low, high), abs=0.02)  # finer curve
    naive = selection.gain_interval(*three[:2], range(90))  # control
    assert naive[1] - naive[0] < 0.7 * (high - low)
    assert selection.gain_interval([1, 2], [1, 2], ["a", "b"], draws=9)[1] == 1
    with pytest.raises(DataError, match="draws = 0"):
        selection.gain_interval(scores, errors, range(30), draws=0)

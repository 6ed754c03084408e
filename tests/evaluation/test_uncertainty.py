"""Spread of samples, risk and outliers: by hand, by scipy, by enumeration."""

import math

import numpy as np
import pytest
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation import uncertainty as ours

RNG = np.random.default_rng(4)
PAIR = np.array([[[1.0, 0.5], [0.0, 0.25]], [[0.0, 0.5], [0.0, 0.75]]], np.float32)[:, None]


def test_maps_by_hand():
    """A sure yes and a sure no: one bit. Twice unsure: none. A quarter and three quarters: some."""
    np.testing.assert_allclose(ours.deviation_map(PAIR), [[[0.5, 0], [0, 0.25]]])
    apart = [1 - 2 / 4, 1 - 2 / 3, 1 - 0]  # masks of 2, 2 and 1 pixels
    three = [[[0.9, 0.9], [0, 0]], [[0.9, 0], [0.9, 0]], [[0, 0.9], [0, 0]]]
    assert ours.disagreement(np.array(three)[:, None]) == pytest.approx([np.mean(apart)])
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    np.testing.assert_allclose(ours.information_map(PAIR), [[[1, 0], [0, 1 - quarter]]], atol=1e-7)


def test_the_score_is_the_mean_where_any_sample_marks_mass():
    # marked: (0,0) by the first, (0,1) by both, (1,1) by the second
    expected = pytest.approx([(0.5 + 0 + 0.25) / 3])
    assert ours.spread_score(ours.deviation_map(PAIR), PAIR) == expected
    wide = np.pad(PAIR, ((0, 0), (0, 0), (0, 30), (0, 30)))
    assert ours.spread_score(ours.deviation_map(wide), wide) == expected
    assert ours.deviation_map(wide).mean() < 0.01 * ours.deviation_map(PAIR).mean()  # control
    faint = np.array([[[0.0, 0.4], [0, 0]], [[0.0, 0.0], [0, 0]]], np.float32)[:, None]
    assert ours.spread_score(ours.deviation_map(faint), faint) == pytest.approx([0.2 / 4])


def test_risks_by_hand():
    """Kept in the order of the scores: errors 0, .4, .2, .6."""
    found = ours.risk_coverage([0.1, 0.3, 0.2, 0.9], [0.0, 0.2, 0.4, 0.6])
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.risk, [0, 0.2, 0.2, 0.3])
    np.testing.assert_allclose(found.oracle, [0, 0.1, 0.2, 0.3])
    areas = found.risk.mean(), found.oracle.mean(), found.oracle[-1]
    assert areas == pytest.approx((0.7 / 4, 0.6 / 4, 0.3))
    assert found.gain == pytest.approx((0.3 - 0.175) / (0.3 - 0.15))
    errors = RNG.random(30)
    assert ours.risk_coverage(errors, errors).gain == pytest.approx(1)
    assert ours.risk_coverage(-errors, errors).gain < 0
    assert ours.risk_coverage(errors, np.full(30, 0.25)).gain == 0
    tied = ours.risk_coverage([1, 1, 2], [0.0, 0.6, 0.9])  # the mean over both orders
    np.testing.assert_allclose(tied.risk, [0.3, 0.3, 0.5])


def test_intervals_are_scipys_where_every_patient_has_one_case():
    scores = RNG.random(40)
    errors = scores + RNG.normal(0, 0.3, 40)
    options = {"paired": True, "vectorized": False, "n_resamples": 1500, "method": "percentile"}
    rho, gain = (
        stats.bootstrap((scores, errors), f, rng=np.random.default_rng(1), **options)
        for f in (
            lambda a, b: stats.spearmanr(a, b).statistic,
            lambda a, b: ours.risk_coverage(a, b).gain,
        )
    )
    found = ours.rank_correlation(scores, errors, range(40), draws=1500)
    assert found.rho == pytest.approx(stats.spearmanr(scores, errors).statistic)
    assert (found.low, found.high) == pytest.approx(tuple(rho.confidence_interval), abs=0.04)
    with pytest.raises(DataError):
        ours.rank_correlation([0.1, 0.2], [0.1, math.nan], ["a", "b"])
    limits = ours.gain_interval(scores, errors, range(40), draws=1500)
    assert limits == pytest.approx(tuple(gain.confidence_interval), abs=0.05)


SPREAD = np.linspace(0.6, 0.9, 19)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 2, 3, 4, 5], []),  # quartiles 2 and 4: below -1
        ([-1.1, 2, 3, 4, 5], [0]),  # the same quartiles: below -1
        ([-1.0, 2, 3, 4, 5], []),  # the limit itself is not below
        ([0.5, 0.5, 0.5, 0.5, 0.4], [4]),  # no spread: whatever is lower
        ([9, 1, 1, 1, 1], []),  # a high one is no low one
    ],
)
def test_low_outliers_by_hand(values, found):
    assert np.flatnonzero(ours.low_outliers(values)).tolist() == found

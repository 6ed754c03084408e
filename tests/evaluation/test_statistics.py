"""Intervals and tests over patients: worked by hand, by scipy and by statsmodels."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation.statistics import (
    bootstrap_ci,
    effect_size,
    holm,
    paired_test,
    patient_differences,
    patient_weights,
    resample,
    variance_parts,
    wilson_interval,
)

RNG = np.random.default_rng(7)
SKEWED = RNG.beta(8, 2, 80)
ALONE = np.arange(80)
TRIPLED = np.repeat(SKEWED, 3), np.repeat(ALONE, 3)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_fast_mean_is_the_general_path(method):
    patients = RNG.integers(0, 25, 80)
    general = bootstrap_ci(SKEWED, patients, lambda v: v.mean(), draws=700, method=method)
    assert bootstrap_ci(SKEWED, patients, draws=700, method=method) == pytest.approx(general)


def test_resamples_by_hand():
    """Two patients, of one case and of two: four draws of two, each with its own mean."""
    for multinomial in (False, True):
        weights = patient_weights(2, 500, np.random.default_rng(0), multinomial)
        assert {tuple(row) for row in weights.tolist()} == {(2, 0), (1, 1), (0, 2)}
        means = resample(
            lambda t: t @ [0.0, 5.0] / (t @ [1, 2]), 2, 500, 0, multinomial=multinomial
        )
        assert set(means.round(9)) == {0.0, round(5 / 3, 9), 2.5}
    assert {*bootstrap_ci([0.0, 1.0, 4.0], ["a", "b", "b"], np.median)} == {0.0, 2.5}


def test_copies_add_no_certainty_and_control_images_as_patients_would():
    low, high = bootstrap_ci(SKEWED, ALONE)
    assert bootstrap_ci(*TRIPLED) == pytest.approx((low, high))
    naive_low, naive_high = bootstrap_ci(TRIPLED[0], np.arange(240))
    assert naive_high - naive_low < 0.7 * (high - low)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=12), st.data())
def test_order_of_rows_and_names_do_not_matter(rows, data):
    shuffled = data.draw(st.permutations(rows))
    found = [
        bootstrap_ci([v for v, _ in r], [f"p{p}" for _, p in r], np.median, draws=200)
        for r in (rows, shuffled)
    ]
    assert found[0] == found[1]
    assert min(v for v, _ in rows) <= found[0][0] <= found[0][1] <= max(v for v, _ in rows)


@pytest.mark.parametrize("statistic", [np.mean, np.median, lambda v, axis=-1: np.var(v, axis=axis)])
def test_bca_moves_the_same_resamples_as_scipy_does(statistic):
    def general(times):
        return np.array([float(statistic(np.repeat(SKEWED[order], n))) for n in times])

    order = np.argsort(ALONE.astype(str))
    found = resample(general, 80, 1000, 1)
    oracle = stats.bootstrap(
        (SKEWED,), statistic, n_resamples=0, confidence_level=0.8, method="BCa",
        bootstrap_result=SimpleNamespace(bootstrap_distribution=found),
    ).confidence_interval  # fmt: skip
    asked = bootstrap_ci(SKEWED, ALONE, statistic, 1000, 0.8, seed=1, method="bca")
    assert asked == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_differences_are_of_patients_in_order_of_their_names():
    found = patient_differences([3.0, 1.0, 5.0], [0.0, 0.0, 1.0], ["b", "a", "b"])
    np.testing.assert_allclose(found, [1.0, 3.5])
    with pytest.raises(DataError, match="pair them"):
        paired_test([0.1, 0.2], [0.1], ["a", "b"])


def test_paired_test_agrees_with_scipy_over_patients():
    patients = np.repeat(np.arange(12), 2)
    a = RNG.normal(0.85, 0.05, 24)
    b = a - RNG.normal(0.03, 0.03, 24)
    found, back = paired_test(a, b, patients), paired_test(b, a, patients)
    per_patient = (a - b).reshape(12, 2).mean(axis=1)
    assert found.patients == 12
    assert found.difference == pytest.approx(per_patient.mean()) == pytest.approx(-back.difference)
    assert found.low < found.difference < found.high
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(per_patient).pvalue)
    assert found.p_wilcoxon == pytest.approx(back.p_wilcoxon)
    expected = (1.959964 + 0.841621) * per_patient.std(ddof=1) / math.sqrt(12)
    assert found.smallest_detectable == pytest.approx(expected, rel=1e-5)


def test_few_patients():
    """Sign flips are enumerated; without a difference and of one patient p is 1."""
    found = paired_test([1.0, 2.0, 3.0, 4.0], [0.0] * 4, list("abcd"))
    assert found.p_permutation == pytest.approx(2 / 16)
    same = paired_test([0.5, 0.6], [0.5, 0.6], ["a", "b"])
    assert (same.difference, same.p_wilcoxon, same.p_permutation) == (0, 1, 1)
    alone = paired_test([0.9, 0.8], [0.1, 0.2], ["a", "a"])
    assert alone.difference == pytest.approx(0.7)
    assert (alone.low, alone.high, alone.p_permutation) == (-math.inf, math.inf, 1)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.9]), [1, 1])
    with pytest.raises(DataError, match="outside"):
        holm([1.2])


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (96, 123)])
def test_wilson_agrees_with_scipy_and_broadcasts(hits, total):
    oracle = stats.binomtest(hits, total).proportion_ci(method="wilson")
    low, high = wilson_interval([hits, total - hits], total)
    assert (low[0], high[0]) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert high[0] == pytest.approx(1 - low[1])


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1, 2, -3], 0.0),  # ranks 1 + 2 against 3
        ([1, 2, 4, -3], 4 / 10),  # 1 + 2 + 4 against 3
        ([2, 2, -2, 0], 1 / 3),  # ties share rank 2, the zero has none
        ([-1, -5], -1.0),
        ([0, 0], 0.0),
    ],
)
def test_rank_biserial_by_hand(differences, expected):
    none = np.zeros(len(differences))
    assert effect_size(differences, none, range(len(none))) == pytest.approx(expected)


def rows(cells):
    """The values of a table (patients, seeds), and whose they are."""
    patients, seeds = np.indices(cells.shape)
    return cells.ravel(), patients.ravel(), seeds.ravel()


def test_a_layout_by_hand():
    # patients' means 2, 5, 8; seeds' means 4, 6; cells less both: +-1 in the first two patients
    found = variance_parts(*rows(np.array([[2.0, 2.0], [3.0, 7.0], [7.0, 9.0]])))
    # mean squares: patients 2 * 9 = 18, seeds 3 * 2 = 6, rest 4 * 1 / (2 * 1) = 2
    parts = (found.rest_sd**2, found.seed_sd**2, found.patient_sd**2)
    assert parts == pytest.approx((2, (6 - 2) / 3, (18 - 2) / 2))
    # F = 6 / 2 with 1 and 2 degrees of freedom: p = 1 - sqrt(3 / 5)
    assert found.p_seed == pytest.approx(1 - math.sqrt(3 / 5))
    assert found.error_of_mean() == pytest.approx(math.sqrt(8 / 3 + 4 / 6 + 2 / 6))


def test_mean_squares_and_p_are_those_of_statsmodels():
    sds = ((10, 1), 0.1), ((1, 4), 0.06), ((10, 4), 0.03)
    values, patients, seeds = rows(0.8 + sum(RNG.normal(0, sd, shape) for shape, sd in sds))
    found = variance_parts(values, patients, seeds)
    table = pd.DataFrame({"value": 10 * values, "patient": patients, "seed": seeds})
    anova = sm.stats.anova_lm(smf.ols("value ~ C(patient) + C(seed)", table).fit())
    assert found.rest_sd**2 == pytest.approx(anova.loc["Residual", "mean_sq"] / 100)
    assert found.p_seed == pytest.approx(anova.loc["C(seed)", "PR(>F)"])
    between = anova["mean_sq"] / 100
    seed = (between["C(seed)"] - between["Residual"]) / 10
    patient = (between["C(patient)"] - between["Residual"]) / 4
    assert (found.seed_sd**2, found.patient_sd**2) == pytest.approx((seed, patient))


def test_refuses_bad_input():
    for patients, seeds in (("aabb", "0100"), ("aaaa", "0101")):  # no layouts
        with pytest.raises(DataError):
            variance_parts([1, 2, 3, 4], list(patients), list(seeds))
    for values in ([0.1, math.nan], [0.1, "x"], []):
        with pytest.raises(DataError, match="values"):
            bootstrap_ci(values, ["a", "b"][: len(values)])
    with pytest.raises(DataError, match="patients"):
        bootstrap_ci([0.1, 0.2], ["a", None])
    for options in ({"draws": 0}, {"level": 95}, {"method": "basic"}):
        with pytest.raises(DataError, match=next(iter(options))):
            bootstrap_ci([0.1], ["a"], **options)

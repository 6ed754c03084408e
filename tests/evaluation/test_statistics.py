import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation import statistics
from mammostudy.evaluation.statistics import bootstrap_ci, holm, paired_test

RNG = np.random.default_rng(7)
SKEWED = RNG.beta(8, 2, 80)


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_one_case_a_patient_agrees_with_scipy(statistic):
    oracle = stats.bootstrap(
        (SKEWED,), statistic, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = bootstrap_ci(SKEWED, np.arange(80), statistic)
    assert found == pytest.approx((oracle.low, oracle.high), abs=0.004)


def test_fast_mean_is_the_general_path():
    patients = RNG.integers(0, 25, 80)
    general = bootstrap_ci(SKEWED, patients, lambda v: v.mean(), draws=700)
    assert bootstrap_ci(SKEWED, patients, draws=700) == pytest.approx(general)


def test_copies_of_a_case_add_no_certainty():
    once = bootstrap_ci(SKEWED, np.arange(80))
    tripled = bootstrap_ci(np.repeat(SKEWED, 3), np.repeat(np.arange(80), 3))
    assert tripled == pytest.approx(once)


def test_control_counting_images_as_patients_narrows_the_interval():
    low, high = bootstrap_ci(np.repeat(SKEWED, 3), np.repeat(np.arange(80), 3))
    naive_low, naive_high = bootstrap_ci(np.repeat(SKEWED, 3), np.arange(240))
    assert naive_high - naive_low < 0.7 * (high - low)


def test_interval_has_the_width_of_theory():
    values = np.random.default_rng(3).normal(0, 1, 400)
    low, high = bootstrap_ci(values, np.arange(400))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


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


def test_seed_level_and_single_patient():
    patients = np.arange(80)
    assert bootstrap_ci(SKEWED, patients, seed=1) != bootstrap_ci(SKEWED, patients, seed=2)
    wide, narrow = (bootstrap_ci(SKEWED, patients, level=p) for p in (0.99, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert bootstrap_ci([0.2, 0.4], ["a", "a"]) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize(
    ("values", "patients", "options", "message"),
    [
        ([0.1, math.nan], ["a", "b"], {}, r"values\[1\] \(patient b\) is nan"),
        ([0.1, math.inf], ["a", "b"], {}, "never as missing"),
        ([0.1, 0.2], ["a"], {}, "one of each a case"),
        ([], [], {}, "one of each a case"),
        ([0.1, 0.2], ["a", None], {}, r"patients\[1\] is missing"),
        ([0.1], ["a"], {"draws": 0}, "draws"),
        ([0.1], ["a"], {"level": 95}, "level"),
    ],
)
def test_refuses_bad_input(values, patients, options, message):
    with pytest.raises(DataError, match=message):
        bootstrap_ci(values, patients, **options)


def test_control_without_the_check_nan_would_pass_through(monkeypatch):
    monkeypatch.setattr(statistics.np, "isfinite", lambda v: np.ones(np.shape(v), bool))
    assert math.isnan(bootstrap_ci([0.1, math.nan], ["a", "b"])[0])


def test_paired_test_agrees_with_scipy_over_patients():
    patients = np.repeat(np.arange(12), 2)
    a = RNG.normal(0.85, 0.05, 24)
    b = a - RNG.normal(0.03, 0.03, 24)
    found = paired_test(a, b, patients)
    per_patient = (a - b).reshape(12, 2).mean(axis=1)
    assert found.patients == 12
    assert found.difference == pytest.approx(per_patient.mean())
    assert found.low < found.difference < found.high
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(per_patient).pvalue)
    expected = (1.959964 + 0.841621) * per_patient.std(ddof=1) / math.sqrt(12)
    assert found.smallest_detectable == pytest.approx(expected, rel=1e-5)


def test_sign_flips_are_enumerated_for_few_patients():
    found = paired_test([1.0, 2.0, 3.0, 4.0], [0.0] * 4, list("abcd"))
    assert found.p_permutation == pytest.approx(2 / 16)


def test_smallest_detectable_is_found_with_eighty_per_cent_power():
    rng = np.random.default_rng(0)
    sd, n = 0.1, 40
    step = (1.959964 + 0.841621) * sd / math.sqrt(n)
    drawn = rng.normal(step, sd, (2000, n))
    assert np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05) == pytest.approx(
        0.8, abs=0.04
    )


def test_no_difference_and_a_single_patient():
    same = paired_test([0.5, 0.6], [0.5, 0.6], ["a", "b"])
    assert (same.difference, same.p_wilcoxon, same.p_permutation) == (0, 1, 1)
    alone = paired_test([0.9, 0.8], [0.1, 0.2], ["a", "a"])
    assert alone.difference == pytest.approx(0.7)
    assert (alone.low, alone.high, alone.p_permutation) == (-math.inf, math.inf, 1)


def test_swapping_the_treatments_turns_the_sign():
    a, b, patients = RNG.random(30), RNG.random(30), np.repeat(np.arange(15), 2)
    there, back = paired_test(a, b, patients), paired_test(b, a, patients)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_wilcoxon == pytest.approx(back.p_wilcoxon)


def test_paired_test_refuses_unpaired_rows():
    with pytest.raises(DataError, match="pair them"):
        paired_test([0.1, 0.2], [0.1], ["a", "b"])


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.2], [0.2]),
        ([0.9, 0.9], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_by_hand(raw, adjusted):
    np.testing.assert_allclose(holm(raw), adjusted)


@pytest.mark.parametrize("bad", [[1.2], [-0.1], [math.nan]])
def test_holm_refuses_what_is_no_probability(bad):
    with pytest.raises(DataError, match="outside"):
        holm(bad)

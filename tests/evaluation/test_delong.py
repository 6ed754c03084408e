"""DeLong by midranks against its definition by pairs; intervals against simulation."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation import delong
from mammostudy.evaluation.delong import auc_bootstrap_ci, auc_ci, delong_test, delong_variance


def placements(labels, scores):
    above, below = scores[labels == 1], scores[labels == 0]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    return wins.mean(axis=1), wins.mean(axis=0)


def brute_force(labels, scores):
    of_positives, of_negatives = placements(labels, scores)
    variance = np.var(of_positives, ddof=1) / len(of_positives)
    return of_positives.mean(), variance + np.var(of_negatives, ddof=1) / len(of_negatives)


def brute_force_test(labels, a, b):
    """The covariance matrix of both AUCs, as DeLong et al. write it."""
    positives, negatives = zip(placements(labels, a), placements(labels, b), strict=True)
    cov = np.cov(positives) / len(positives[0]) + np.cov(negatives) / len(negatives[0])
    contrast = np.array([1, -1])
    z = (positives[0].mean() - positives[1].mean()) / np.sqrt(contrast @ cov @ contrast)
    return 2 * stats.norm.sf(abs(z))


def example(seed, positives=30, negatives=45, decimals=None):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([1, 0], [positives, negatives]))
    a = labels + rng.normal(0, 1.2, labels.size)
    b = 0.5 * labels + 0.5 * a + rng.normal(0, 1, labels.size)
    return (labels, a, b) if decimals is None else (labels, a.round(decimals), b.round(decimals))


@pytest.mark.parametrize("decimals", [None, 1, 0], ids=["no ties", "some ties", "many ties"])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_definition(seed, decimals):
    labels, a, b = example(seed, decimals=decimals)
    assert delong_variance(labels, a) == pytest.approx(brute_force(labels, a), abs=1e-10)
    assert delong_variance(labels, a)[0] == pytest.approx(roc_auc_score(labels, a), abs=1e-12)
    assert delong_test(labels, a, b) == pytest.approx(brute_force_test(labels, a, b), abs=1e-10)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=12),
    st.lists(st.integers(0, 4), min_size=2, max_size=12),
)
def test_equal_to_the_definition_on_any_ties(above, below):
    labels = np.repeat([1, 0], [len(above), len(below)])
    scores = np.array([*above, *below], dtype=float)
    assert delong_variance(labels, scores) == pytest.approx(brute_force(labels, scores), abs=1e-10)


def test_control_ranks_without_ties_would_miss_the_definition(monkeypatch):
    labels, scores, _ = example(0, decimals=0)
    ordinal = stats.rankdata
    monkeypatch.setattr(delong.stats, "rankdata", lambda values: ordinal(values, method="ordinal"))
    assert delong_variance(labels, scores) != pytest.approx(brute_force(labels, scores), abs=1e-6)


def test_by_hand():
    # positives 3, 2; negatives 1, 2: placements 1, 3/4 and (of negatives) 1, 3/4
    auc, variance = delong_variance([1, 1, 0, 0], [3, 2, 1, 2])
    assert auc == pytest.approx(0.875)
    assert variance == pytest.approx(2 * 0.03125 / 2)


def test_order_sign_and_scale():
    labels, a, b = example(9)
    p = delong_test(labels, a, b)
    assert delong_test(labels, b, a) == pytest.approx(p)
    assert delong_test(labels, np.exp(a), 3 * b) == pytest.approx(p)
    auc, variance = delong_variance(labels, -a)
    assert (1 - auc, variance) == pytest.approx(delong_variance(labels, a))


def test_equal_and_wholly_different_scores():
    labels = np.repeat([1, 0], [4, 4])
    assert delong_test(labels, labels, labels * 2.0) == 1.0
    assert delong_test(labels, labels, -labels) == 0.0
    assert delong_variance(labels, labels) == (1.0, 0.0)


def test_variance_is_that_of_simulated_samples():
    found = np.array([delong_variance(*example(seed, 20, 30)[:2]) for seed in range(600)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].var(), rel=0.15)


def test_p_is_uniform_where_both_scores_are_equally_good():
    rng = np.random.default_rng(2)
    labels = np.repeat([1, 0], [25, 25])
    draws = labels + rng.normal(0, 1, (500, 2, 50))
    p = np.array([delong_test(labels, a, b) for a, b in draws])
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_n_log_n():
    labels, scores, _ = example(1, 100_000, 100_000)
    start = time.perf_counter()
    delong_variance(labels, scores)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize("scale", ["linear", "logit"])
def test_interval_covers(scale):
    truth = stats.norm.cdf(1 / (1.2 * np.sqrt(2)))
    ends = np.array([auc_ci(*example(seed, 40, 60)[:2], scale=scale) for seed in range(300)])
    assert ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean() == pytest.approx(0.95, abs=0.035)


def test_linear_is_cut_and_logit_stays_inside():
    labels = np.repeat([1, 0], [6, 6])
    scores = [6, 5, 4, 3, 2.5, 1.5, 2, 1, 0, 0, 0, 0]
    assert auc_ci(labels, scores)[1] == 1.0
    low, high = auc_ci(labels, scores, scale="logit")
    assert 0 < low < high < 1
    assert auc_ci(labels, labels, scale="logit") == (1.0, 1.0)


def test_bootstrap_of_single_cases_agrees_with_delong():
    labels, scores, _ = example(3, 60, 90)
    found = auc_bootstrap_ci(labels, scores, np.arange(150))
    assert found == pytest.approx(auc_ci(labels, scores), abs=0.02)


def test_weighted_area_is_that_of_repeated_cases():
    labels, scores, _ = example(4, 10, 12, decimals=0)
    times = np.random.default_rng(0).integers(0, 4, (20, 22)).astype(float)
    found = delong._weighted_aucs((labels == 1)[:, None], scores[:, None], times)
    for row, area in zip(times.astype(int), found, strict=True):
        assert area == pytest.approx(roc_auc_score(labels.repeat(row), scores.repeat(row)))


def test_copies_of_a_patients_case_add_no_certainty():
    labels, scores, _ = example(5)
    patients = np.arange(75)
    once = auc_bootstrap_ci(labels, scores, patients)
    tripled = auc_bootstrap_ci(labels.repeat(3), scores.repeat(3), patients.repeat(3))
    naive = auc_bootstrap_ci(labels.repeat(3), scores.repeat(3), np.arange(225))
    assert tripled == pytest.approx(once)
    assert naive[1] - naive[0] < 0.75 * (once[1] - once[0])


def test_macro_bootstrap_of_few_cases_draws_again():
    rng = np.random.default_rng(8)
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    probabilities = rng.dirichlet(np.ones(3), 10) * 0.4 + 0.6 * np.eye(3)[labels]
    noisy = 0.5 * probabilities + 0.5 * rng.dirichlet(np.ones(3), 10)
    low, high = auc_bootstrap_ci(labels, noisy, np.arange(10), draws=300)
    auc = roc_auc_score(labels, noisy, multi_class="ovr")
    assert low <= auc <= high


def test_a_class_of_one_patient_has_no_interval():
    labels, scores = np.array([0, 0, 1, 1]), [0.1, 0.4, 0.3, 0.8]
    with pytest.raises(DataError, match="class 1 comes from one patient"):
        auc_bootstrap_ci(labels, scores, ["a", "b", "c", "c"])
    with pytest.raises(DataError, match="class 0 comes from one patient"):
        auc_bootstrap_ci(labels, scores, ["a", "a", "b", "c"])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1, 1], [1, 2, 3], "labels are all 1"),
        ([1, 0, 0], [1, 2, 3], "1 positive and 2 negative"),
        ([1, 1, 0, 2], [1, 2, 3, 4], r"labels\[3\] is 2"),
        ([1, 1, 0, 0], [1, 2, 3], "one score a case"),
        ([1, 1, 0, 0], [1, 2, 3, np.inf], r"scores\[3\] is inf"),
    ],
)
def test_bad_input(labels, scores, message):
    with pytest.raises(DataError, match=message):
        delong_variance(labels, scores)


def test_bad_second_score_level_scale_and_patients():
    labels, a, b = example(0)
    with pytest.raises(DataError, match=r"scores_b\[0\] is nan"):
        delong_test(labels, a, b * np.nan)
    with pytest.raises(SpecError, match="linear or logit"):
        auc_ci(labels, a, scale="log")
    with pytest.raises(DataError, match="level = 95"):
        auc_ci(labels, a, level=95)
    with pytest.raises(DataError, match="name the patient"):
        auc_bootstrap_ci(labels, a, [None] * 75)
    with pytest.raises(DataError, match="draws = 0"):
        auc_bootstrap_ci(labels, a, np.arange(75), draws=0)

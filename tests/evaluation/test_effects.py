"""Effect sizes and equivalence: worked by hand, and by statsmodels and scipy."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from mammostudy.errors import DataError
from mammostudy.evaluation import effects
from mammostudy.evaluation.effects import effect_size, equivalence

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("differences", "rank_biserial", "better"),
    [
        ([1, 2, -3], 0.0, 2 / 3),  # ranks 1 + 2 against 3
        ([1, 2, 4, -3], 4 / 10, 3 / 4),  # 1 + 2 + 4 against 3
        ([2, 2, -2, 0], 1 / 3, 2.5 / 4),  # ties share rank 2, the zero has none
        ([1, 5], 1.0, 1.0),
        ([-1, -5], -1.0, 0.0),
        ([0, 0], 0.0, 0.5),
    ],
)
def test_ranks_by_hand(differences, rank_biserial, better):
    found = effect_size(differences, np.zeros(len(differences)), range(len(differences)))
    assert found.rank_biserial == pytest.approx(rank_biserial)
    assert found.better == pytest.approx(better)
    assert found.patients == len(differences)


def test_rank_biserial_is_what_wilcoxon_counts():
    a, b = RNG.random((2, 30))
    differences = a - b
    ranks = stats.rankdata(np.abs(differences))
    smaller = stats.wilcoxon(differences).statistic
    found = effect_size(a, b, range(30)).rank_biserial
    assert abs(found) == pytest.approx(1 - 2 * smaller / ranks.sum())


def test_standardised_by_hand():
    # 1, 2, 3: mean 2, sd 1; three patients: J = Gamma(1) / (sqrt(1) Gamma(1/2)) = 1 / sqrt(pi)
    found = effect_size([1, 2, 3], [0, 0, 0], list("abc"))
    assert found.standardised == pytest.approx(2 / math.sqrt(math.pi))
    # without a correction there is none for two patients: mean 2, sd sqrt(2)
    assert effect_size([1, 3], [0, 0], list("ab")).standardised == pytest.approx(math.sqrt(2))
    many = RNG.normal(0.5, 1, 400)
    d = effect_size(many, np.zeros(400), range(400)).standardised
    hedges = 1 - 3 / (4 * 399 - 1)
    assert d == pytest.approx(hedges * many.mean() / many.std(ddof=1), rel=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([0.5, 0.6], [0.5, 0.6], 0.0), ([0.7, 0.9, 0.4], [0.6, 0.8, 0.3], math.inf)],
)
def test_without_scatter_there_is_no_standard(a, b, expected):
    assert effect_size(a, b, range(len(a))).standardised == expected
    assert effect_size(b, a, range(len(a))).standardised == -expected


def test_patients_count_once():
    one = effect_size([1, 2, -4], [0, 0, 0], list("abc"))
    copied = effect_size([1, 2, -4, -4, -4], [0] * 5, list("abccc"))
    assert copied == one
    assert math.isnan(effect_size([1, 2], [0, 0], list("aa")).standardised)


def test_equivalence_by_hand_and_by_statsmodels():
    a = RNG.normal(0.85, 0.05, 40)
    b = a - RNG.normal(0.001, 0.02, 40)
    found = equivalence(a, b, range(40), margin=0.02)
    p, *_ = ttost_paired(a, b, -0.02, 0.02)
    assert found.p == pytest.approx(p)
    assert found.equivalent
    assert found.not_inferior
    half = stats.norm.ppf(0.95) * (a - b).std() / math.sqrt(40)
    mean = (a - b).mean()
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), abs=5e-4)
    wide = equivalence(a, b, range(40), margin=0.02, level=0.025)
    assert wide.low < found.low < found.high < wide.high


@pytest.mark.parametrize(
    ("shift", "equivalent", "not_inferior"),
    [(0.0, True, True), (0.05, False, True), (-0.05, False, False), (0.019, False, True)],
)
def test_verdict_follows_the_interval(shift, equivalent, not_inferior):
    noise = np.tile([0.004, -0.004], 20)
    found = equivalence(0.8 + shift + noise, np.full(40, 0.8), range(40), margin=0.0195)
    assert (found.equivalent, found.not_inferior) == (equivalent, not_inferior)
    assert (found.p < 0.05) == equivalent


def test_no_evidence_is_not_equivalence():
    """Few patients with scatter: no difference is shown, and no equality either."""
    noisy = RNG.normal(0, 0.2, 6)
    found = equivalence(noisy, np.zeros(6), range(6), margin=0.02)
    assert not found.equivalent
    assert found.p > 0.05
    alone = equivalence([0.5, 0.5], [0.5, 0.5], list("aa"), margin=0.1)
    assert (alone.low, alone.high, alone.p) == (-math.inf, math.inf, 1)
    assert not alone.equivalent
    assert not alone.not_inferior


def test_without_scatter_the_difference_itself_decides():
    same = equivalence([0.7, 0.9, 0.4], [0.6, 0.8, 0.3], list("abc"), margin=0.2)
    assert (same.equivalent, same.p) == (True, 0)
    apart = equivalence([0.7, 0.9, 0.4], [0.6, 0.8, 0.3], list("abc"), margin=0.05)
    assert (apart.equivalent, apart.p) == (False, 1)


def test_control_images_taken_for_patients_would_claim_equivalence():
    differences = np.array([0.03, -0.028, 0.02, -0.03, 0.01])
    honest = equivalence(differences, np.zeros(5), range(5), margin=0.015)
    naive = equivalence(np.repeat(differences, 8), np.zeros(40), range(40), margin=0.015)
    assert (honest.equivalent, naive.equivalent) == (False, True)


@pytest.mark.parametrize("options", [{"margin": 0}, {"margin": math.nan}, {"level": 0.5}])
def test_refuses_bad_input(options):
    with pytest.raises(DataError, match="margin must be > 0"):
        equivalence([0.1, 0.2], [0.1, 0.3], list("ab"), **{"margin": 0.1, **options})
    for call in (effect_size, lambda *a: equivalence(*a, margin=1.0)):
        with pytest.raises(DataError, match="pair them"):
            call([0.1, 0.2], [0.1], list("ab"))


def test_control_the_guard_for_rounding_is_what_keeps_the_size_sane(monkeypatch):
    monkeypatch.setattr(effects, "_all_alike", lambda _: False)
    assert 1e10 < effect_size([0.7, 0.9, 0.4], [0.6, 0.8, 0.3], list("abc")).standardised < math.inf

"""Intervals and tests over patients: worked by hand, by scipy and by statsmodels."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mammostudy.errors import DataError
from mammostudy.evaluation import statistics as ours
from mammostudy.evaluation.statistics import has_converged

RNG = np.random.default_rng(7)
SKEWED = RNG.beta(8, 2, 80)
ALONE = np.arange(80)
TRIPLED = np.repeat(SKEWED, 3), np.repeat(ALONE, 3)


def test_fast_mean_is_the_general_path():
    patients = RNG.integers(0, 25, 80)
    general = ours.bootstrap_ci(SKEWED, patients, lambda v: v.mean(), draws=700)
    assert ours.bootstrap_ci(SKEWED, patients, draws=700) == pytest.approx(general)


def test_resamples_by_hand():
    """Two patients, of one case and of two: four draws of two, each with its own mean."""
    for multinomial in (False, True):
        weights = ours.patient_weights(2, 500, np.random.default_rng(0), multinomial)
        assert {tuple(row) for row in weights.tolist()} == {(2, 0), (1, 1), (0, 2)}
        means = ours.resample(
            lambda t: t @ [0.0, 5.0] / (t @ [1, 2]), 2, 500, 0, multinomial=multinomial
        )
        assert set(means.round(9)) == {0.0, round(5 / 3, 9), 2.5}
    assert {*ours.bootstrap_ci([0.0, 1.0, 4.0], ["a", "b", "b"], np.median)} == {0.0, 2.5}


def test_copies_add_no_certainty_and_control_images_as_patients_would():
    low, high = ours.bootstrap_ci(SKEWED, ALONE)
    assert ours.bootstrap_ci(*TRIPLED) == pytest.approx((low, high))
    naive_low, naive_high = ours.bootstrap_ci(TRIPLED[0], np.arange(240))
    assert naive_high - naive_low < 0.7 * (high - low)


def test_differences_are_of_patients_in_order_of_their_names():
    found = ours.patient_differences([3.0, 1.0, 5.0], [0.0, 0.0, 1.0], ["b", "a", "b"])
    np.testing.assert_allclose(found, [1.0, 3.5])
    with pytest.raises(DataError, match="pair them"):
        ours.paired_test([0.1, 0.2], [0.1], ["a", "b"])


def test_paired_test_agrees_with_scipy_over_patients():
    patients = np.repeat(np.arange(12), 2)
    a = RNG.normal(0.85, 0.05, 24)
    b = a - RNG.normal(0.03, 0.03, 24)
    found, back = ours.paired_test(a, b, patients), ours.paired_test(b, a, patients)
    per_patient = (a - b).reshape(12, 2).mean(axis=1)
    assert found.patients == 12
    assert found.difference == pytest.approx(per_patient.mean()) == pytest.approx(-back.difference)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(per_patient).pvalue)
    assert found.p_wilcoxon == pytest.approx(back.p_wilcoxon)
    expected = (1.959964 + 0.841621) * per_patient.std(ddof=1) / math.sqrt(12)
    assert found.smallest_detectable == pytest.approx(expected, rel=1e-5)


def test_few_patients():
    """Sign flips are enumerated; without a difference and of one patient p is 1."""
    found = ours.paired_test([1.0, 2.0, 3.0, 4.0], [0.0] * 4, list("abcd"))
    assert found.p_permutation == pytest.approx(2 / 16)
    same = ours.paired_test([0.5, 0.6], [0.5, 0.6], ["a", "b"])
    assert (same.difference, same.p_wilcoxon, same.p_permutation) == (0, 1, 1)
    alone = ours.paired_test([0.9, 0.8], [0.1, 0.2], ["a", "a"])
    assert alone.difference == pytest.approx(0.7)
    assert (alone.low, alone.high, alone.p_permutation) == (-math.inf, math.inf, 1)


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.2], [0.2]), ([0.9, 0.9], [1, 1]), ([], [])],
)
def test_holm_by_hand(raw, adjusted):
    np.testing.assert_allclose(ours.holm(raw), adjusted)
    many = np.random.default_rng(0).beta(0.3, 2, 30)
    np.testing.assert_allclose(ours.holm(many), multipletests(many, method="holm")[1])


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (3, 10), (96, 123), (33, 33)])
def test_wilson_agrees_with_scipy_and_broadcasts(hits, total):
    oracle = stats.binomtest(hits, total).proportion_ci(method="wilson")
    low, high = ours.wilson_interval([hits, total - hits], total)
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
    assert ours.effect_size(differences, none, range(len(none))) == pytest.approx(expected)


def rows(cells: np.ndarray, fold: int = 0) -> list[np.ndarray]:
    """The values of a table (patients, trainings), and whose they are."""
    patients, trainings = np.indices(cells.shape)
    names = 1000 * fold + patients.ravel(), trainings.ravel(), np.full(cells.size, fold)
    return [cells.ravel(), *names]


def drawn(rng, folds, patients, trainings, patient_sd, training_sd, rest_sd):
    """Values of folds with known variances and a mean of 0."""
    parts = []
    for fold in range(folds):
        shapes = (patients, 1), (1, trainings), (patients, trainings)
        sds = zip(shapes, (patient_sd, training_sd, rest_sd), strict=True)
        parts.append(rows(sum(rng.normal(0, sd, shape) for shape, sd in sds), fold))
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def test_a_layout_by_hand():
    # patients' means 2, 5, 8; trainings' means 4, 6; cells less both: +-1 in the first two patients
    found = ours.crossed_test(*rows(np.array([[2.0, 2.0], [3.0, 7.0], [7.0, 9.0]])))
    assert (found.difference, found.patients, found.trainings) == (5, 3, 2)
    # mean squares: patients 2 * 9 = 18, trainings 3 * 2 = 6, rest 4 * 1 / (2 * 1) = 2
    parts = found.rest_sd**2, found.training_sd**2, found.patient_sd**2
    assert parts == pytest.approx((2, (6 - 2) / 3, (18 - 2) / 2))
    # the same as (18 + 6 - 2) / 6, with Satterthwaite's degrees of freedom
    assert found.error**2 == pytest.approx(8 / 3 + 4 / 6 + 2 / 6)
    degrees = 22**2 / (18**2 / 2 + 6**2 / 1 + 2**2 / 2)
    assert found.high - 5 == pytest.approx(stats.t.ppf(0.975, degrees) * found.error)
    assert found.p == pytest.approx(2 * stats.t.sf(5 / found.error, degrees))


def test_mean_squares_and_p_are_those_of_statsmodels():
    values, patients, trainings, _ = drawn(RNG, 1, 10, 4, 0.1, 0.06, 0.03)
    found = ours.crossed_test(values, patients, trainings)
    table = pd.DataFrame({"value": 10 * values, "patient": patients, "training": trainings})
    anova = sm.stats.anova_lm(smf.ols("value ~ C(patient) + C(training)", table).fit())
    assert found.rest_sd**2 == pytest.approx(anova.loc["Residual", "mean_sq"] / 100)
    between = anova["mean_sq"] / 100
    training = (between["C(training)"] - between["Residual"]) / found.patients
    patient = (between["C(patient)"] - between["Residual"]) / found.trainings
    assert (found.training_sd**2, found.patient_sd**2) == pytest.approx((training, patient))


def test_one_training_is_students_test_over_patients():
    values, *names = drawn(RNG, 1, 9, 1, 0.1, 0.0, 0.0)
    found, oracle = ours.crossed_test(values, *names), stats.ttest_1samp(values, 0)
    assert (found.p, found.low) == pytest.approx((oracle.pvalue, oracle.confidence_interval().low))
    assert math.isnan(found.training_sd)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sds", "folds"), [((0.1, 0.03, 0.05), 3), ((0.05, 0.05, 0.02), 3), ((0.1, 0.0, 0.05), 1)]
)
def test_intervals_hold_what_they_promise_and_control_patients_alone_do_not(sds, folds):
    rng, held, naive = np.random.default_rng(3), [], []
    for _ in range(500):
        values, *names = drawn(rng, folds, 24, 3, *sds)
        found, alone = (
            ours.crossed_test(values, *names),
            ours.patient_differences(values, 0 * values, names[0]),
        )
        held.append(found.low <= 0 <= found.high)
        naive.append(stats.ttest_1samp(alone, 0).pvalue > 0.05)
    assert 0.93 <= np.mean(held) <= 0.975
    if sds[1]:
        assert np.mean(naive) < 0.91


def test_the_order_of_rows_tells_nothing_and_an_unequal_table_is_refused():
    values, *names = drawn(RNG, 2, 5, 3, 0.1, 0.1, 0.1)
    order = RNG.permutation(len(values))
    again = ours.crossed_test(values[order], *(each[order] for each in names))
    assert vars(again) == vars(ours.crossed_test(values, *names))
    with pytest.raises(DataError, match="training"):
        ours.crossed_test(values[1:], *(each[1:] for each in names))
    assert ours.crossed_test(values[:3], *(each[:3] for each in names)).high == math.inf


def test_refuses_bad_input():
    for values in ([0.1, math.nan], [0.1, "x"], []):
        with pytest.raises(DataError, match="values"):
            ours.bootstrap_ci(values, ["a", "b"][: len(values)])
    with pytest.raises(DataError, match="patients"):
        ours.bootstrap_ci([0.1, 0.2], ["a", None])


RISING = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@pytest.mark.parametrize(
    ("dice", "converged"),
    [
        ((), False),
        ((0.8, 0.8, 0.8, 0.8), False),  # too few to tell
        ((0.1, 0.5, 0.8, 0.8, 0.807), True),  # 0.9 %
        ((0.1, 0.5, 0.8, 0.8, 0.809), False),  # 1.1 %
        ((*RISING, 0.79, 0.82), True),  # mean of two: 0.805
        ((*RISING, 0.81, 0.82), False),  # 0.815
        ((0.1, 0.9, 0.8, 0.8, 0.82), True),  # falls a little
        ((0.1, 0.9, 0.8, 0.8, 0.8), False),  # 0.89 of the best
        ((0.1, 0.8, 0.8, 0.8, 0.008), False),  # collapses
        ((0.0, 0.0, 0.0, 0.0, 0.1), False),
    ],
)
def test_has_converged(dice, converged):
    rows = [{"iteration": 2.0 * at + 1, "validation_dice": d} for at, d in enumerate(dice)]
    assert (
        has_converged([*rows, {"iteration": 99.0, "overlap": 1.0}], "validation_dice") is converged
    )
    rows = [{"iteration": row["iteration"], "other": row["validation_dice"]} for row in rows]
    assert has_converged(rows, "other") is converged
    assert not has_converged(rows, "validation_dice")

"""Calibration, ROC and DeLong: scikit-learn, torchmetrics and the definitions as oracles."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics

from mammostudy.errors import DataError
from mammostudy.evaluation import classification as ours

RNG = np.random.default_rng(21)
LOGITS = RNG.normal(0, 2, (300, 4))
LABELS = np.array([RNG.choice(4, p=row) for row in ours.apply_temperature(LOGITS)])
PROBABILITIES = ours.apply_temperature(LOGITS, 0.4)


@pytest.mark.parametrize("bins", [5, 15])
def test_calibration_error_agrees_with_torchmetrics(bins):
    from torchmetrics.functional.classification import multiclass_calibration_error

    oracle = multiclass_calibration_error(
        torch.tensor(PROBABILITIES), torch.tensor(LABELS), num_classes=4, n_bins=bins
    )
    found = ours.expected_calibration_error(PROBABILITIES, LABELS, bins)
    assert found == pytest.approx(float(oracle), abs=1e-5)
    assert ours.reliability_table(PROBABILITIES, LABELS, bins)["cases"].sum() == 300


def test_calibration_error_by_hand():
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [1.0, 0.0]]
    # bins of 0.2: (0.4, 0.6] one right; (0.8, 1] two of three right, mean confidence 2.8 / 3
    error = ours.expected_calibration_error(probabilities, [0, 1, 1, 0], bins=5)
    assert error == pytest.approx((0.4 + 3 * (2.8 / 3 - 2 / 3)) / 4)
    assert ours.expected_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert ours.expected_calibration_error(np.eye(3), [1, 2, 0]) == 1


def test_calibration_error_by_chance_is_that_of_labels_drawn_from_the_forecast():
    scores = np.tile([0.7, 0.3], (200, 1))
    drawn = ours.calibration_errors_by_chance(scores, 10)
    assert len(drawn) == 300
    assert drawn.mean() == pytest.approx(np.sqrt(2 / np.pi * 0.7 * 0.3 / 200), rel=0.15)
    labels = (np.random.default_rng(0).random((200, 1)) > [0.7, 1.0]).sum(axis=1)
    assert drawn[0] == pytest.approx(ours.expected_calibration_error(scores, labels, 10))
    sure = np.tile([1.0, 0.0], (20, 1))
    assert not ours.calibration_errors_by_chance(sure, 10).any()
    assert ours.expected_calibration_error(sure, np.ones(20, int), 10) == 1


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(true):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (6000, 4))
    labels = [rng.choice(4, p=row) for row in ours.apply_temperature(logits, true)]
    assert ours.fit_temperature(logits, labels) == pytest.approx(true, rel=0.06)


def test_curves_are_scikit_learns():
    areas = []
    for k in range(4):
        curve = ours.binary_roc(k == LABELS, PROBABILITIES[:, k])
        fpr, tpr, _ = metrics.roc_curve(k == LABELS, PROBABILITIES[:, k])
        np.testing.assert_array_equal([curve.false_positive, curve.true_positive], [fpr, tpr])
        areas.append(curve)
    macro = metrics.roc_auc_score(LABELS, PROBABILITIES, multi_class="ovr")
    assert ours.mean_roc(areas).auc == pytest.approx(macro, abs=1e-12)
    with pytest.raises(DataError, match="one class"):
        ours.binary_roc(np.ones(2, bool), np.array([0.2, 0.4]))


def test_area_of_the_mean_is_the_mean_of_the_areas_with_steps_and_ties():
    folds = []
    for fold in range(5):
        rng = np.random.default_rng(fold)
        labels = np.repeat([0, 1], [7 + fold, 5])
        folds.append(ours.binary_roc(labels, np.round(rng.random(12 + fold) + 0.4 * labels, 1)))
    mean, areas = ours.mean_roc(folds), [fold.auc for fold in folds]
    assert mean.auc == pytest.approx(np.mean(areas), abs=1e-12)
    assert (np.diff(mean.false_positive) >= 0).all()
    # control: a coarse grid would miss the area
    curve, grid = folds[0], np.linspace(0, 1, 3)
    coarse = np.trapezoid(np.interp(grid, curve.false_positive, curve.true_positive), grid)
    assert abs(coarse - curve.auc) > 0.02


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


def example(seed, positives=30, negatives=45, decimals=9):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([1, 0], [positives, negatives]))
    a = labels + rng.normal(0, 1.2, labels.size)
    b = 0.5 * labels + 0.5 * a + rng.normal(0, 1, labels.size)
    return labels, a.round(decimals), b.round(decimals)


@pytest.mark.parametrize("decimals", [9, 1, 0], ids=["no ties", "some ties", "many ties"])
@pytest.mark.parametrize("seed", range(3))
def test_delong_is_equal_to_the_definition(seed, decimals):
    labels, a, b = example(seed, decimals=decimals)
    assert ours.delong_variance(labels, a) == pytest.approx(brute_force(labels, a), abs=1e-10)
    assert ours.delong_variance(labels, a)[0] == pytest.approx(metrics.roc_auc_score(labels, a))
    p = ours.delong_test(labels, a, b)
    assert p == pytest.approx(brute_force_test(labels, a, b), abs=1e-10)
    assert ours.delong_test(labels, 3 * b, np.exp(a)) == pytest.approx(p)


def test_delong_by_hand():
    # positives 3, 2; negatives 1, 2: placements 1, 3/4 and (of negatives) 1, 3/4
    assert ours.delong_variance([1, 1, 0, 0], [3, 2, 1, 2]) == pytest.approx((0.875, 0.03125))
    labels = np.repeat([1, 0], [4, 4])
    assert ours.delong_test(labels, labels, labels * 2.0) == 1.0
    assert ours.delong_test(labels, labels, -labels) == 0.0
    assert ours.delong_variance(labels, labels) == (1.0, 0.0)


def test_difference_is_scikit_learns_and_interval_is_the_plain_bootstraps():
    labels, patients = LABELS[:120], np.arange(120) // 2
    a, b = PROBABILITIES[:120], ours.apply_temperature(LOGITS[:120] + 3 * RNG.normal(size=(120, 4)))

    def gap(rows):
        one, other = (
            metrics.roc_auc_score(labels[rows], each[rows], multi_class="ovr") for each in (a, b)
        )
        return one - other

    value, low, high = ours.auc_difference_ci(labels, a, b, patients)
    assert value == pytest.approx(gap(np.arange(120)), abs=1e-12)
    drawn = np.random.default_rng(1).integers(0, 60, (80, 60))
    slow = [gap(np.column_stack([2 * each, 2 * each + 1]).ravel()) for each in drawn]
    assert (low, high) == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.04)
    back = ours.auc_difference_ci(labels, b, a, patients)
    assert back == pytest.approx((-value, -high, -low))
    assert ours.auc_difference_ci(labels, a, a, patients) == (0, 0, 0)


def test_bad_input_is_named():
    for rows in ([[0.25, 0.25]], [[1.5, -0.5]], [[np.nan, 0.5]], [[1.0]]):
        with pytest.raises(DataError, match="probabilities"):
            ours.expected_calibration_error(rows, [0])
    with pytest.raises(DataError, match="labels"):
        ours.expected_calibration_error([[0.5, 0.5]], [2])
    for labels in ([1, 1, 1], [1, 0, 2], [1, 0]):
        with pytest.raises(DataError):
            ours.delong_variance(labels, [1, 2, 3])

"""ROC curves against scikit-learn; means over classes and folds are exact."""

import numpy as np
import pytest
from sklearn import metrics

from mammostudy.errors import DataError
from mammostudy.evaluation.roc import binary_roc, class_rocs, macro_roc, mean_roc, micro_roc

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 4, 120)
_RAW = RNG.random((120, 4)) + 0.7 * np.eye(4)[LABELS]
PROBABILITIES = np.round(_RAW / _RAW.sum(axis=1, keepdims=True), 2)
PROBABILITIES[:, 3] = 1 - PROBABILITIES[:, :3].sum(axis=1)


def test_each_class_against_the_rest():
    for k, curve in enumerate(class_rocs(LABELS, PROBABILITIES)):
        fpr, tpr, _ = metrics.roc_curve(k == LABELS, PROBABILITIES[:, k])
        assert curve.false_positive == pytest.approx(fpr)
        assert curve.true_positive == pytest.approx(tpr)
        assert curve.auc == pytest.approx(
            metrics.roc_auc_score(k == LABELS, PROBABILITIES[:, k]), abs=1e-12
        )


def test_macro_and_micro_areas_are_scikit_learns():
    one_hot = np.eye(4)[LABELS]
    macro, micro = macro_roc(LABELS, PROBABILITIES), micro_roc(LABELS, PROBABILITIES)
    assert macro.auc == pytest.approx(
        metrics.roc_auc_score(LABELS, PROBABILITIES, multi_class="ovr"), abs=1e-12
    )
    assert micro.auc == pytest.approx(
        metrics.roc_auc_score(one_hot, PROBABILITIES, average="micro"), abs=1e-12
    )


def test_area_of_the_mean_is_the_mean_of_the_areas_with_steps_and_ties():
    folds = []
    for fold in range(5):
        rng = np.random.default_rng(fold)
        labels = np.repeat([0, 1], [7 + fold, 5])
        folds.append(binary_roc(labels, np.round(rng.random(12 + fold) + 0.4 * labels, 1)))
    mean = mean_roc(folds)
    areas = [fold.auc for fold in folds]
    assert mean.auc == pytest.approx(np.mean(areas), abs=1e-12)
    assert mean.auc_sd == pytest.approx(np.std(areas, ddof=1))
    assert mean.curves == 5
    assert (mean.true_positive[0], mean.true_positive[-1]) == (0.0, 1.0)
    assert (np.diff(mean.false_positive) >= 0).all()
    assert (np.diff(mean.true_positive) >= -1e-12).all()
    assert (mean.low <= mean.true_positive).all()
    assert (mean.true_positive <= mean.high).all()
    assert mean.low.min() >= 0
    assert mean.high.max() <= 1


def test_control_a_coarse_grid_would_miss_the_area():
    curve = binary_roc([0, 0, 0, 1, 1], [0.1, 0.4, 0.35, 0.3, 0.8])
    grid = np.linspace(0, 1, 3)
    coarse = np.trapezoid(np.interp(grid, curve.false_positive, curve.true_positive), grid)
    assert abs(coarse - curve.auc) > 0.02
    assert mean_roc([curve]).auc == pytest.approx(curve.auc, abs=1e-12)


def test_mean_of_two_by_hand():
    perfect, chance = binary_roc([0, 1], [0, 1]), binary_roc([0, 1], [1, 1])
    mean = mean_roc([perfect, chance])
    assert mean.false_positive.tolist() == [0, 0, 1, 1]
    assert mean.true_positive.tolist() == [0, 0.5, 1, 1]
    assert mean.auc == pytest.approx(0.75)
    assert mean.high[1] == pytest.approx(1.0)
    assert mean.low[1] == pytest.approx(0.0)


def test_a_single_curve_has_a_band_of_no_width():
    mean = mean_roc([binary_roc([0, 1, 1], [0.2, 0.1, 0.4])])
    assert mean.low == pytest.approx(mean.high)
    assert mean.auc_sd == 0


def test_the_mean_of_folds_of_macro_curves():
    halves = [
        macro_roc(LABELS[::2], PROBABILITIES[::2]),
        macro_roc(LABELS[1::2], PROBABILITIES[1::2]),
    ]
    assert mean_roc(halves).auc == pytest.approx(np.mean([half.auc for half in halves]))


def test_one_class_only_has_no_roc():
    with pytest.raises(DataError, match="labels are all 1: an ROC needs"):
        binary_roc([1, 1], [0.2, 0.4])


def test_a_class_without_a_case_is_named():
    labels = np.where(LABELS == 3, 0, LABELS)
    with pytest.raises(DataError, match="no case of class round"):
        class_rocs(labels, PROBABILITIES, ["irregular", "lobular", "oval", "round"])


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (PROBABILITIES * 0.9, r"probabilities\[0\] sums to 0.9, not 1: apply softmax"),
        (PROBABILITIES - 0.5, r"probabilities\[0\] .* leaves \[0, 1\]"),
        (PROBABILITIES[:-1], "119, 4.* 120 labels"),
        (PROBABILITIES * np.nan, "leaves"),
        (np.ones((120, 1)), "two classes"),
    ],
)
def test_bad_probabilities(probabilities, message):
    for function in (class_rocs, micro_roc, macro_roc):
        with pytest.raises(DataError, match=message):
            function(LABELS, probabilities)


def test_no_curve_and_bad_scores():
    with pytest.raises(DataError, match="curves is empty"):
        mean_roc([])
    with pytest.raises(DataError, match=r"scores\[1\] is nan"):
        binary_roc([0, 1], [0.1, np.nan])
    with pytest.raises(DataError, match="one score a case"):
        binary_roc([0, 1], [0.1])

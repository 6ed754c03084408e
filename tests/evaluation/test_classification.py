"""Confusion matrices: the published one gives the published and the corrected score."""

import numpy as np
import pytest
from sklearn import metrics

from mammostudy.errors import DataError
from mammostudy.evaluation.classification import (
    class_recalls,
    confusion_counts,
    row_normalised,
    score_confusion,
    top_confusions,
)
from mammostudy.study.published import SHAPES, confusion_matrix

PUBLISHED = confusion_matrix()
RNG = np.random.default_rng(11)
TRUTH = RNG.integers(0, 4, 200)
GUESS = np.where(RNG.random(200) < 0.6, TRUTH, RNG.integers(0, 4, 200))


def test_published_80_percent_is_macro_recall_and_accuracy_is_lower():
    scores = score_confusion(PUBLISHED)
    assert scores.cases == 292
    assert scores.accuracy == pytest.approx(221 / 292)
    assert 100 * scores.macro_recall == pytest.approx(79.97, abs=0.005)


def test_scores_agree_with_scikit_learn():
    scores = score_confusion(confusion_counts(TRUTH, GUESS, 4))
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(TRUTH, GUESS))
    assert scores.macro_recall == pytest.approx(metrics.balanced_accuracy_score(TRUTH, GUESS))
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(TRUTH, GUESS, average="macro"))
    assert scores.kappa == pytest.approx(metrics.cohen_kappa_score(TRUTH, GUESS))


def test_kappa_and_f1_by_hand():
    scores = score_confusion([[20, 5], [10, 15]])
    assert scores.kappa == pytest.approx((0.7 - 0.5) / 0.5)
    assert scores.macro_f1 == pytest.approx((40 / 55 + 30 / 45) / 2)


def test_a_class_never_predicted_has_f1_zero():
    scores = score_confusion([[5, 0, 0], [0, 5, 0], [3, 2, 0]])
    assert scores.macro_f1 == pytest.approx((10 / 13 + 10 / 12 + 0) / 3)


def test_counts_keep_classes_that_occur_nowhere():
    counts = confusion_counts([0, 1, 1], [0, 1, 0], 3)
    assert counts.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_rows_sum_to_one_and_hold_the_recalls():
    shares = row_normalised(PUBLISHED)
    recalls = class_recalls(PUBLISHED)
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    assert np.diagonal(shares) == pytest.approx(recalls.recall)
    assert recalls.recall == pytest.approx([96 / 126, 83 / 117, 26 / 31, 16 / 18])


def test_intervals_hold_the_recall_and_are_wider_for_fewer_cases():
    recalls = class_recalls(PUBLISHED)
    assert ((recalls.low < recalls.recall) & (recalls.recall < recalls.high)).all()
    widths = recalls.high - recalls.low
    assert widths[3] > widths[2] > widths[0]
    assert recalls.cases.tolist() == [126, 117, 31, 18]


def test_top_confusions_of_the_paper():
    assert top_confusions(PUBLISHED) == [(1, 0, 33), (0, 1, 30), (2, 3, 4)]
    assert top_confusions(np.eye(3, dtype=int)) == []


@pytest.mark.parametrize("function", [row_normalised, class_recalls, score_confusion])
def test_a_class_without_a_case_is_named(function):
    counts = np.array(PUBLISHED)
    counts[3] = 0
    with pytest.raises(DataError, match=r"no case of class round: .* stratify"):
        function(counts, names=SHAPES)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2, 3], [1, 2, 3]], "square"),
        ([[0.5, 0.5], [0.1, 0.9]], "whole numbers"),
        ([[1, -1], [0, 1]], "0 or more"),
    ],
)
def test_what_is_no_confusion_matrix(counts, message):
    with pytest.raises(DataError, match=message):
        score_confusion(counts)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([0, 1], [0], "2 labels and 1 predicted"),
        ([0, 4], [0, 1], r"labels\[1\] is 4"),
        ([0, 1], [0, -1], r"predicted\[1\] is -1"),
        (["oval", "round"], [0, 1], "map names"),
        ([], [], "at least one"),
        ([0.5, 1], [0, 1], "class numbers"),
    ],
)
def test_bad_labels(labels, predicted, message):
    with pytest.raises(DataError, match=message):
        confusion_counts(labels, predicted, 4)

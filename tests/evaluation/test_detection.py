"""Mass by mass: found or missed, how far off, and what a score is worth."""

import numpy as np
import pytest

from mammostudy.errors import DataError
from mammostudy.evaluation.detection import (
    detection_accuracy,
    error_summary,
    mass_table,
    score_calibration_error,
    score_reliability,
)
from mammostudy.evaluation.froc_curves import false_positives_by_image
from mammostudy.evaluation.matching import match_detections
from mammostudy.evaluation.statistics import bootstrap_ci


def test_rows_by_hand(by_hand):
    table = mass_table(match_detections(*by_hand, threshold=0.1))
    assert table["image"].tolist() == [0, 0, 2]
    assert table["found"].tolist() == [True, True, True]
    assert table["score"].tolist() == [0.9, 0.6, 0.65]
    assert table["diameter"].tolist() == [10, 10, 8]
    # (20, 20, 30, 25) for (20, 20, 30, 30), and (4, 4, 12, 12) for (0, 0, 8, 8)
    assert table["centre_x_error"].tolist() == [0, 0, 0.5]
    assert table["centre_y_error"].tolist() == [0, -0.25, 0.5]
    assert table["centre_distance"].tolist() == pytest.approx([0, 0.25, np.sqrt(0.5)])
    assert table["width_log_ratio"].tolist() == [0, 0, 0]
    assert table["height_log_ratio"].tolist() == pytest.approx([0, np.log(0.5), 0])
    assert table["iou"].tolist() == pytest.approx([1, 0.5, 16 / 112])


def test_a_mass_found_below_the_score_keeps_its_score_and_has_no_errors(by_hand):
    table = mass_table(match_detections(*by_hand), score=0.7)
    assert table["found"].tolist() == [True, False, False]
    assert table["score"].tolist()[:2] == [0.9, 0.6]
    assert np.isnan(table["score"].iloc[2])
    assert table["iou"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("score", "share"), [(0.5, 2 / 3), (0.6, 2 / 3), (0.61, 1 / 3), (0.91, 0), (-np.inf, 2 / 3)]
)
def test_detection_accuracy(by_hand, score, share):
    matches = match_detections(*by_hand)
    assert detection_accuracy(matches, score) == pytest.approx(share), "moved: raise VERSION"
    assert mass_table(matches, score)["found"].mean() == pytest.approx(share)


def test_a_missed_mass_is_missed_at_any_score_and_control_nan_would_vanish(by_hand):
    matches = match_detections(*by_hand)
    assert detection_accuracy(matches, -np.inf) == pytest.approx(2 / 3)
    assert (matches.found_score >= -np.inf).all()  # control: the score alone would say found
    scores = mass_table(matches)["score"]
    assert scores.notna().sum() == 2  # a mean over those alone would say that all are found
    assert (scores.dropna() >= -np.inf).mean() == 1


def test_summary_of_errors(by_hand):
    table = mass_table(match_detections(*by_hand, threshold=0.1))
    patients = ["a", "a", "b"]
    summary = error_summary(table, patients, draws=300).set_index("error")
    row = summary.loc["centre_y_error"]
    assert row["masses"] == 3
    assert row["mean"] == pytest.approx(0.25 / 3)
    assert row["median"] == 0
    assert row["mean_absolute"] == pytest.approx(0.25)
    ends = bootstrap_ci(table["centre_y_error"], patients, draws=300)
    assert (row["low"], row["high"]) == ends
    assert len(error_summary(table, patients, ["iou"], draws=10)) == 1


def test_summary_needs_a_found_mass_and_its_patients(by_hand):
    matches = match_detections(*by_hand)
    with pytest.raises(DataError, match="none of the 3 masses is found"):
        error_summary(mass_table(matches, score=0.95), ["a", "a", "b"])
    with pytest.raises(DataError, match=r"patients of shape \(4,\) for 3 masses"):
        error_summary(mass_table(matches), ["a", "a", "b", "b"])


def test_reliability_by_hand(by_hand):
    table = score_reliability(match_detections(*by_hand), bins=2)
    assert table["low"].tolist() == [0, 0.5]
    assert table["boxes"].tolist() == [1, 6]
    assert table["score"].tolist() == pytest.approx([0.3, 4.35 / 6])
    # of the upper six: a hit, its repeat (a mass it is), two false, a hit, a near miss
    assert table["share"].tolist() == pytest.approx([0, 3 / 6])
    assert (table["share_low"] <= table["share"] + 1e-12).all()
    assert (table["share_high"] >= table["share"] - 1e-12).all()
    gap = (1 * 0.3 + 6 * (4.35 / 6 - 0.5)) / 7
    assert score_calibration_error(match_detections(*by_hand), bins=2) == pytest.approx(gap)


def test_scores_that_tell_the_truth_are_calibrated():
    rng = np.random.default_rng(0)
    scores = rng.random(4000)
    mass = rng.random(4000) < scores
    boxes = [[[0.0, 0, 4, 4]] for _ in scores]
    true = [[[0.0, 0, 4, 4]] if one else [] for one in mass]
    honest = match_detections(boxes, scores[:, None], true)
    boaster = match_detections(boxes, np.sqrt(scores)[:, None], true)
    assert score_calibration_error(honest) < 0.03
    assert score_calibration_error(boaster) == pytest.approx(2 / 3 - 1 / 2, abs=0.02)


def test_ends_of_the_bins():
    found = match_detections([[[0, 0, 4, 4]] * 3], [[0.0, 0.5, 1.0]], [[[0, 0, 4, 4]]])
    table = score_reliability(found, bins=2)
    assert table["boxes"].tolist() == [2, 1]
    assert table["share"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("score", "bins", "message"),
    [
        (1.5, 10, r"scores: 1.5 of a box in image 1 leaves \[0, 1\]: apply the sigmoid"),
        (-0.1, 10, "scores: -0.1"),
        (0.5, 0, "bins = 0"),
    ],
)
def test_scores_that_are_no_probabilities(score, bins, message):
    found = match_detections([[], [[0, 0, 4, 4]]], [[], [score]], [[], []])
    with pytest.raises(DataError, match=message):
        score_reliability(found, bins)


def test_a_threshold_that_is_no_number(by_hand):
    matches = match_detections(*by_hand)
    for function in (detection_accuracy, mass_table, false_positives_by_image):
        with pytest.raises(DataError, match="score is nan"):
            function(matches, np.nan)


def test_nothing_predicted_and_no_mass():
    with pytest.raises(DataError, match="scores of 2 images hold no prediction"):
        score_calibration_error(match_detections([[], []], [[], []], [[[0, 0, 4, 4]], []]))
    with pytest.raises(DataError, match="no mass in any of the 1 images"):
        detection_accuracy(match_detections([[]], [[]], [[]]))
    missed = mass_table(match_detections([[]], [[]], [[[0, 0, 4, 4]]]))
    assert missed["found"].tolist() == [False]
    assert len(mass_table(match_detections([[]], [[]], [[]]))) == 0

"""Average precision against COCO's own counting; errors of boxes and scores by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from torchmetrics.detection import MeanAveragePrecision

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import match_detections
from mammostudy.evaluation.detection import (
    average_precision_ci,
    average_precision_difference,
    error_summary,
    precision_of,
    precision_recall,
    score_reliability,
)
from mammostudy.evaluation.froc_curves import froc
from mammostudy.evaluation.statistics import bootstrap_ci

COCO = [round(0.5 + 0.05 * step, 2) for step in range(10)]


def average_precision(case, thresholds=(0.5,)):
    return precision_of([match_detections(*case, "iou", t, "false_positive") for t in thresholds])


def coco(case):
    """(mAP, AP50) of COCO's counting."""
    metric = MeanAveragePrecision(
        iou_thresholds=COCO,
        rec_thresholds=np.linspace(0, 1, 101).tolist(),  # its own are rounded to float32
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    for predicted, scores, true in zip(*case, strict=True):
        boxes, truth = (
            torch.tensor(np.reshape(each, (-1, 4)), dtype=torch.float32)
            for each in (predicted, true)
        )
        said = {"boxes": boxes, "scores": torch.tensor(scores, dtype=torch.float32)}
        none = torch.zeros(0, dtype=torch.int64)
        metric.update(
            [said | {"labels": none.new_zeros(len(boxes))}],
            [{"boxes": truth, "labels": none.new_zeros(len(truth))}],
        )
    found = metric.compute()
    return float(found["map"]), float(found["map_50"])


@pytest.mark.parametrize(
    ("images", "noise", "extra"), [(5, 2, 2), (20, 4, 3), (20, 1, 0), (40, 4, 8)]
)
def test_as_coco(make_detections, images, noise, extra):
    case = make_detections(images, seed=images + noise, noise=noise, extra=extra)
    found = average_precision(case, COCO)
    assert (found.value, found.by_threshold[0]) == pytest.approx(coco(case), abs=1e-6)
    doubled = [np.repeat(one, 2, axis=0) for one in case.predicted]
    scores = [(one[:, None] * [1, 0.9999]).ravel() for one in case.scores]
    twice = doubled, scores, case.true
    assert average_precision(twice).value == pytest.approx(coco(twice)[1], abs=1e-6)
    assert average_precision(twice).value < found.by_threshold[0]  # repeats count
    assert froc(*twice).sensitivity[-1] == froc(*case).sensitivity[-1]


def test_by_hand(by_hand):
    assert average_precision(by_hand).value == pytest.approx(45 / 101)
    curve = precision_recall(match_detections(*by_hand, repeats="false_positive"))
    assert curve["thresholds"].tolist() == [0.9, 0.8, 0.7, 0.65, 0.6, 0.3]
    assert curve["precision"].tolist() == pytest.approx([1, 1 / 2, 1 / 4, 1 / 5, 2 / 6, 2 / 7])
    assert curve["recall"].tolist() == pytest.approx([1 / 3] * 4 + [2 / 3] * 2)
    with pytest.raises(DataError, match="false_positive"):
        precision_of([match_detections(*by_hand)])


def test_intervals_and_paired_differences(make_detections):
    good, bad = (average_precision(make_detections(30, noise=n), (0.5, 0.75)) for n in (1, 4))
    patients = np.arange(30) // 2
    low, high = average_precision_ci(good, patients, draws=500)
    assert low < good.value < high
    assert average_precision_ci(good, patients, draws=500) == (low, high)
    row = average_precision_difference(good, bad, patients, draws=500).iloc[0]
    assert row["difference"] == pytest.approx(good.value - bad.value)
    assert 0 < row["low"] < row["difference"] < row["high"]
    same = average_precision_difference(good, good, patients, draws=100)
    assert same.iloc[0].tolist() == [0, 0, 0, 1]


def test_summary_of_errors_leaves_missed_masses_out():
    errors = [0.5, 0.0, -0.25, np.nan]
    masses = pd.DataFrame({"found": [True, True, True, False], "off": errors})
    row = error_summary(masses, ["a", "a", "b", "c"], ["off"], draws=300).iloc[0]
    ends = bootstrap_ci(errors[:3], ["a", "a", "b"], draws=300)
    assert (row["low"], row["high"]) == ends
    expected = [3, 0.25 / 3, 0, 0.25]
    assert row[["masses", "mean", "median", "mean_absolute"]].tolist() == pytest.approx(expected)


def test_reliability_by_hand(by_hand):
    table = score_reliability(match_detections(*by_hand), bins=2)
    assert table["low"].tolist() == [0, 0.5]
    assert table["boxes"].tolist() == [1, 6]
    assert table["score"].tolist() == pytest.approx([0.3, 4.35 / 6])
    # of the upper six: a hit, its repeat (a mass it is), two false, a hit, a near miss
    assert table["share"].tolist() == pytest.approx([0, 3 / 6])
    ends = match_detections([[[0, 0, 4, 4]] * 3], [[0.0, 0.5, 1.0]], [[[0, 0, 4, 4]]])
    assert score_reliability(ends, bins=2)["boxes"].tolist() == [2, 1]

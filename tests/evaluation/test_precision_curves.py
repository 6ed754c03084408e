"""AP50 and mAP against COCO's own counting, by torchmetrics and faster-coco-eval."""

import numpy as np
import pytest
import torch
from torchmetrics.detection import MeanAveragePrecision

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.froc_curves import froc
from mammostudy.evaluation.matching import match_detections
from mammostudy.evaluation.precision_curves import (
    COCO_THRESHOLDS,
    average_precision,
    average_precision_ci,
    average_precision_difference,
    precision_recall,
)


def coco(case):
    """(mAP, AP50) of COCO's counting."""
    metric = MeanAveragePrecision(
        iou_thresholds=list(COCO_THRESHOLDS),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),  # its own are rounded to float32
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    none = torch.zeros(0, dtype=torch.int64)
    for predicted, scores, true in zip(*case, strict=True):
        boxes = torch.tensor(np.reshape(predicted, (-1, 4)), dtype=torch.float32)
        truth = torch.tensor(np.reshape(true, (-1, 4)), dtype=torch.float32)
        metric.update(
            [{"boxes": boxes, "scores": torch.tensor(scores, dtype=torch.float32),
              "labels": none.new_zeros(len(boxes))}],
            [{"boxes": truth, "labels": none.new_zeros(len(truth))}],
        )  # fmt: skip
    found = metric.compute()
    return float(found["map"]), float(found["map_50"])


@pytest.mark.parametrize(
    ("images", "noise", "extra"), [(5, 2, 2), (20, 4, 3), (20, 1, 0), (8, 3, 130), (40, 4, 8)]
)
def test_as_coco(make_detections, images, noise, extra):
    case = make_detections(images, seed=images + noise, noise=noise, extra=extra)
    found = average_precision(*case, COCO_THRESHOLDS)
    value, at_half = coco(case)
    assert value > 0
    assert found.value == pytest.approx(value, abs=1e-6)
    assert found.by_threshold[0] == pytest.approx(at_half, abs=1e-6)
    assert average_precision(*case).value == found.by_threshold[0]


def test_most_boxes_and_repeats_count(make_detections):
    case = make_detections(8, seed=11, noise=3, extra=130)
    assert average_precision(*case).value != average_precision(*case, max_detections=1).value
    doubled = [np.repeat(one, 2, axis=0) for one in case.predicted]
    scores = [(one[:, None] * [1, 0.9999]).ravel() for one in case.scores]
    twice = doubled, scores, case.true
    assert average_precision(*twice).value == pytest.approx(coco(twice)[1], abs=1e-6)
    assert average_precision(*twice).value < average_precision(*case).value
    assert froc(*twice).sensitivity[-1] == froc(*case).sensitivity[-1]


def test_by_hand(by_hand):
    found = average_precision(*by_hand)
    assert found.value == pytest.approx(45 / 101), "numbers moved: raise VERSION"
    assert found.thresholds == (0.5,)
    curve = precision_recall(match_detections(*by_hand, repeats="false_positive"))
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.65, 0.6, 0.3]
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 1 / 4, 1 / 5, 2 / 6, 2 / 7])
    assert curve.recall.tolist() == pytest.approx([1 / 3] * 4 + [2 / 3] * 2)
    kinder = precision_recall(froc(*by_hand))
    assert kinder.precision.tolist() == pytest.approx([1, 1 / 3, 1 / 4, 2 / 5, 2 / 6])


def test_equal_scores_give_nothing_by_luck_of_order():
    true = [[[0, 0, 4, 4]], []]
    boxes = [[[0, 0, 4, 4]], [[0, 0, 4, 4]]]
    for order in ([0, 1], [1, 0]):
        case = [boxes[at] for at in order], [[0.5], [0.5]], [true[at] for at in order]
        assert average_precision(*case).value == pytest.approx(0.5)
    # COCO takes them as given: 1 in this order, one half in the other
    assert coco((boxes, [[0.5], [0.5]], true))[1] == pytest.approx(1)


def test_the_cut_at_the_most_boxes_does_not_depend_on_their_order():
    boxes = np.array([[0.0, 0, 4, 4], [9, 9, 12, 12], [1, 1, 5, 5]])
    for order in ([0, 1, 2], [2, 1, 0]):
        found = average_precision(
            [boxes[order]], [np.full(3, 0.5)], [[[0, 0, 4, 4]]], max_detections=1
        )
        assert found.value == 1


def test_nothing_predicted_and_nothing_found():
    assert average_precision([[]], [[]], [[[0, 0, 4, 4]]]).value == 0
    assert average_precision([[[5, 5, 9, 9]]], [[0.5]], [[[0, 0, 4, 4]]]).value == 0
    assert len(precision_recall(froc([[]], [[]], [[[0, 0, 4, 4]]])).recall) == 0


def test_intervals_and_paired_differences(make_detections):
    good, bad = (
        average_precision(*make_detections(30, noise=noise), COCO_THRESHOLDS) for noise in (1, 4)
    )
    patients = np.arange(30) // 2
    low, high = average_precision_ci(good, patients, draws=500)
    assert low < good.value < high
    assert average_precision_ci(good, patients, draws=500) == (low, high)
    row = average_precision_difference(good, bad, patients, draws=500).iloc[0]
    assert row["difference"] == pytest.approx(good.value - bad.value)
    assert 0 < row["low"] < row["difference"] < row["high"]
    same = average_precision_difference(good, good, patients, draws=100)
    assert same.iloc[0].tolist() == [0, 0, 0, 1]


def test_bad_input_is_named(by_hand, make_detections):
    with pytest.raises(DataError, match="no mass in any of the 2 images"):
        average_precision([[], []], [[], []], [[], []])
    for fields in ({"thresholds": ()}, {"max_detections": 0}):
        with pytest.raises(DataError, match="at least one of each"):
            average_precision(*by_hand, **fields)
    with pytest.raises(SpecError, match=r"threshold = 0\.0"):
        average_precision(*by_hand, (0.0,))
    found, other = average_precision(*by_hand), average_precision(*by_hand, (0.25,))
    with pytest.raises(DataError, match="compare at the same IoU"):
        average_precision_difference(found, other, ["a", "b", "c", "d"])
    with pytest.raises(DataError, match="on the same images"):
        average_precision_difference(found, average_precision(*make_detections(4)), ["a"] * 4)
    with pytest.raises(DataError, match="all masses come from one patient"):
        average_precision_ci(found, ["a"] * 4)

"""FROC by hand, counted afresh at every threshold, by MONAI; average precision by COCO."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.errors import DataError
from mammostudy.evaluation import froc_curves as ours
from mammostudy.evaluation.boxes import match_detections

COCO = [round(0.5 + 0.05 * step, 2) for step in range(10)]
PATIENTS = ["a", "b", "c", "d"]

BY_HAND = {
    ("iou", 0.5, "ignore"): [
        (np.inf, 0, 0), (0.9, 0, 1), (0.7, 2, 1), (0.65, 3, 1), (0.6, 3, 2), (0.3, 4, 2),
    ],
    ("iou", 0.5, "false_positive"): [
        (np.inf, 0, 0), (0.9, 0, 1), (0.8, 1, 1), (0.7, 3, 1), (0.65, 4, 1), (0.6, 4, 2),
        (0.3, 5, 2),
    ],
    ("iou", 0.1, "ignore"): [
        (np.inf, 0, 0), (0.9, 0, 1), (0.7, 2, 1), (0.65, 2, 2), (0.6, 2, 3), (0.3, 3, 3),
    ],
}  # fmt: skip


@pytest.mark.parametrize("fields", BY_HAND)
def test_by_hand(by_hand, fields):
    thresholds, false, found = np.array(BY_HAND[fields], float).T
    curve = ours.froc(*by_hand, *fields)
    assert curve.thresholds.tolist() == thresholds.tolist()
    assert (curve.false_positives_per_image * 4).tolist() == false.tolist()
    assert (curve.sensitivity * 3).tolist() == pytest.approx(found.tolist())


def test_sensitivity_and_threshold_at_a_rate(by_hand):
    curve = ours.froc(*by_hand)
    rates = [0, 0.25, 0.5, 0.75, 1, 8]
    assert curve.sensitivity_at(rates) * 3 == pytest.approx([1, 1, 1, 2, 2, 2])
    assert [curve.threshold_at(rate) for rate in rates] == [0.9, 0.9, 0.7, 0.6, 0.3, 0.3]
    assert curve.mean_sensitivity() == pytest.approx(11 / 21)


def points_counted_afresh(case, rule, threshold, repeats):
    """Drop the predictions below each score, match what is left, and count."""
    points = []
    for score in sorted({float(s) for one in case[1] for s in one}, reverse=True):
        keep = [one >= score for one in case[1]]
        left = [[a[k] for a, k in zip(part, keep, strict=True)] for part in case[:2]]
        found = match_detections(*left, case[2], rule, threshold, repeats)
        hits = len({int(m) for m in found.mass if m >= 0})
        points.append((int(found.is_false_positive.sum()), hits))
    return points


@pytest.mark.parametrize("repeats", ["ignore", "false_positive"])
@pytest.mark.parametrize(("rule", "threshold"), [("iou", 0.1), ("iou", 0.5), ("centre", 0.5)])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_as_counted_afresh(any_detections, rule, threshold, repeats, data):
    case = data.draw(any_detections)
    curve = ours.froc(*case, rule, threshold, repeats)
    points = [(0, 0), *points_counted_afresh(case, rule, threshold, repeats)]
    images, masses = len(case[2]), sum(map(len, case[2]))
    counts = zip(curve.false_positives_per_image * images, curve.sensitivity * masses, strict=True)
    counts = [(round(false), round(hits)) for false, hits in counts]
    assert counts == [p for at, p in enumerate(points) if p != points[max(at - 1, 0)] or at == 0]
    for rate in (0, 0.25, 0.5, 1, 2, 8):
        best = max(hits for false, hits in points if false / images <= rate)
        assert curve.sensitivity_at(rate) == pytest.approx(best / masses)


def on_a_grid(seed, tied):
    """Masses that do not touch, boxes of even side with whole centres, and their label masks."""
    rng = np.random.default_rng(seed)
    case, masks = ([], [], []), []
    for _ in range(6):
        corners = rng.permutation(9)[: rng.integers(0, 4)] * 10
        true = np.array([[c, c, c + 8, c + 6] for c in corners], float).reshape(-1, 4)
        mask = np.zeros((90, 90), int)
        for label, (x0, y0, x1, y1) in enumerate(true.astype(int), 1):
            mask[y0:y1, x0:x1] = label
        along = rng.integers(2, 88, 12)
        centres = np.stack([along, np.clip(along + rng.integers(-3, 3, 12), 2, 87)], axis=1)
        case[0].append(np.hstack([centres - 2, centres + 2]).astype(float))
        case[1].append(rng.integers(1, 8 if tied else 4096, 12) / 4096)
        case[2].append(true)
        masks.append(mask)
    return case, masks


@pytest.mark.parametrize("tied", [False, True])
def test_as_monai_where_masses_do_not_touch(tied):
    from monai import metrics as monai  # seconds: only where it is asked

    case, masks = on_a_grid(0, tied)
    false, found, targets = [], [], 0
    for boxes, scores, mask in zip(case[0], case[1], masks, strict=True):
        centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int)[:, ::-1]
        if mask.max():
            fp, tp, number = monai.compute_fp_tp_probs_nd(scores, centres, mask)
            false, found, targets = [*false, *fp], [*found, *tp], targets + number
        else:
            false = [*false, *scores]
    rates, sensitivity = monai.compute_froc_curve_data(np.array(false), np.array(found), targets, 6)
    curve = ours.froc(*case, rule="centre")
    # MONAI leaves out the lowest threshold if every mass is found
    assert len(curve.sensitivity) - len(rates) == (0 if min(found) == 0 else 1)
    assert curve.sensitivity[: len(rates)] == pytest.approx(sensitivity[::-1])
    assert curve.false_positives_per_image[: len(rates)] == pytest.approx(rates[::-1])
    assert curve.sensitivity[-1] > 0


def scattered(rng, count):
    corner, side = rng.integers(5, 100, (count, 2)), rng.integers(10, 30, (count, 2))
    return np.hstack([corner, corner + side]).astype(float)


def detections(images, noise, extra=3, seed=0):
    """Untied detections of none to two masses an image."""
    rng = np.random.default_rng(seed)
    true = [scattered(rng, int(rng.integers(0, 3))) for _ in range(images)]
    true[0] = scattered(rng, 1)
    jitter = np.random.default_rng(seed + 1000 + noise)
    predicted = [
        np.vstack([one + jitter.integers(-noise, noise + 1, one.shape), scattered(rng, extra)])
        for one in true
    ]
    ranks = jitter.permutation(sum(map(len, predicted))) / 4096 + 0.25
    scores = np.split(ranks, np.cumsum([len(one) for one in predicted])[:-1])
    for one, mine in zip(true, scores, strict=True):
        mine[: len(one)] += 1 / 8192 + np.where(jitter.random(len(one)) < 0.8, 0.25, 0)
    return predicted, scores, true


SOME_RATES = np.array([0, 0.2, 0.29, 0.5, 1, 2, 8])


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_resample_is_the_images_repeated(any_detections, data):
    case = data.draw(any_detections)
    images = len(case[2])
    codes = np.array(data.draw(st.tuples(*[st.integers(0, images - 1)] * images)))
    codes = np.unique(codes, return_inverse=True)[1]
    drawn = np.array(data.draw(st.tuples(*[st.integers(0, 3)] * (codes.max() + 1))))
    again = [[part[at] for at in np.repeat(np.arange(images), drawn[codes])] for part in case]
    ladder = ours.ladder_of(match_detections(*case), codes)
    found = ours.ladder_sensitivities(ladder, drawn[None], SOME_RATES)[0]
    counted = match_detections(*case, repeats="false_positive")
    precision = ours.ladder_precisions(ours.ladder_of(counted, codes), drawn[None])[0]
    if not sum(map(len, again[2])):
        assert np.isnan(found).all()
        assert np.isnan(precision)
        return
    assert found == pytest.approx(ours.froc(*again).sensitivity_at(SOME_RATES))
    repeats = match_detections(*again, repeats="false_positive")
    assert precision == pytest.approx(ours.average_precision([repeats]))


def test_control_the_ladder_counts_rates_with_slack(monkeypatch):
    boxes = [[[0.0, 0, 4, 4]]] * 30 + [[]] * 70
    true = [[]] * 29 + [[[0.0, 0, 4, 4]]] + [[]] * 70
    case = boxes, [[0.9]] * 29 + [[0.5]] + [[]] * 70, true
    ladder, once = ours.ladder_of(match_detections(*case), np.zeros(100, int)), np.ones((1, 1))
    assert ours.ladder_sensitivities(ladder, once, np.array([0.29])).item() == 1
    monkeypatch.setattr(ours, "SLACK", 0.0)
    assert ours.ladder_sensitivities(ladder, once, np.array([0.29])).item() == 0


def test_what_has_no_curve_or_interval_is_refused(by_hand):
    with pytest.raises(DataError, match="no mass in any of the 2 images"):
        ours.froc([[], []], [[], []], [[], []])
    curve = ours.froc(*by_hand)
    with pytest.raises(DataError, match="rate"):
        curve.sensitivity_at(-1)
    for patients in (["a", "b"], ["a", None, "b", "c"], ["a", "b", "a", "b"]):
        with pytest.raises(DataError, match="patients"):
            ours.froc_band(curve, patients)


def counted(case, thresholds=(0.5,)):
    return [match_detections(*case, "iou", each, "false_positive") for each in thresholds]


def coco(case):
    """(mAP, AP50) of COCO's counting."""
    from torchmetrics.detection import MeanAveragePrecision  # seconds: only where it is asked

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
def test_as_coco(images, noise, extra):
    case = detections(images, noise, extra, seed=images + noise)
    found = ours.average_precision(counted(case, COCO)), ours.average_precision(counted(case))
    assert found == pytest.approx(coco(case), abs=1e-6)
    doubled = [np.repeat(one, 2, axis=0) for one in case[0]]
    twice = doubled, [(one[:, None] * [1, 0.9999]).ravel() for one in case[1]], case[2]
    assert ours.average_precision(counted(twice)) == pytest.approx(coco(twice)[1], abs=1e-6)
    assert ours.average_precision(counted(twice)) < found[1]  # repeats count
    assert ours.froc(*twice).sensitivity[-1] == ours.froc(*case).sensitivity[-1]


def test_precision_by_hand(by_hand):
    assert ours.average_precision(counted(by_hand)) == pytest.approx(45 / 101)
    curve = ours.precision_recall(match_detections(*by_hand, repeats="false_positive"))
    assert curve["thresholds"].tolist() == [0.9, 0.8, 0.7, 0.65, 0.6, 0.3]
    assert curve["precision"].tolist() == pytest.approx([1, 1 / 2, 1 / 4, 1 / 5, 2 / 6, 2 / 7])
    assert curve["recall"].tolist() == pytest.approx([1 / 3] * 4 + [2 / 3] * 2)
    with pytest.raises(DataError, match="false_positive"):
        ours.average_precision([match_detections(*by_hand)])


def test_the_interval_of_average_precision_holds_it():
    good = counted(detections(30, 1), (0.5, 0.75))
    patients = np.arange(30) // 2
    low, high = ours.average_precision_ci(good, patients, draws=500)
    assert low < ours.average_precision(good) < high

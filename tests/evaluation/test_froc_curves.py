"""FROC by hand, against counting afresh at every threshold, and against MONAI."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_fp_tp_probs_nd, compute_froc_curve_data

from mammostudy import evaluation
from mammostudy.errors import DataError
from mammostudy.evaluation import froc_curves
from mammostudy.evaluation.boxes import match_detections
from mammostudy.evaluation.froc_curves import RATES, false_positives_by_image, froc, froc_of

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
    ("centre", 0.5, "ignore"): [
        (np.inf, 0, 0), (0.9, 0, 1), (0.7, 2, 1), (0.65, 3, 1), (0.6, 3, 2), (0.3, 4, 2),
    ],
}  # fmt: skip


@pytest.mark.parametrize("fields", BY_HAND)
def test_by_hand(by_hand, fields):
    thresholds, false, found = np.array(BY_HAND[fields], float).T
    curve = froc(*by_hand, *fields)
    assert curve.thresholds.tolist() == thresholds.tolist(), "numbers moved: raise VERSION"
    assert (curve.false_positives_per_image * 4).tolist() == false.tolist()
    assert (curve.sensitivity * 3).tolist() == pytest.approx(found.tolist())


@pytest.mark.parametrize(
    ("rate", "found", "threshold"),
    [(0, 1, 0.9), (0.25, 1, 0.9), (0.5, 1, 0.7), (0.75, 2, 0.6), (0.99, 2, 0.6), (1, 2, 0.3),
     (8, 2, 0.3), (1e9, 2, 0.3)],
)  # fmt: skip
def test_sensitivity_and_threshold_at_a_rate(by_hand, rate, found, threshold):
    curve = froc(*by_hand)
    assert curve.sensitivity_at(rate) == pytest.approx(found / 3)
    assert isinstance(curve.sensitivity_at(rate), float)
    assert curve.threshold_at(rate) == threshold


def test_mean_over_the_seven_rates(by_hand):
    curve = froc(*by_hand)
    assert curve.sensitivity_at(RATES).tolist() == pytest.approx([1 / 3] * 3 + [2 / 3] * 4)
    assert curve.mean_sensitivity() == pytest.approx(11 / 21)
    assert curve.mean_sensitivity([0, 8]) == pytest.approx(0.5)


def test_an_image_without_masses_or_predictions_counts(by_hand):
    whole, without = froc(*by_hand), froc(*(part[:3] for part in by_hand))
    assert without.false_positives_per_image == pytest.approx(
        whole.false_positives_per_image * 4 / 3
    )
    assert without.sensitivity.tolist() == whole.sensitivity.tolist()


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
@settings(deadline=None)
@given(data=st.data())
def test_as_counted_afresh(any_detections, rule, threshold, repeats, data):
    case = data.draw(any_detections)
    curve = froc(*case, rule, threshold, repeats)
    points = [(0, 0), *points_counted_afresh(case, rule, threshold, repeats)]
    images, masses = len(case[2]), sum(map(len, case[2]))
    ours = zip(curve.false_positives_per_image * images, curve.sensitivity * masses, strict=True)
    ours = [(round(false), round(hits)) for false, hits in ours]
    assert ours == [p for at, p in enumerate(points) if p != points[max(at - 1, 0)] or at == 0]
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
@pytest.mark.parametrize("seed", range(5))
def test_as_monai_where_masses_do_not_touch(seed, tied):
    case, masks = on_a_grid(seed, tied)
    false, found, targets = [], [], 0
    for boxes, scores, mask in zip(case[0], case[1], masks, strict=True):
        centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int)[:, ::-1]
        if mask.max():
            fp, tp, number = compute_fp_tp_probs_nd(scores, centres, mask)
            false, found, targets = [*false, *fp], [*found, *tp], targets + number
        else:
            false = [*false, *scores]
    rates, sensitivity = compute_froc_curve_data(np.array(false), np.array(found), targets, 6)
    curve = froc(*case, rule="centre")
    # MONAI leaves out the lowest threshold if every mass is found
    assert len(curve.sensitivity) - len(rates) == (0 if min(found) == 0 else 1)
    assert curve.sensitivity[: len(rates)] == pytest.approx(sensitivity[::-1])
    assert curve.false_positives_per_image[: len(rates)] == pytest.approx(rates[::-1])
    assert curve.sensitivity[-1] > 0


def test_tied_scores_enter_together():
    predicted = [[[0, 0, 4, 4], [20, 20, 24, 24], [40, 40, 44, 44]]]
    curve = froc(predicted, [[0.5, 0.5, 0.5]], [[[0, 0, 4, 4]]])
    assert curve.sensitivity.tolist() == [0, 1]
    assert curve.false_positives_per_image.tolist() == [0, 2]
    assert curve.sensitivity_at(1) == 0
    assert curve.sensitivity_at(2) == 1
    assert curve.threshold_at(1) == np.inf


def test_control_points_a_prediction_would_find_a_mass_for_free(monkeypatch):
    def one_by_one(scores, steps):
        return np.minimum(np.arange(4), len(scores)).astype(float)

    monkeypatch.setattr(froc_curves, "_from_above", one_by_one)
    predicted = [[[0, 0, 4, 4], [20, 20, 24, 24], [40, 40, 44, 44]]]
    assert froc(predicted, [[0.5, 0.5, 0.5]], [[[0, 0, 4, 4]]]).sensitivity_at(1) == 1


HUNDRED = [[[[0, 0, 4, 4]]] * 29 + [[[8, 8, 12, 12]]] + [[]] * 70,
           [[0.9]] * 29 + [[0.5]] + [[]] * 70,
           [[]] * 29 + [[[8, 8, 12, 12]]] + [[]] * 70]  # fmt: skip


def test_a_rate_is_reached_in_spite_of_rounding():
    assert 0.29 * 100 < 29
    assert froc(*HUNDRED).sensitivity_at(0.29) == 1


def test_control_without_slack_the_rate_is_missed(monkeypatch):
    monkeypatch.setattr(froc_curves, "SLACK", 0.0)
    assert froc(*HUNDRED).sensitivity_at(0.29) == 0


def test_no_prediction_at_all():
    curve = froc([[], []], [[], []], [[[0, 0, 4, 4]], []])
    assert (curve.sensitivity.tolist(), curve.thresholds.tolist()) == ([0], [np.inf])
    assert curve.mean_sensitivity() == 0


def test_false_positives_by_image_need_no_mass(by_hand):
    found = match_detections(*by_hand)
    assert false_positives_by_image(found).tolist() == [1, 2, 1, 0]
    assert false_positives_by_image(found, 0.66).tolist() == [1, 1, 0, 0]
    free = match_detections([[[0, 0, 4, 4]]], [[0.5]], [[]])
    assert false_positives_by_image(free).tolist() == [1]


def test_some_masses_keep_all_false_positives(by_hand):
    curve = froc_of(match_detections(*by_hand).only([False, True, False]))
    assert (curve.false_positives_per_image * 4).tolist() == [0, 2, 3, 3, 4]
    assert curve.sensitivity.tolist() == [0, 0, 0, 1, 1]


def test_no_mass_in_any_image():
    with pytest.raises(DataError, match="no mass in any of the 2 images: sensitivity does not"):
        froc([[], []], [[], []], [[], []])


@pytest.mark.parametrize("rate", [-1, np.nan, np.inf, [1, -1], []])
def test_bad_rates(by_hand, rate):
    with pytest.raises(DataError, match="must be finite and not negative"):
        froc(*by_hand).sensitivity_at(rate)


def test_the_package_gives_the_function():
    assert evaluation.froc is froc

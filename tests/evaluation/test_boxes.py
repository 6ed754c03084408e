"""Boxes: pixels judge overlap and edges, a slow judge the matching, hand work the prior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation import boxes as ours

SPAN = st.sampled_from([(a, b) for a in range(9) for b in range(a + 1, 10)])
BOXES = st.tuples(SPAN, SPAN).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))


@settings(max_examples=50)
@given(BOXES, BOXES)
def test_iou_counts_pixels(first, second):
    masks = np.zeros((2, 10, 10), bool)
    for mask, (left, top, right, bottom) in zip(masks, (first, second), strict=True):
        mask[top:bottom, left:right] = True
    expected = masks.all(axis=0).sum() / masks.any(axis=0).sum()
    assert ours.pairwise_iou([first], [second])[0, 0] == pytest.approx(expected)


def test_bad_boxes_and_scores_are_named():
    sound = [[[0, 0, 1, 1]]], [[0.5]], [[]]
    for at, wrong, named in (
        (0, [], "predicted_boxes"),
        (0, [[[3, 3, 3, 5]]], r"predicted_boxes\[0\]"),
        (0, [[[0, 0, np.inf, 1]]], r"predicted_boxes\[0\]"),
        (1, [[0.5, 0.4]], "scores"),
        (1, [[np.nan]], r"scores\[0\]"),
        (2, [[], []], "true_boxes"),
    ):
        with pytest.raises(DataError, match=named):
            ours.match_detections(*sound[:at], wrong, *sound[at + 1 :])
    for fields in (("giou",), ("iou", 0.0), ("iou", 0.5, "count")):
        with pytest.raises(SpecError):
            ours.match_detections(*sound, *fields)


def outcomes(found):
    return [ours.OUTCOMES[each] for each in found.outcome]


RULES = [("iou", 0.1), ("iou", 0.5), ("centre", 0.5)]


def slow_judge(predicted, scores, true, rule, threshold):
    """Of one image: the best pair left, again and again, by plain comparison."""
    claimed, fitting = {}, set()
    pairs = []
    for p, box in enumerate(predicted):
        for t, mass in enumerate(true):
            overlap = ours.pairwise_iou([box], [mass]).item()
            fits = overlap >= threshold
            if rule == "centre":
                fits = ours.pairwise_centre_inside([box], [mass]).item()
            if fits:
                fitting.add(p)
                pairs.append((-scores[p], -overlap, tuple(box), tuple(mass), p, t))
    while pairs:
        best = min(pairs)
        claimed[best[4]] = best[5]
        pairs = [pair for pair in pairs if pair[4] != best[4] and pair[5] != best[5]]
    outcome = ["hit" if p in claimed else "repeat" if p in fitting else "false"
               for p in range(len(predicted))]  # fmt: skip
    return outcome, claimed


@pytest.mark.parametrize(
    ("rule", "threshold", "expected", "found_by"),
    [
        ("iou", 0.5, "hit repeat false hit false false false", [0, 3, -1]),
        ("iou", 0.1, "hit repeat false hit false false hit", [0, 3, 6]),
        ("iou", 0.9, "hit false false false false false false", [0, -1, -1]),
        # the centre (8, 8) of the last box lies on the open edge of the third mass
        ("centre", 0.5, "hit repeat false hit false false false", [0, 3, -1]),
    ],
)
def test_by_hand(by_hand, rule, threshold, expected, found_by):
    found = ours.match_detections(*by_hand, rule, threshold)
    assert outcomes(found) == expected.split()
    assert found.found_by.tolist() == found_by
    assert found.images == 4
    assert found.image.tolist() == [0, 0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(("rule", "threshold"), RULES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_as_the_slow_judge(any_detections, rule, threshold, data):
    case = data.draw(any_detections)
    found = ours.match_detections(*case, rule, threshold)
    expected, before = [], 0
    mass = np.full(len(found.boxes), -1)
    for predicted, scores, true in zip(*case, strict=True):
        outcome, claimed = slow_judge(predicted, scores, true, rule, threshold)
        for p, t in claimed.items():
            mass[len(expected) + p] = before + t
        expected += outcome
        before += len(true)
    assert outcomes(found) == expected
    # two masses with the same box are one another's equal: compare what they are, not which
    assert found.true_boxes[found.mass].tolist() == found.true_boxes[mass].tolist()
    for number, by in enumerate(found.found_by):
        assert by == -1 or found.mass[by] == number


def found_of(order):
    """How many of two masses are found by two boxes of one score in this order."""
    wide = np.array([[0.0, 0, 4, 4], [0.0, 0, 8, 4]])  # the second fits both masses, the first one
    true = np.array([[0.0, 0, 4, 4], [4.0, 0, 8, 4]])
    found = ours.match_detections([wide[order]], [[0.5, 0.5]], [true], "iou", 0.1)
    return (found.found_by >= 0).sum()


def test_at_equal_scores_the_better_overlap_goes_first(monkeypatch):
    orders = [0, 1], [1, 0]
    assert [found_of(order) for order in orders] == [2, 2]
    by_score = lambda keys: np.argsort(keys[-1], kind="stable")  # noqa: E731
    monkeypatch.setattr(ours.np, "lexsort", by_score)  # the control
    assert len({found_of(order) for order in orders}) == 2


# one mass of an image 100 x 200, two of one 200 x 100 (height, width)
TRAINING = [[[20, 10, 60, 30]], [], [[10, 20, 30, 60], [50, 100, 70, 140]]]
SHAPES = [(100, 200), (50, 50), (200, 100)]


def test_mean_box_by_hand():
    prior = ours.fixed_prior(TRAINING, SHAPES, ["L", "L", "R"])
    # relative: (.1, .1, .3, .3) in L; (.1, .1, .3, .3) and (.5, .5, .7, .7) in R
    assert prior["L"] == pytest.approx([0.1, 0.1, 0.3, 0.3])
    assert prior["R"] == pytest.approx([0.3, 0.3, 0.5, 0.5])
    assert prior["all"] == pytest.approx([0.7 / 3, 0.7 / 3, 1.3 / 3, 1.3 / 3])
    (unknown,), _ = ours.prior_boxes(prior, [(3, 3)], ["unknown"])
    assert unknown == pytest.approx(np.array([[0.7, 0.7, 1.3, 1.3]]))
    boxes, scores = ours.prior_boxes(prior, [(300, 600), (30, 3)], ["R", "L"])
    assert boxes[0] == pytest.approx(np.array([[180, 90, 300, 150]]))
    assert boxes[1] == pytest.approx(np.array([[0.3, 3, 0.9, 9]]))
    assert [one.tolist() for one in scores] == [[0.5], [0.5]]
    with pytest.raises(DataError, match="no mass in any of the 2 images"):
        ours.fixed_prior([[], []], [(9, 9), (9, 9)], ["L", "R"])

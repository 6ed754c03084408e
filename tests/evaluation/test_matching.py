"""Who finds which mass: a case worked by hand, and a slow judge who thinks pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation import matching
from mammostudy.evaluation.boxes import pairwise_centre_inside, pairwise_iou
from mammostudy.evaluation.matching import match_detections, prediction_table, some_mass

RULES = [("iou", 0.1), ("iou", 0.25), ("iou", 0.5), ("centre", 0.5)]


def slow_judge(predicted, scores, true, rule, threshold):
    """Of one image: the best pair left, again and again, by plain comparison."""
    claimed, fitting = {}, set()
    pairs = []
    for p, box in enumerate(predicted):
        for t, mass in enumerate(true):
            overlap = pairwise_iou([box], [mass]).item()
            fits = overlap >= threshold
            if rule == "centre":
                fits = pairwise_centre_inside([box], [mass]).item()
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
    ("rule", "threshold", "outcomes", "found_score"),
    [
        ("iou", 0.5, "hit repeat false hit false false false", [0.9, 0.6, -np.inf]),
        ("iou", 0.1, "hit repeat false hit false false hit", [0.9, 0.6, 0.65]),
        ("iou", 0.25, "hit repeat false hit false false false", [0.9, 0.6, -np.inf]),
        ("iou", 0.9, "hit false false false false false false", [0.9, -np.inf, -np.inf]),
        # the centre (8, 8) of the last box lies on the open edge of the third mass
        ("centre", 0.5, "hit repeat false hit false false false", [0.9, 0.6, -np.inf]),
    ],
)
def test_by_hand(by_hand, rule, threshold, outcomes, found_score):
    found = match_detections(*by_hand, rule, threshold)
    assert prediction_table(found)["outcome"].tolist() == outcomes.split()
    assert found.found_score.tolist() == found_score
    assert found.images == 4
    assert found.masses_of_image.tolist() == [2, 0, 1, 0]
    assert found.image.tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_repeats_become_false_positives_where_so_chosen(by_hand):
    ignored = match_detections(*by_hand)
    counted = match_detections(*by_hand, repeats="false_positive")
    assert ignored.is_false_positive.sum() == 4
    assert counted.is_false_positive.sum() == 5
    assert (ignored.outcome == counted.outcome).all()


@pytest.mark.parametrize(("rule", "threshold"), RULES)
@settings(deadline=None)
@given(data=st.data())
def test_as_the_slow_judge(any_detections, rule, threshold, data):
    case = data.draw(any_detections)
    found = match_detections(*case, rule, threshold)
    outcomes, before = [], 0
    mass = np.full(len(found.boxes), -1)
    for predicted, scores, true in zip(*case, strict=True):
        outcome, claimed = slow_judge(predicted, scores, true, rule, threshold)
        for p, t in claimed.items():
            mass[len(outcomes) + p] = before + t
        outcomes += outcome
        before += len(true)
    assert prediction_table(found)["outcome"].tolist() == outcomes
    # two masses with the same box are one another's equal: compare what they are, not which
    assert found.true_boxes[found.mass].tolist() == found.true_boxes[mass].tolist()
    for number, by in enumerate(found.found_by):
        assert by == -1 or found.mass[by] == number


def judged(case, orders, rule="iou"):
    """Found scores and false positives with the boxes of each image in another order."""
    predicted = [one[order] for one, order in zip(case[0], orders, strict=True)]
    scores = [one[order] for one, order in zip(case[1], orders, strict=True)]
    found = match_detections(predicted, scores, case[2], rule, 0.1)
    return found.found_score.tolist(), sorted(found.scores[found.is_false_positive].tolist())


@pytest.mark.parametrize("rule", ["iou", "centre"])
@settings(deadline=None)
@given(data=st.data())
def test_order_of_boxes_does_not_matter(any_detections, rule, data):
    case = data.draw(any_detections)
    shuffled = [data.draw(st.permutations(range(len(one)))) for one in case[0]]
    orders = [np.array(order, int) for order in shuffled]
    assert judged(case, orders, rule) == judged(case, [np.sort(one) for one in orders], rule)


WIDE = [[0.0, 0, 4, 4], [0.0, 0, 8, 4]]  # the second fits two masses, the first only one
TIED = ([np.array(WIDE)], [np.array([0.5, 0.5])], [np.array([[0.0, 0, 4, 4], [4.0, 0, 8, 4]])])


def test_at_equal_scores_the_better_overlap_goes_first():
    for order in ([0, 1], [1, 0]):
        assert judged(TIED, [np.array(order)])[0] == [0.5, 0.5]


def test_control_first_come_first_served_depends_on_the_order(monkeypatch):
    def in_order_given(predicted, scores, true, overlap, fits):
        claimed = np.full(len(predicted), -1)
        for p in np.argsort(-scores, kind="stable"):
            free = [t for t in np.flatnonzero(fits[p]) if t not in claimed]
            claimed[p] = free[0] if free else -1
        return claimed

    monkeypatch.setattr(matching, "_claim", in_order_given)
    both = [judged(TIED, [np.array(order)])[0] for order in ([0, 1], [1, 0])]
    assert both == [[0.5, 0.5], [0.5, -np.inf]]


def test_a_higher_score_takes_the_mass_from_a_better_box():
    found = match_detections([[[0, 0, 10, 9], [0, 0, 10, 10]]], [[0.9, 0.8]], [[[0, 0, 10, 10]]])
    assert prediction_table(found)["outcome"].tolist() == ["hit", "repeat"]


def test_a_prediction_goes_to_the_mass_it_fits_best_and_the_next_to_the_other():
    true = [[[0, 0, 10, 10], [2, 0, 12, 10]]]
    found = match_detections([[[2, 0, 12, 10], [2, 0, 12, 10]]], [[0.9, 0.8]], true)
    assert found.mass.tolist() == [1, 0]


def test_only_some_masses(by_hand):
    found = match_detections(*by_hand)
    second = found.only([False, True, False])
    assert prediction_table(second)["outcome"].tolist()[:4] == ["aside", "repeat", "false", "hit"]
    assert second.found_score.tolist() == [0.6]
    assert second.mass.tolist() == [-1, -1, -1, 0, -1, -1, -1]
    assert (second.is_false_positive == found.is_false_positive).all()
    again = second.only([True])
    assert again.outcome.tolist() == second.outcome.tolist()
    with pytest.raises(DataError, match="one bool for each of the 3 masses"):
        found.only([0, 2])


def test_no_prediction_and_no_mass_at_all():
    found = match_detections([[], []], [[], []], [[], []])
    assert (found.images, len(found.boxes), len(found.true_boxes)) == (2, 0, 0)
    with pytest.raises(DataError, match="no mass in any of the 2 images"):
        some_mass(found)


def test_lists_of_different_lengths():
    with pytest.raises(DataError, match="predicted_boxes of 1 images, true_boxes of 2"):
        match_detections([[]], [[]], [[], []])
    with pytest.raises(DataError, match="scores of 2 images for boxes of 1"):
        match_detections([[]], [[], []], [[]])
    with pytest.raises(DataError, match=r"true_boxes\[0\]\[0\] .* is no box"):
        match_detections([[]], [[]], [[[0, 0, 0, 1]]])


@pytest.mark.parametrize(
    ("rule", "threshold", "repeats", "message"),
    [
        ("giou", 0.5, "ignore", "rule 'giou' is unknown: use one of iou, centre"),
        ("iou", 0.0, "ignore", r"threshold = 0.0: .* within \(0, 1\]"),
        ("iou", 1.5, "ignore", "threshold = 1.5"),
        ("iou", np.nan, "ignore", "threshold = nan"),
        ("iou", 0.5, "count", "repeats 'count' is unknown"),
    ],
)
def test_unknown_settings(rule, threshold, repeats, message):
    with pytest.raises(SpecError, match=message):
        match_detections([[]], [[]], [[]], rule, threshold, repeats)

"""Overlap and centres of boxes against pixels counted one by one; bad boxes are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.errors import DataError
from mammostudy.evaluation import boxes
from mammostudy.evaluation.boxes import (
    box_centres,
    box_diameters,
    box_sides,
    boxes_of_images,
    pairwise_centre_inside,
    pairwise_iou,
    scores_of_images,
)

SIDE = st.tuples(st.integers(0, 6), st.integers(1, 6))
BOX = st.tuples(SIDE, SIDE).map(lambda s: [s[0][0], s[1][0], sum(s[0]), sum(s[1])])
BOXES = st.lists(BOX, min_size=1, max_size=4)


def painted(box):
    pixels = np.zeros((12, 12), bool)
    pixels[box[1] : box[3], box[0] : box[2]] = True
    return pixels


@settings(deadline=None)
@given(BOXES, BOXES)
def test_iou_is_that_of_the_pixels(first, second):
    found = pairwise_iou(first, second)
    for row, a in enumerate(first):
        for column, b in enumerate(second):
            p, q = painted(a), painted(b)
            assert found[row, column] == (p & q).sum() / (p | q).sum()


@pytest.mark.parametrize(
    ("centre", "inside"),
    [((4, 4), True), ((2, 2), True), ((8, 5), False), ((5, 8), False), ((7.5, 7.5), True)],
)
def test_centre_inside_is_half_open(centre, inside):
    x, y = centre
    assert pairwise_centre_inside([[x - 1, y - 3, x + 1, y + 3]], [[2, 2, 8, 8]]).item() == inside


def test_measures_of_a_box():
    box = np.array([[2.0, 4.0, 6.0, 5.0]])
    assert box_centres(box).tolist() == [[4, 4.5]]
    assert box_sides(box).tolist() == [[4, 1]]
    assert box_diameters(box).tolist() == [2]


def test_no_boxes_on_either_side():
    assert pairwise_iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert pairwise_centre_inside([[0, 0, 1, 1]], []).shape == (1, 0)
    assert [one.shape for one in boxes_of_images([[], np.zeros((0, 4))])] == [(0, 4), (0, 4)]


@pytest.mark.parametrize(
    ("given_boxes", "message"),
    [
        ([], "boxes must be a list with one"),
        ("ab", "boxes must be a list with one"),
        (3, "boxes must be a list with one"),
        ([[], [[0, 0, 1, 1], [3, 3, 3, 5]]], r"boxes\[1\]\[1\] = \[3.0, 3.0, 3.0, 5.0\] is no box"),
        ([[[0, 5, 1, 4]]], r"boxes\[0\]\[0\] .* is no box: give x_min"),
        ([[[0, 0, np.nan, 1]]], r"boxes\[0\]\[0\] .* is not finite"),
        ([[[0, 0, np.inf, 1]]], r"boxes\[0\]\[0\] .* is not finite"),
        ([[0, 0, 1, 1]], r"boxes\[0\] of shape \(4,\): the boxes of an image must be"),
        ([[[0, 0, 1]]], r"boxes\[0\] of shape \(1, 3\)"),
        ([["a"]], r"boxes\[0\] is not an array of numbers"),
        ([[[0, 0, 1, 1], [0, 0, 1]]], r"boxes\[0\] is not an array of numbers"),
    ],
)
def test_bad_boxes_are_named(given_boxes, message):
    with pytest.raises(DataError, match=message):
        boxes_of_images(given_boxes)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[0.5]], "scores of 1 images for boxes of 2"),
        ([[0.5], []], r"scores\[0\] of shape \(1,\) for 2 boxes"),
        ([[0.5, np.nan], []], r"scores\[0\]\[1\] is nan: give every box a finite score"),
        ([[0.5, np.inf], []], r"scores\[0\]\[1\] is inf"),
        ([[0.5, "x"], []], r"scores\[0\] is not an array"),
    ],
)
def test_bad_scores_are_named(scores, message):
    with pytest.raises(DataError, match=message):
        scores_of_images(scores, boxes_of_images([[[0, 0, 1, 1], [0, 0, 2, 2]], []]))


def test_control_without_the_check_a_degenerate_box_divides_by_nothing(monkeypatch):
    point = [[3, 3, 3, 3]]
    monkeypatch.setattr(boxes, "_checked", lambda raw, where: np.asarray(raw, float))
    with np.errstate(invalid="ignore"):
        assert np.isnan(pairwise_iou(point, point)).all()

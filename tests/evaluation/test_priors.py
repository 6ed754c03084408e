"""The mean training box as a detector."""

import numpy as np
import pytest

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import fixed_prior
from mammostudy.evaluation.froc_curves import froc

# one mass of an image 100 x 200, two of one 200 x 100 (height, width)
BOXES = [[[20, 10, 60, 30]], [], [[10, 20, 30, 60], [50, 100, 70, 140]]]
SHAPES = [(100, 200), (50, 50), (200, 100)]


def test_mean_box_by_hand():
    prior = fixed_prior(BOXES, SHAPES)
    # relative: (.1, .1, .3, .3), (.1, .1, .3, .3), (.5, .5, .7, .7)
    assert prior.boxes["all"] == pytest.approx([0.7 / 3, 0.7 / 3, 1.3 / 3, 1.3 / 3])
    assert prior.masses == {"all": 3}
    boxes, scores = prior.predict([(300, 600), (30, 3)])
    assert boxes[0] == pytest.approx(np.array([[140, 70, 260, 130]])), "moved: raise VERSION"
    assert boxes[1] == pytest.approx(np.array([[0.7, 7, 1.3, 13]]))
    assert [one.tolist() for one in scores] == [[0.5], [0.5]]


def test_its_curve_is_one_point_whole_at_one_false_positive_an_image():
    prior = fixed_prior([[[10, 10, 20, 20]]], [(100, 100)])
    true = [[[10, 10, 20, 20]], [[60, 60, 80, 80]], [], []]
    curve = froc(*prior.predict([(100, 100)] * 4), true)
    assert curve.sensitivity.tolist() == [0, 0.5]
    assert curve.false_positives_per_image.tolist() == [0, 0.75]
    assert curve.sensitivity_at(0.5) == 0
    assert curve.sensitivity_at(1) == 0.5


def test_a_box_each_side_finds_what_their_mean_does_not():
    left, right = [[10, 40, 30, 60]], [[70, 40, 90, 60]]
    true, shapes, sides = [left, right], [(100, 100)] * 2, ["L", "R"]
    mean = fixed_prior(true, shapes)
    assert froc(*mean.predict(shapes), true, "centre").sensitivity_at(1) == 0
    both = fixed_prior(true, shapes, sides)
    assert both.masses == {"L": 1, "R": 1}
    assert froc(*both.predict(shapes, sides), true, "centre").sensitivity_at(1) == 1


@pytest.mark.parametrize(
    ("boxes", "shapes", "groups", "message"),
    [
        ([[], []], [(9, 9), (9, 9)], None, "no mass in any of the 2 images: no mean box"),
        ([[[1, 1, 1, 2]]], [(9, 9)], None, r"true_boxes\[0\]\[0\] .* is no box"),
        (BOXES, SHAPES[:2], None, "image_shapes of 2 images for boxes of 3"),
        (BOXES, [(1, 2, 3)] * 3, None, r"image_shapes of shape \(3, 3\)"),
        (BOXES, [(100, 0)] * 3, None, "above 0 for each image"),
        (BOXES, [(100, np.nan)] * 3, None, "above 0 for each image"),
        (BOXES, SHAPES, ["L"], "groups of 1 images for 3"),
    ],
)
def test_bad_training_input(boxes, shapes, groups, message):
    with pytest.raises(DataError, match=message):
        fixed_prior(boxes, shapes, groups)


def test_a_group_without_training_masses():
    prior = fixed_prior(BOXES, SHAPES, ["L", "R", "L"])
    with pytest.raises(DataError, match=r"groups\[1\] = 'R' had no mass in training: use .*'L'"):
        prior.predict(SHAPES, ["L", "R", "L"])
    with pytest.raises(DataError, match="groups of 2 images for 3"):
        prior.predict(SHAPES, ["L", "L"])

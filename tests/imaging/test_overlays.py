"""Overlays: the colours where they belong, and labels inside the image."""

import numpy as np
import pytest

from mammostudy.imaging import overlays as ours


def square(shape, low, high):
    mask = np.zeros(shape, bool)
    mask[low:high, low:high] = True
    return mask


def rim(shape, low, high):
    return square(shape, low, high) & ~square(shape, low + 1, high - 1)


def test_pure_colours_are_the_papers():
    truth, prediction = np.array([[[True, True, False, False]], [[True, False, True, False]]])
    colours = ours.agreement_overlay(np.full((1, 4), 0.2), truth, prediction, alpha=1)
    assert colours.dtype == np.uint8
    assert colours[0].tolist() == [[255, 255, 0], [255, 0, 0], [0, 255, 0], [0, 0, 0]]


def test_outlines_are_drawn_on_the_rim_in_their_colours():
    shape = (20, 20)
    drawn = ours.outline_overlay(np.zeros(shape), square(shape, 5, 15), square(shape, 8, 12))
    np.testing.assert_array_equal((drawn == ours.WHITE).all(axis=2), rim(shape, 5, 15))
    np.testing.assert_array_equal((drawn == ours.ORANGE).all(axis=2), rim(shape, 8, 12))


def test_findings_are_boxes_and_outlines_of_one_pixel_in_a_small_image():
    shape, box = (40, 60), (10, 10, 30, 30)
    drawn = ours.findings_overlay(np.full(shape, 0.5), [box], [square(shape, 14, 26)], ["1: 0.90"])
    np.testing.assert_array_equal((drawn == ours.BLUE).all(axis=2), rim(shape, 10, 30))
    np.testing.assert_array_equal((drawn == ours.ORANGE).all(axis=2), rim(shape, 14, 26))
    rest = ~rim(shape, 10, 30) & ~rim(shape, 14, 26)
    assert (drawn[rest] == 128).all()  # no label: it would hide the mass


@pytest.mark.parametrize("box", [(0, 0, 60, 60), (240, 340, 300, 400), (0, 0, 300, 400)])
def test_labels_are_written_inside_the_image(box):
    image, blank = np.full((400, 300), 0.5), [np.zeros((400, 300), bool)]
    plain = ours.findings_overlay(image, [box], blank, [""])
    labelled = ours.findings_overlay(image, [box], blank, ["1: 0.90"])
    rows, columns = np.nonzero((plain != labelled).any(axis=2))
    assert rows.size > 100
    assert rows.max() - rows.min() >= 8  # not cut at an edge
    assert columns.max() - columns.min() >= 35

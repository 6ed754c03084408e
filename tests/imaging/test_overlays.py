"""Overlays: the four colours where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from mammostudy.imaging.overlays import (
    BLUE,
    ORANGE,
    agreement_overlay,
    findings_overlay,
    outline_overlay,
)

IMAGE = np.full((1, 4), 0.2, np.float32)
TRUTH = np.array([[True, True, False, False]])
PREDICTION = np.array([[True, False, True, False]])


def test_pure_colours_are_the_papers() -> None:
    colours = agreement_overlay(IMAGE, TRUTH, PREDICTION, alpha=1)
    assert colours.dtype == np.uint8
    assert colours[0].tolist() == [[255, 255, 0], [255, 0, 0], [0, 255, 0], [0, 0, 0]]


def test_outlines_are_drawn_on_the_mask_s_rim_in_their_colours() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    other = np.zeros((20, 20), bool)
    other[8:12, 8:12] = True
    drawn = outline_overlay(np.zeros((20, 20)), mask, other)
    rim = mask.copy()
    rim[6:14, 6:14] = False
    np.testing.assert_array_equal((drawn == (255, 255, 255)).all(axis=2), rim)
    assert drawn[8, 8].tolist() == list(ORANGE)
    assert not drawn[6:8].any() or not drawn[6, 6].any()


def square(shape: tuple[int, int], low: int, high: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[low:high, low:high] = True
    return mask


def rim(shape: tuple[int, int], low: int, high: int) -> np.ndarray:
    return square(shape, low, high) & ~square(shape, low + 1, high - 1)


def test_findings_are_boxes_and_outlines_of_one_pixel_in_a_small_image() -> None:
    shape = (40, 60)
    drawn = findings_overlay(
        np.full(shape, 0.5), [(10, 10, 30, 30)], [square(shape, 14, 26)], ["1: 0.90"]
    )
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal((drawn == BLUE).all(axis=2), rim(shape, 10, 30))
    np.testing.assert_array_equal((drawn == ORANGE).all(axis=2), rim(shape, 14, 26))
    rest = ~rim(shape, 10, 30) & ~rim(shape, 14, 26)
    assert (drawn[rest] == 128).all()  # no label: it would hide the mass


@pytest.mark.parametrize(
    "box",
    [(0, 0, 60, 60), (240, 0, 300, 60), (240, 340, 300, 400), (0, 0, 300, 400), (9, 9, 10, 10)],
)
def test_labels_are_written_inside_the_image(box: tuple[int, int, int, int]) -> None:
    blank = [np.zeros((400, 300), bool)]
    plain = findings_overlay(np.full((400, 300), 0.5), [box], blank, [""])
    labelled = findings_overlay(np.full((400, 300), 0.5), [box], blank, ["1: 0.90"])
    rows, columns = np.nonzero((plain != labelled).any(axis=2))
    assert rows.size > 100
    assert rows.max() - rows.min() >= 8  # not cut at an edge
    assert columns.max() - columns.min() >= 35

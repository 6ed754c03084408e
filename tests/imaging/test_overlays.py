"""Overlays: the four colours where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from mammostudy.errors import DataError
from mammostudy.imaging.overlays import agreement_overlay, outline_overlay

IMAGE = np.full((1, 4), 0.2, np.float32)
TRUTH = np.array([[True, True, False, False]])
PREDICTION = np.array([[True, False, True, False]])


def test_pure_colours_are_the_papers() -> None:
    colours = agreement_overlay(IMAGE, TRUTH, PREDICTION, alpha=1)
    assert colours.dtype == np.uint8
    assert colours[0].tolist() == [[255, 255, 0], [255, 0, 0], [0, 255, 0], [0, 0, 0]]


def test_alpha_mixes_with_the_grey_image() -> None:
    assert agreement_overlay(IMAGE, TRUTH, PREDICTION, alpha=0)[0].tolist() == [[51] * 3] * 4
    half = agreement_overlay(IMAGE, TRUTH, PREDICTION, alpha=0.5)
    assert half[0, 1].tolist() == [153, 26, 26]
    assert half[0, 3].tolist() == [26, 26, 26]


def test_outlines_are_drawn_on_the_mask_s_rim_in_their_colours() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    other = np.zeros((20, 20), bool)
    other[8:12, 8:12] = True
    drawn = outline_overlay(np.zeros((20, 20)), mask, other, colours=((255, 0, 0), (0, 0, 255)))
    rim = mask.copy()
    rim[6:14, 6:14] = False
    np.testing.assert_array_equal((drawn == (255, 0, 0)).all(axis=2), rim)
    assert drawn[8, 8].tolist() == [0, 0, 255]
    assert not drawn[6:8].any() or not drawn[6, 6].any()


@pytest.mark.parametrize("overlay", [agreement_overlay, outline_overlay])
def test_masks_of_another_size_are_refused(overlay) -> None:
    with pytest.raises(DataError, match="must have one shape"):
        overlay(IMAGE, TRUTH, PREDICTION[:, :3])
    overlay(IMAGE, TRUTH, PREDICTION)  # control


def test_alpha_is_a_share() -> None:
    with pytest.raises(DataError, match=r"alpha 1\.5"):
        agreement_overlay(IMAGE, TRUTH, PREDICTION, alpha=1.5)

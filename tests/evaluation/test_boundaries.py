"""Boundary IoU on shapes whose rims can be counted, and against scipy's distances."""

import numpy as np
import pytest
from scipy import ndimage

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation import boundary_iou, iou


def square(side: int, left: int = 20, size: int = 100) -> np.ndarray:
    mask = np.zeros((1, size, size), bool)
    mask[0, left : left + side, left : left + side] = True
    return mask


def ring(side: int, width: int) -> int:
    return side**2 - max(side - 2 * width, 0) ** 2


@pytest.mark.parametrize("width", [1, 3, 7])
def test_concentric_squares_share_what_their_rims_share(width):
    """Two squares, one pixel wider on every side: their rims share all but the outermost ring."""
    dilation = width / np.hypot(100, 100)
    got = boundary_iou(square(40, 21), square(42, 20), dilation)[0]
    shared = ring(40, width - 1)
    assert got == pytest.approx(shared / (ring(40, width) + ring(42, width) - shared))


def test_a_thin_mask_is_all_rim():
    thin, other = square(4), square(5)
    assert boundary_iou(thin, other)[0] == pytest.approx(iou(thin, other)[0])


def test_the_interior_hides_nothing():
    """A pixel off all round costs a large square little IoU and much of its rim."""
    small, large = square(60, 20), square(64, 18)
    assert iou(small, large)[0] > 0.87
    assert boundary_iou(small, large)[0] < 0.45


@pytest.mark.parametrize("seed", range(5))
def test_as_chessboard_distances_say(seed):
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(64, 80)), 5) for _ in range(2)]
    one, other = (field > 0 for field in fields)
    width = max(1, round(0.02 * np.hypot(64, 80)))
    rims = []
    for mask in (one, other):
        deep = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
        rims.append(mask & (deep <= width))
    expected = (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()
    assert boundary_iou(one[None], other[None])[0] == pytest.approx(expected, abs=1e-12)


def test_empty_masks_are_never_missing():
    empty, full = np.zeros((1, 32, 32), bool), np.ones((1, 32, 32), bool)
    assert boundary_iou(empty, empty).tolist() == [1.0]
    assert boundary_iou(empty, full).tolist() == boundary_iou(full, empty).tolist() == [0.0]
    assert boundary_iou(full, full).tolist() == [1.0]


def test_an_edge_of_the_image_is_an_outline():
    """A full image has a rim along its edges, which a square in its middle does not share."""
    full, middle = np.ones((1, 100, 100), bool), square(60, 20)
    assert boundary_iou(full, middle)[0] == 0.0


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="boolean"):
        boundary_iou(np.zeros((1, 4, 4)), np.zeros((1, 4, 4), bool))
    with pytest.raises(SpecError, match="rim"):
        boundary_iou(square(4), square(4), 0)

"""Post-processing against SciPy's morphology and single objects worked out by hand."""

import numpy as np
import pytest
from scipy import ndimage

from mammostudy.errors import SpecError
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.postprocessing import postprocess


def block(x_min, y_min, x_max, y_max):
    mask = np.zeros((20, 20), bool)
    mask[y_min:y_max, x_min:x_max] = True
    return mask


@pytest.fixture
def masks() -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(2).random((5, 40, 50)), (0, 1.5, 1.5))
    return noise > np.median(noise)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("erode3", (6, 6, 11, 9)),
        ("dilate3", (4, 4, 13, 11)),
        ("erode2", (6, 6, 12, 10)),  # its odd pixel comes off the left and the top
        ("dilate2", (4, 4, 12, 10)),  # and goes back on there
        ("open2", (5, 5, 12, 10)),
        ("close9", (5, 5, 12, 10)),
    ],
)
def test_one_step_on_one_block(step, expected):
    assert box_of(postprocess(block(5, 5, 12, 10), (step,))) == expected


def test_the_published_steps_grow_a_block_by_one_and_move_it_by_half_a_pixel():
    done = postprocess(block(5, 5, 12, 10))
    np.testing.assert_array_equal(done, block(5, 5, 13, 11))


@pytest.mark.parametrize("side", [2, 3, 4, 9])
def test_steps_against_scipy(masks, side):
    square = np.ones((side, side), bool)
    for mask in masks:
        dilated = ndimage.binary_dilation(np.pad(mask, side), square)[side:-side, side:-side]
        np.testing.assert_array_equal(postprocess(mask, (f"dilate{side}",)), dilated)
        eroded = ndimage.binary_erosion(mask, square, border_value=1)
        np.testing.assert_array_equal(postprocess(mask, (f"erode{side}",)), eroded)


def test_a_batch_is_its_masks_one_by_one(masks):
    before = masks.copy()
    done = postprocess(masks)
    assert done.dtype == np.bool_
    np.testing.assert_array_equal(done, np.stack([postprocess(mask) for mask in masks]))
    np.testing.assert_array_equal(masks, before)
    np.testing.assert_array_equal(postprocess(masks, ()), masks)
    assert done.sum(axis=(1, 2)).tolist() == [1299, 1373, 1356, 1267, 1216]  # golden


@pytest.mark.parametrize("step", ["blur3", "erode", "erode1", "erode10", "erode-2", "Erode2", ""])
def test_an_unknown_step_is_refused(step):
    with pytest.raises(SpecError, match="is unknown"):
        postprocess(block(5, 5, 9, 9), (step,))

"""Pre- and post-processing: SciPy's filters, the definition of equalisation, blocks by hand."""

import numpy as np
import pytest
from scipy import ndimage

from mammostudy.errors import DataError, SpecError
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.imaging.preprocessing import preprocess

IMAGE = np.random.default_rng(1).random((64, 48)).astype(np.float32) ** 1.5
NOISE = ndimage.gaussian_filter(np.random.default_rng(2).random((5, 40, 50)), (0, 1.5, 1.5))
MASKS = np.median(NOISE) < NOISE


def test_denoising_is_a_gaussian():
    ours = preprocess(IMAGE, equalise=False)
    theirs = ndimage.gaussian_filter(IMAGE.astype(float), 0.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    np.testing.assert_array_equal(preprocess(IMAGE, denoise_sigma=0, equalise=False), IMAGE)


def test_equalised_values_are_uniform_and_keep_their_order():
    flat = preprocess(IMAGE, denoise_sigma=0).ravel()
    counts, _ = np.histogram(flat, bins=10, range=(0, 1))
    assert 0.07 * flat.size < counts.min() <= counts.max() < 0.13 * flat.size
    assert (np.diff(flat[np.argsort(IMAGE.ravel(), kind="stable")]) >= 0).all()


def test_equalisation_forgets_contrast_and_each_image_has_its_own():
    batch = np.stack([IMAGE, 0.2 + 0.3 * IMAGE])
    done = preprocess(batch)
    assert (done.shape, done.dtype) == (batch.shape, np.float32)
    np.testing.assert_allclose(done[0], done[1], atol=0.01)
    np.testing.assert_array_equal(done[0], preprocess(IMAGE))


@pytest.mark.parametrize("value", [0, 1 / 65535, 37 / 255, 128 / 255, 1])
@pytest.mark.parametrize("spread", [0, 1e-9, 1e-7, 2e-6, 1 / 65535])
def test_an_image_of_one_grey_value_or_almost_is_no_crash(value, spread):
    noise = np.random.default_rng(0).random((40, 30))
    done = preprocess(np.clip(value - spread * noise, 0, 1).astype(np.float32))
    assert ((done >= 0) & (done <= 1)).all()
    if spread == 0:
        np.testing.assert_allclose(done, value, atol=1e-6)


def test_unsuitable_input_is_refused():
    preprocess(IMAGE)  # control: the image before a pixel of it is changed
    for value in (255.0, np.nan, -1.0):
        wrong = IMAGE.copy()
        wrong[3, 3] = value
        with pytest.raises(DataError, match="reach from"):
            preprocess(wrong)
    for fields in ({"denoise_sigma": -1}, {"value_range": "tanh"}):
        with pytest.raises(SpecError, match=str(*fields.values())):
            preprocess(IMAGE, **fields)
    with pytest.raises(DataError, match="holds no image"):
        preprocess(IMAGE.ravel())
    for step in ("blur3", "erode", "erode1", "erode10", "erode-2", "Erode2", ""):
        with pytest.raises(SpecError, match=f"'{step}'"):
            postprocess(MASKS, (step,))


def block(x_min, y_min, x_max, y_max):
    mask = np.zeros((20, 20), bool)
    mask[y_min:y_max, x_min:x_max] = True
    return mask


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("erode3",), (6, 6, 11, 9)),
        (("dilate3",), (4, 4, 13, 11)),
        (("erode2",), (6, 6, 12, 10)),  # its odd pixel comes off the left and the top
        (("dilate2",), (4, 4, 12, 10)),  # and goes back on there
        (("open2",), (5, 5, 12, 10)),
        (("close9",), (5, 5, 12, 10)),
        ((), (5, 5, 12, 10)),
    ],
)
def test_steps_on_one_block(steps, expected):
    assert box_of(postprocess(block(5, 5, 12, 10), steps)) == expected


@pytest.mark.parametrize("side", [2, 3, 4, 9])
def test_steps_against_scipy(side):
    square = np.ones((side, side), bool)
    for mask in MASKS:
        dilated = ndimage.binary_dilation(np.pad(mask, side), square)[side:-side, side:-side]
        np.testing.assert_array_equal(postprocess(mask, (f"dilate{side}",)), dilated)
        eroded = ndimage.binary_erosion(mask, square, border_value=1)
        np.testing.assert_array_equal(postprocess(mask, (f"erode{side}",)), eroded)


def test_a_batch_is_its_masks_one_by_one():
    before = MASKS.copy()
    done = postprocess(MASKS)
    assert done.dtype == np.bool_
    np.testing.assert_array_equal(done, np.stack([postprocess(mask) for mask in MASKS]))
    np.testing.assert_array_equal(MASKS, before)


def test_golden_numbers():
    ramp = np.add.outer(np.arange(16), np.arange(16) ** 1.5).astype(np.float32)
    done = preprocess(ramp / ramp.max())
    found = [done.mean(), done[0, 0], done[5, 9], done[15, 3]]
    assert found == pytest.approx([0.50332, 0.00391, 0.55859, 0.36675], abs=2e-3)
    assert postprocess(MASKS).sum(axis=(1, 2)).tolist() == [1299, 1373, 1356, 1267, 1216]
    # the published steps grow a block by one pixel, and move it by half of one
    np.testing.assert_array_equal(postprocess(block(5, 5, 12, 10)), block(5, 5, 13, 11))

"""Pre-processing against SciPy's Gaussian and the definition of equalisation."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mammostudy.errors import DataError, SpecError
from mammostudy.imaging.preprocessing import preprocess


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).random((64, 48)).astype(np.float32) ** 1.5


def test_denoising_is_a_gaussian(image):
    ours = preprocess(image, equalise=False)
    theirs = gaussian_filter(image.astype(float), 0.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    np.testing.assert_array_equal(preprocess(image, denoise_sigma=0, equalise=False), image)


def test_equalised_values_are_uniform_and_keep_their_order(image):
    flat = preprocess(image, denoise_sigma=0).ravel()
    counts, _ = np.histogram(flat, bins=10, range=(0, 1))
    assert 0.07 * flat.size < counts.min() <= counts.max() < 0.13 * flat.size
    assert (np.diff(flat[np.argsort(image.ravel(), kind="stable")]) >= 0).all()


def test_equalisation_forgets_contrast_and_each_image_has_its_own(image):
    batch = np.stack([image, 0.2 + 0.3 * image])
    done = preprocess(batch)
    assert (done.shape, done.dtype) == (batch.shape, np.float32)
    np.testing.assert_allclose(done[0], done[1], atol=0.01)
    np.testing.assert_array_equal(done[0], preprocess(image))


def test_unsuitable_input_is_refused(image):
    preprocess(image)  # control: the image before a pixel of it is changed
    for value in (255.0, np.nan, -1.0):
        wrong = image.copy()
        wrong[3, 3] = value
        with pytest.raises(DataError, match="reach from"):
            preprocess(wrong)
    with pytest.raises(SpecError, match="denoise_sigma -1"):
        preprocess(image, denoise_sigma=-1)
    with pytest.raises(SpecError, match="'tanh' is unknown"):
        preprocess(image, value_range="tanh")
    with pytest.raises(DataError, match="holds no image"):
        preprocess(image.ravel())


def test_golden_numbers():
    ramp = np.add.outer(np.arange(16), np.arange(16) ** 1.5).astype(np.float32)
    done = preprocess(ramp / ramp.max())
    found = [done.mean(), done[0, 0], done[5, 9], done[15, 3]]
    assert found == pytest.approx([0.50332, 0.00391, 0.55859, 0.36675], abs=2e-3)

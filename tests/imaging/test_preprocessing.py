"""Pre-processing against SciPy's Gaussian and the definition of equalisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mammostudy.errors import DataError, SpecError
from mammostudy.imaging.preprocessing import preprocess


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).random((64, 48)).astype(np.float32) ** 1.5


def test_denoising_is_a_gaussian(image: np.ndarray) -> None:
    ours = preprocess(image, equalise=False)
    theirs = gaussian_filter(image.astype(float), 0.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    np.testing.assert_array_equal(preprocess(image, denoise_sigma=0, equalise=False), image)


def test_equalised_values_are_uniform_and_keep_their_order(image: np.ndarray) -> None:
    flat = preprocess(image, denoise_sigma=0).ravel()
    counts, _ = np.histogram(flat, bins=10, range=(0, 1))
    assert counts.min() > 0.07 * flat.size
    assert counts.max() < 0.13 * flat.size
    assert (np.diff(flat[np.argsort(image.ravel(), kind="stable")]) >= 0).all()


def test_equalisation_forgets_contrast_and_each_image_has_its_own(image: np.ndarray) -> None:
    batch = np.stack([image, 0.2 + 0.3 * image])
    done = preprocess(batch)
    assert done.shape == batch.shape
    assert done.dtype == np.float32
    np.testing.assert_allclose(done[0], done[1], atol=0.01)
    np.testing.assert_array_equal(done[0], preprocess(image))


@pytest.mark.parametrize(
    ("change", "message"),
    [(255.0, "reach from .* to .*: scale them"), (np.nan, "reach from nan"), (-1.0, "reach from")],
)
def test_values_outside_the_unit_range_are_refused(
    image: np.ndarray, change: float, message: str
) -> None:
    wrong = image.copy()
    wrong[3, 3] = change
    with pytest.raises(DataError, match=message):
        preprocess(wrong)
    wrong[3, 3] = 0.5  # control: the same image with that pixel mended
    preprocess(wrong)


def test_settings_are_refused_by_name(image: np.ndarray) -> None:
    with pytest.raises(SpecError, match="denoise_sigma -1"):
        preprocess(image, denoise_sigma=-1)
    with pytest.raises(SpecError, match="'tanh' is unknown: use one of unit, signed"):
        preprocess(image, value_range="tanh")
    with pytest.raises(DataError, match="holds no image"):
        preprocess(image.ravel())


def test_golden_numbers() -> None:
    ramp = np.add.outer(np.arange(16), np.arange(16) ** 1.5).astype(np.float32)
    done = preprocess(ramp / ramp.max())
    np.testing.assert_allclose(
        [done.mean(), done[0, 0], done[5, 9], done[15, 3]],
        GOLDEN,
        atol=2e-3,
    )


GOLDEN = [0.50332, 0.00391, 0.55859, 0.36675]

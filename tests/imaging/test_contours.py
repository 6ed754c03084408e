"""Outlines and boxes there and back; the training-free masks on objects they must find."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon
from sklearn.metrics import f1_score

from mammostudy.errors import DataError
from mammostudy.imaging import contours as ours


@settings(max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 20), st.integers(0, 20))
def test_outline_and_box_of_a_block(width, height, left, top):
    mask = np.zeros((40, 41), bool)
    mask[top : top + height, left : left + width] = True
    assert ours.box_of(mask) == (left, top, left + width, top + height)
    (outline,) = ours.outline_of(mask)
    np.testing.assert_array_equal(ours.fill_outline(outline, mask.shape), mask)
    assert outline[:, 0].min() == left - 0.5
    assert outline[:, 1].max() == top + height - 0.5


def test_parts_and_holes_have_outlines_of_their_own():
    mask = np.zeros((30, 30), bool)
    mask[2:10, 2:10] = mask[15:28, 15:28] = True
    mask[20:23, 20:23] = False
    assert len(ours.outline_of(mask)) == 3
    assert ours.outline_of(np.zeros((5, 5), bool)) == []
    with pytest.raises(DataError, match="is empty: it has no box"):
        ours.box_of(np.zeros((5, 5), bool))


@pytest.mark.parametrize("box", [(10, 20, 70, 60), (11, 20, 70, 61), (0, 0, 100, 90)])
def test_the_ellipse_fills_pi_quarters_of_its_box(box):
    mask = ours.inscribed_ellipse(box, (90, 100))
    area = (box[2] - box[0]) * (box[3] - box[1])
    assert mask.sum() == pytest.approx(math.pi / 4 * area, rel=0.01)
    assert ours.box_of(mask) == box
    # everything in the box as prediction: the paper's tight floor of 88 %
    assert 2 * mask.sum() / (mask.sum() + area) == pytest.approx(0.88, abs=0.005)


@pytest.mark.parametrize("method", [ours.otsu_mask, ours.chan_vese_mask])
def test_the_mass_in_the_middle_is_found_and_the_corner_left(method):
    truth = ours.inscribed_ellipse((32, 32, 96, 96), (128, 128))
    noise = 0.06 * np.random.default_rng(0).standard_normal(truth.shape)
    image = np.clip(0.3 + 0.3 * truth + noise, 0, 1)
    image[:10, :10] = 0.9  # a bright thing in the corner that is not the mass
    found = method(image.astype(np.float32))
    assert not found[:10, :10].any()
    assert f1_score(truth.ravel(), found.ravel()) > 0.93
    for value in (0.0, 37 / 255, 0.5, 1.0):  # an image of one value is no crash, nor of almost one
        flat = np.full((32, 32), value, np.float32)
        near = flat + np.float32(1e-6) * np.random.default_rng(0).random(flat.shape, np.float32)
        assert method(flat).shape == method(near).shape == (32, 32)


def test_golden_numbers():
    far = np.hypot(*np.meshgrid(np.arange(48) - 25, np.arange(40) - 18))
    ripple = 0.1 * np.sin(np.arange(40 * 48) * 1.3).reshape(40, 48)
    image = np.clip(1 - far / 30 + ripple, 0, 1).astype(np.float32)
    masks = [
        ours.fill_outline([[3.5, 2], [30, 7.25], [12, 33]], (40, 48)),
        ours.inscribed_ellipse((5, 6, 30, 27), (40, 48)),
        ours.otsu_mask(image),
        ours.chan_vese_mask(image),
    ]
    assert [int(mask.sum()) for mask in masks] == [388, 413, 827, 558]


SHAPE = (20, 26)
WHOLE = st.integers(-6, 30).map(float)
TENTHS = st.integers(-60, 300).map(lambda v: v / 10)  # many pixels lie on such sides, but rounded
FAR = st.floats(-1e3, 1e3)


def oracle(points):
    mask = np.zeros(SHAPE, bool)
    mask[polygon(points[:, 1], points[:, 0], SHAPE)] = True
    return mask


def outlines(values):
    return st.integers(3, 12).flatmap(lambda k: arrays(np.float64, (k, 2), elements=values))


@pytest.mark.parametrize("values", [WHOLE, TENTHS, FAR], ids=["whole", "tenths", "far"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_filling_gives_the_pixels_of_scikit_image(values, data):
    points = data.draw(outlines(values))
    np.testing.assert_array_equal(ours.fill_rows(points, SHAPE), oracle(points))


def test_outlines_that_cannot_be_filled_are_refused(monkeypatch):
    points = np.stack([np.arange(100.0), np.tile([0.0, 99.0], 50)], axis=1)
    assert ours.fill_rows(points, (100, 100)).any()
    monkeypatch.setattr(ours, "MOST_CROSSINGS", 1000)
    with pytest.raises(DataError, match="100 points"):
        ours.fill_rows(points, (100, 100))
    for wrong in ([[0, 0], [5, 5]], [[0, 0, 1]] * 3, [], [[0, 0], [5, math.nan], [0, 5]]):
        with pytest.raises(DataError, match="three or more finite"):
            ours.fill_outline(wrong, (9, 9))

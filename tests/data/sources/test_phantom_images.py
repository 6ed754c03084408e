"""Phantom views: outlines by formula, tissue by spectrum, labels, sides, a second mass."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from skimage.draw import polygon
from skimage.measure import label, regionprops

from mammostudy.data.manifest import SHAPES
from mammostudy.data.sources.phantom_images import (
    SIZE,
    Mass,
    draw_outline,
    draw_view,
    gaussian_radius,
    power_law_fields,
)
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.framing import frame_box


def test_classes_differ_in_solidity_and_aspect_and_share_their_area():
    solidity, aspect = {}, {}
    for shape in SHAPES:
        found = []
        for seed in range(12):
            points = draw_outline(shape, 120, np.random.default_rng(seed))
            assert points.shape == (360, 2)
            area = cv2.contourArea(points.astype(np.float32))
            assert area == pytest.approx(np.pi * 60**2, rel=1e-5)  # that of the disc
            mask = np.zeros((400, 400), int)
            mask[polygon(*(points.T[::-1] + 200))] = 1
            assert label(mask).max() == 1
            found += regionprops(mask)
        solidity[shape] = np.median([one.solidity for one in found])
        ratio = [one.axis_minor_length / one.axis_major_length for one in found]
        aspect[shape] = np.median(ratio)
    assert solidity["irregular"] < 0.88 < solidity["lobular"] < 0.965
    assert min(solidity["oval"], solidity["round"]) > 0.97
    assert aspect["oval"] < 0.75 < 0.88 < aspect["round"]


def test_gaussian_radius_has_the_asked_spread_and_spectrum():
    logs = np.log([gaussian_radius(np.random.default_rng(s), 0.2, 0.5) for s in range(400)])
    assert logs.std() == pytest.approx(0.2, rel=0.05)
    power = (np.abs(np.fft.rfft(logs, axis=1)) ** 2).mean(axis=0)[2:41]
    slope = np.polyfit(np.log(np.arange(2, 41)), np.log(power), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.1)  # amplitude n^-(H + 1/2), H = 1/2


def measured_exponent(field):
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, field.shape)))
    edges = np.geomspace(0.02, 0.4, 12)
    middle = np.sqrt(edges[1:] * edges[:-1])
    level = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(edges)]
    return float(-np.polyfit(np.log(middle), np.log(level), 1)[0])


@pytest.mark.parametrize("beta", [2.0, 3.0])
def test_power_law_exponent(beta):
    for field in power_law_fields((256, 256), np.random.default_rng(0), beta):
        assert field.dtype == np.float32
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, abs=1e-3)
        assert measured_exponent(field) == pytest.approx(beta, abs=0.2)


OVAL = Mass("oval", 60.0, 0.05, 0.6)
SMALL = Mass("round", 40.0, 0.05, 0.6)


def view(name="CC", side="L", site="north", masses=(OVAL,), seed=0):
    return draw_view(name, side, site, 0.4, masses, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ["CC", "MLO"])
@pytest.mark.parametrize("site", ["north", "south"])
def test_a_view_and_its_mirror(name, site):
    image, labels = view(name, site=site)
    assert image.shape == labels.shape == SIZE
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1
    assert (labels == 1).sum() == pytest.approx(np.pi * 30**2, rel=0.08)
    assert set(np.unique(labels)) == {0, 1}
    right = view(name, side="R", site=site)
    np.testing.assert_array_equal(image, right[0][:, ::-1])
    np.testing.assert_array_equal(labels, right[1][:, ::-1])
    assert image[:, :100].mean() > 2 * image[:, -100:].mean()  # lies on the chest wall


@pytest.mark.parametrize("seed", range(6))
def test_the_loose_frame_cuts_the_second_mass(seed):
    _, labels = view("MLO", masses=(OVAL, SMALL), seed=seed)
    x_min, y_min, x_max, y_max = frame_box(box_of(labels == 1), SIZE)
    second = labels == 2
    inside = second[max(y_min, 0) : y_max, max(x_min, 0) : x_max].sum()
    assert 0.1 * second.sum() < inside < second.sum()

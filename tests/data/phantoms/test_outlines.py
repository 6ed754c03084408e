"""Outlines: areas by formula, classes told apart by shape factors computed with scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon
from skimage.measure import label, regionprops

from mammostudy.data.manifest import SHAPES
from mammostudy.data.phantoms.outlines import (
    draw_outline,
    ellipse_radius,
    enclosed_area,
    gaussian_radius,
    lobes_radius,
)


def regions(shape: str, count: int = 12):
    found = []
    for seed in range(count):
        points = draw_outline(shape, 120, np.random.default_rng(seed)) + 200
        mask = np.zeros((400, 400), int)
        mask[polygon(points[:, 1], points[:, 0])] = 1
        found.append(regionprops(mask)[0])
        assert label(mask).max() == 1
    return found


def test_enclosed_area_of_a_rectangle() -> None:
    assert enclosed_area(np.array([[0, 0], [4, 0], [4, 3], [0, 3]], float)) == 12


@pytest.mark.parametrize("shape", SHAPES)
def test_area_is_that_of_the_disc(shape: str) -> None:
    for seed in range(5):
        points = draw_outline(shape, 60, np.random.default_rng(seed))
        assert points.shape == (360, 2)
        assert enclosed_area(points) == pytest.approx(np.pi * 30**2)


@pytest.mark.parametrize("shape", SHAPES)
def test_same_generator_same_outline(shape: str) -> None:
    draws = [draw_outline(shape, 60, np.random.default_rng(s)) for s in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.allclose(draws[0], draws[2])


def test_classes_differ_in_solidity_and_aspect() -> None:
    solidity = {s: np.median([r.solidity for r in regions(s)]) for s in SHAPES}
    aspect = {
        s: np.median([r.axis_minor_length / r.axis_major_length for r in regions(s)])
        for s in ("oval", "round")
    }
    assert solidity["irregular"] < 0.88 < solidity["lobular"] < 0.965
    assert min(solidity["oval"], solidity["round"]) > 0.97
    assert aspect["oval"] < 0.75 < 0.88 < aspect["round"]


def test_ellipse_radius_by_its_equation() -> None:
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius = ellipse_radius(0.5)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    np.testing.assert_allclose(x**2 + (y / 0.5) ** 2, 1)


def test_gaussian_radius_has_the_asked_spread_and_spectrum() -> None:
    logs = np.log([gaussian_radius(np.random.default_rng(s), 0.2, 0.5) for s in range(400)])
    assert logs.std() == pytest.approx(0.2, rel=0.05)
    power = (np.abs(np.fft.rfft(logs, axis=1)) ** 2).mean(axis=0)[2:41]
    slope = np.polyfit(np.log(np.arange(2, 41)), np.log(power), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.1)  # amplitude n^-(H + 1/2), H = 1/2


def test_lobes_leave_concave_points() -> None:
    radius = lobes_radius(np.random.default_rng(0), 4)
    turn = np.diff(radius, append=radius[:1])
    minima = np.sum((turn > 0) & (np.roll(turn, 1) <= 0))
    assert minima == 4

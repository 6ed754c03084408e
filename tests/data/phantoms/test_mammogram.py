"""One drawn view: sizes, sides, labels, and a second mass that the frame cuts."""

from __future__ import annotations

import numpy as np
import pytest

from mammostudy.data.phantoms.mammogram import SIZE, draw_view
from mammostudy.data.phantoms.patients import Mass
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.framing import frame_box

OVAL = Mass("oval", 60.0, 0.05, 0.6)
SMALL = Mass("round", 40.0, 0.05, 0.6)


def view(name: str = "CC", side: str = "L", site: str = "north", masses=(OVAL,), seed: int = 0):
    return draw_view(name, side, site, 0.4, masses, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ["CC", "MLO"])
@pytest.mark.parametrize("site", ["north", "south"])
def test_a_view(name: str, site: str) -> None:
    image, labels = view(name, site=site)
    assert image.shape == labels.shape == SIZE
    assert image.dtype == np.float32
    assert labels.dtype == np.uint8
    assert 0 <= image.min() < image.max() <= 1
    assert (labels == 1).sum() == pytest.approx(np.pi * 30**2, rel=0.08)
    assert set(np.unique(labels)) == {0, 1}


def test_sides_mirror() -> None:
    left, right = view(side="L"), view(side="R")
    np.testing.assert_array_equal(left[0], right[0][:, ::-1])
    np.testing.assert_array_equal(left[1], right[1][:, ::-1])
    assert left[0][:, :100].mean() > 2 * left[0][:, -100:].mean()


def test_the_same_draw_twice() -> None:
    np.testing.assert_array_equal(view(seed=4)[0], view(seed=4)[0])
    assert not np.array_equal(view(seed=4)[0], view(seed=5)[0])


def test_no_mass_no_label() -> None:
    assert not view(masses=())[1].any()


@pytest.mark.parametrize("seed", range(12))
def test_the_loose_frame_cuts_the_second_mass(seed: int) -> None:
    _, labels = view("MLO", masses=(OVAL, SMALL), seed=seed)
    x_min, y_min, x_max, y_max = frame_box(box_of(labels == 1), SIZE)
    second = labels == 2
    inside = second[max(y_min, 0) : y_max, max(x_min, 0) : x_max].sum()
    assert 0.1 * second.sum() < inside < second.sum()


def test_a_mass_is_brighter_than_the_same_place_without() -> None:
    brighter = []
    for seed in range(6):
        image, labels = view(masses=(Mass("round", 60.0, 0.05, 0.68),), seed=seed)
        ring = np.zeros_like(labels, dtype=bool)
        x_min, y_min, x_max, y_max = frame_box(box_of(labels == 1), SIZE, scale=1.5)
        ring[max(y_min, 0) : y_max, max(x_min, 0) : x_max] = True
        brighter.append(image[labels == 1].mean() - image[ring & (labels == 0)].mean())
    assert np.mean(brighter) > 0.05

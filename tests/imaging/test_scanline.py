"""Filling by rows: scikit-image's polygon is the oracle."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon

from mammostudy.errors import DataError
from mammostudy.imaging import scanline
from mammostudy.imaging.contours import fill_rows

SHAPE = (20, 26)
WHOLE = st.integers(-6, 30).map(float)
TENTHS = st.integers(-60, 300).map(lambda v: v / 10)  # many pixels lie on such sides, but rounded


def oracle(points: np.ndarray) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[polygon(points[:, 1], points[:, 0], SHAPE)] = True
    return mask


def outlines(values: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return st.integers(3, 12).flatmap(lambda k: arrays(np.float64, (k, 2), elements=values))


@settings(max_examples=300, deadline=None)
@given(outlines(WHOLE))
def test_whole_corners_give_the_pixels_of_scikit_image(points: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_rows(points, SHAPE), oracle(points))


@settings(max_examples=300, deadline=None)
@given(outlines(TENTHS))
def test_other_corners_too(points: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_rows(points, SHAPE), oracle(points))


@settings(max_examples=100, deadline=None)
@given(outlines(st.floats(-1e3, 1e3)))
def test_corners_far_outside_too(points: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_rows(points, SHAPE), oracle(points))


def test_real_outlines_too(real_data: Path) -> None:
    lines = (real_data / "cdd-cesm" / "outlines.jsonl").read_text().splitlines()
    drawn = [np.asarray(json.loads(line)["points"], float) for line in lines[::25]]
    shape = (512, 512)
    for points in drawn:
        expected = np.zeros(shape, bool)
        expected[polygon(points[:, 1], points[:, 0], shape)] = True
        np.testing.assert_array_equal(fill_rows(points, shape), expected)
    assert len(drawn) > 40


def test_a_large_outline_is_filled_at_once() -> None:
    angle = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    radius = 500 * (1 + 0.1 * np.sin(9 * angle))
    points = np.stack([1500 + radius * np.cos(angle), 1500 + radius * np.sin(angle)], axis=1)
    began = time.process_time()
    mask = fill_rows(points, (4084, 3328))
    assert time.process_time() - began < 1.0  # scikit-image takes 15 s
    assert mask.sum() == pytest.approx(np.pi * 500**2 * 1.005, rel=1e-3)


def test_an_outline_of_too_many_sides_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.stack([np.arange(100.0), np.tile([0.0, 99.0], 50)], axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanline, "MOST_CROSSINGS", 1000)
        with pytest.raises(DataError, match="100 points"):
            fill_rows(points, (100, 100))
    assert fill_rows(points, (100, 100)).any()  # control: without the limit it is filled

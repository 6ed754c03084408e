"""Filling by rows: scikit-image's polygon is the oracle."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammostudy.errors import DataError
from mammostudy.imaging import scanline
from mammostudy.imaging.contours import fill_outline
from mammostudy.imaging.scanline import fill_rows

SHAPE = (20, 26)
WHOLE = st.integers(-6, 30).map(float)
QUARTERS = st.integers(-24, 120).map(lambda v: v / 4)  # crossings of such sides are well apart


def outlines(values: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return st.integers(3, 12).flatmap(lambda k: arrays(np.float64, (k, 2), elements=values))


@settings(max_examples=300, deadline=None)
@given(outlines(WHOLE))
def test_whole_corners_give_the_pixels_of_scikit_image(points: np.ndarray) -> None:
    expected, got = fill_outline(points, SHAPE), fill_rows(points, SHAPE)
    assert (got == expected).all() or _only_on_sides(points, got != expected)


@settings(max_examples=300, deadline=None)
@given(outlines(QUARTERS))
def test_other_corners_too(points: np.ndarray) -> None:
    expected, got = fill_outline(points, SHAPE), fill_rows(points, SHAPE)
    assert (got == expected).all() or _only_on_sides(points, got != expected)


def _only_on_sides(points: np.ndarray, pixels: np.ndarray) -> bool:
    """Whether pixels that differ lie on a side, where rounding decides."""
    for y, x in np.argwhere(pixels):
        start, end = points, np.roll(points, -1, axis=0)
        along, to = end - start, np.array([x, y]) - start
        length = (along**2).sum(axis=1)
        at = np.clip((along * to).sum(axis=1) / np.where(length == 0, 1, length), 0, 1)
        distance = np.hypot(*(to - at[:, None] * along).T)
        if distance.min() > 1e-9:
            return False
    return True


def test_a_large_outline_is_filled_at_once() -> None:
    angle = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    radius = 500 * (1 + 0.1 * np.sin(9 * angle))
    points = np.stack([1500 + radius * np.cos(angle), 1500 + radius * np.sin(angle)], axis=1)
    began = time.perf_counter()
    mask = fill_rows(points, (4084, 3328))
    assert time.perf_counter() - began < 1.0  # scikit-image takes 15 s
    assert mask.sum() == pytest.approx(np.pi * 500**2 * 1.005, rel=1e-3)


def test_an_outline_of_too_many_sides_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.stack([np.arange(100.0), np.tile([0.0, 99.0], 50)], axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanline, "MOST_CROSSINGS", 1000)
        with pytest.raises(DataError, match="100 points"):
            fill_rows(points, (100, 100))
    assert fill_rows(points, (100, 100)).any()  # control: without the limit it is filled

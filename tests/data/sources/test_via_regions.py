"""Regions of the annotator: five tools, areas against formulas, one error for what is none."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammostudy.data.sources.via_regions import (
    OPEN_LINE,
    POINT,
    RegionError,
    area,
    nested,
    read_region,
)

SQUARE = {"all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 25, 25]}


def region(**drawn: object) -> object:
    return read_region(json.dumps(drawn))


@pytest.mark.parametrize(("drawn", "expected"), [
    ({"name": "polygon", **SQUARE}, 400),
    ({"name": "polyline", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 9, 6]}, 50),
    ({"name": "circle", "cx": 50, "cy": 50, "r": 20}, math.pi * 400),
    ({"name": "ellipse", "cx": 50, "cy": 50, "rx": 20, "ry": 10}, math.pi * 200),
    ({"name": "ellipse", "cx": 50, "cy": 50, "rx": 20, "ry": 10, "theta": 0.7}, math.pi * 200),
])  # fmt: skip
def test_areas(drawn: dict[str, object], expected: float) -> None:
    found = read_region(json.dumps(drawn))
    assert found.tool == drawn["name"]
    assert found.points is not None
    assert area(found.points) == pytest.approx(expected, rel=2e-3)


def test_a_turned_ellipse_reaches_along_its_axis() -> None:
    points = read_region('{"name":"ellipse","cx":0,"cy":0,"rx":20,"ry":1,"theta":1.5707963}').points
    assert points is not None
    assert np.ptp(points[:, 1]) == pytest.approx(40, rel=1e-3)
    assert np.ptp(points[:, 0]) == pytest.approx(2, rel=1e-3)


def test_points_and_open_lines_enclose_nothing() -> None:
    point = read_region('{"name": "point", "cx": 3, "cy": 4}')
    assert (point.points, point.reason) == (None, POINT)
    line = read_region(json.dumps({"name": "polyline", **SQUARE}))  # its ends are a side apart
    assert (line.points, line.reason) == (None, OPEN_LINE)


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "3", '{"name": "rect", "x": 1}', '{"name": "polygon"}',
    '{"name": "circle", "cx": 1, "cy": 1}', '{"name": "circle", "cx": 1, "cy": 1, "r": NaN}',
    '{"name": "circle", "cx": 1, "cy": 1, "r": 1e9}', '{"name": "point", "cx": "1", "cy": 1}',
    '{"name": "polygon", "all_points_x": [1], "all_points_y": [1, 2]}',
    '{"name": "polygon", "all_points_x": [], "all_points_y": []}', "[" * 100_000,
    '{"name": "point", "cx": true, "cy": 1}', '{"name": ["polygon"]}',
])  # fmt: skip
def test_what_is_no_region(text: str) -> None:
    with pytest.raises(RegionError):
        read_region(text)


@given(st.text(max_size=80) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "cx", "cy", "r", "all_points_x", "all_points_y"]), inner),
    max_leaves=8).map(json.dumps))  # fmt: skip
def test_any_text_is_a_region_or_one_error(text: str) -> None:
    try:
        read_region(text)
    except RegionError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_nested_outlines() -> None:
    large = np.array([[10, 10], [90, 10], [90, 90], [10, 90]], float)
    small, beside = large / 2 + 20, large / 4 + 90
    assert nested([large, small, beside], (120, 120), 512, 0.95) == [False, True, False]
    assert nested([small, large], (120, 120), 512, 0.95) == [True, False]
    assert nested([large, large], (1200, 1200), 512, 0.95) == [False, True]  # drawn twice
    assert nested([], (9, 9), 512, 0.95) == []

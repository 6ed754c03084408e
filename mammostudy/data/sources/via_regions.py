"""Regions of the VGG image annotator: polygon, ellipse, circle, polyline, point."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
CORNERS: Final = 128  # of the polygon that stands for an ellipse
GAP: Final = 0.1  # share of a line's length that its ends may be apart and still enclose a region
FARTHEST: Final = 100_000.0  # px
MOST_POINTS: Final = 100_000
POINT: Final = "points (a mark, no outline)"
OPEN_LINE: Final = "open lines (ends too far apart to enclose a region)"


class RegionError(Exception):
    """A region that cannot be read; the message says why."""


@dataclass(frozen=True)
class Region:
    """A region as it was drawn.

    Attributes:
        tool: polygon, ellipse, circle, polyline or point.
        points: its outline, float ``(k, 2)`` of x and y in pixels; None where it encloses nothing.
        reason: why it encloses nothing, empty otherwise.
    """

    tool: str
    points: Points | None
    reason: str = ""


def read_region(text: str) -> Region:
    """Read one cell ``region_shape_attributes``.

    A polyline whose ends lie within :data:`GAP` of its length is closed; an open one and a point
    enclose nothing. Ellipses become polygons of :data:`CORNERS` corners.

    Raises:
        RegionError: not JSON, another tool, or a number that is missing, not finite or absurd.
    """
    try:
        drawn = json.loads(text)
    except (ValueError, RecursionError):
        msg = "is no JSON"
        raise RegionError(msg) from None
    if not isinstance(drawn, dict):
        msg = "is no JSON object"
        raise RegionError(msg)
    tool = drawn.get("name")
    if tool == "point":
        _numbers(drawn, "cx", "cy")
        return Region(tool, None, POINT)
    if tool in ("ellipse", "circle"):
        names = ("cx", "cy", "r", "r") if tool == "circle" else ("cx", "cy", "rx", "ry")
        theta = _numbers(drawn, "theta")[0] if drawn.get("theta") else 0.0
        cx, cy, rx, ry = _numbers(drawn, *names)
        return Region(tool, _ellipse(cx, cy, rx, ry, theta))
    if tool in ("polygon", "polyline"):
        points = _corners(drawn)
        if tool == "polyline" and not _closes(points):
            return Region(tool, None, OPEN_LINE)
        return Region(tool, points)
    msg = f"name {str(tool)[:40]!r} is not polygon, polyline, ellipse, circle or point"
    raise RegionError(msg)


def _ellipse(cx: float, cy: float, rx: float, ry: float, theta: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    x, y = rx * np.cos(angle), ry * np.sin(angle)
    c, s = math.cos(theta), math.sin(theta)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=1)


def _corners(drawn: dict[str, object]) -> Points:
    columns = []
    for key in ("all_points_x", "all_points_y"):
        values = drawn.get(key)
        if not isinstance(values, list) or not 0 < len(values) <= MOST_POINTS:
            msg = f"{key} is no list of 1 to {MOST_POINTS:,} numbers"
            raise RegionError(msg)
        columns.append([_number(value, key) for value in values])
    if len(columns[0]) != len(columns[1]):
        msg = f"{len(columns[0])} all_points_x and {len(columns[1])} all_points_y"
        raise RegionError(msg)
    return np.array(columns, dtype=np.float64).T


def _numbers(drawn: dict[str, object], *names: str) -> list[float]:
    return [_number(drawn.get(name), name) for name in names]


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name} is no number"
        raise RegionError(msg)
    if not abs(value) <= FARTHEST:  # NaN too
        msg = f"{name} is no number of pixels up to {FARTHEST:,.0f}"
        raise RegionError(msg)
    return float(value)


def _closes(points: Points) -> bool:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    gap = float(np.linalg.norm(points[0] - points[-1]))
    return len(points) >= 3 and gap <= GAP * float(steps.sum())


def area(points: Points) -> float:
    """Return the pixels² that an outline encloses (shoelace)."""
    x, y = (points - points.mean(axis=0)).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def nested(
    outlines: Sequence[Points], shape: tuple[int, int], side: int, share: float
) -> list[bool]:
    """Mark the outlines that lie within a larger one, of two equal ones the later.

    Args:
        outlines: of one image.
        shape: height and width of the image.
        side: longer side of the grid that they are compared on, pixels.
        share: of its area that must lie inside the larger one.
    """
    if len(outlines) < 2:
        return [False] * len(outlines)
    scale = min(1.0, side / max(shape))
    size = (math.ceil(shape[0] * scale), math.ceil(shape[1] * scale))
    masks = []
    for points in outlines:
        body = np.zeros(size, np.uint8)
        cv2.fillPoly(body, [np.round(points * scale).astype(np.int32)], 1)
        masks.append(body > 0)
    sizes = [int(mask.sum()) for mask in masks]
    return [
        any(
            (sizes[j], -j) > (sizes[i], -i) and (mask & other).sum() >= share * sizes[i]
            for j, other in enumerate(masks)
            if j != i
        )
        for i, mask in enumerate(masks)
    ]

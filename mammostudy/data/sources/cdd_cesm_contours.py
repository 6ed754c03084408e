"""CDD-CESM's contours without their images (Khaled et al. 2022, CC BY 4.0), and their drawing.

``contours.jsonl`` holds the radiologists' outlines of all mass images, benign ones too, in pixels
of the original images, each with the shape that the report gives for its image. They were drawn
with the VGG image annotator: as polygon, polyline, ellipse, circle or point.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.data.cohort import OUTLINE_COLUMNS, Geometry, OutlineCohort
from mammostudy.data.manifest import BOX
from mammostudy.data.sources.cdd_cesm import SHAPES
from mammostudy.data.sources.files import Points, read_text
from mammostudy.errors import DataError

FILENAME: Final = "contours.jsonl"
CORNERS: Final = 128  # of the polygon that stands for an ellipse
GAP: Final = 0.1  # share of a line's length that its ends may be apart and still enclose a region
FARTHEST: Final = 100_000  # px
IMAGE_NAME: Final = re.compile(r"P(\d+)_([LR])_(DM|CM)_([A-Z]+)\w*")
"""Patient, side, modality and view in the name of an image."""
_NUMBERS: Final = {
    "point": ("cx", "cy"), "circle": ("cx", "cy", "r", "r"), "ellipse": ("cx", "cy", "rx", "ry"),
}  # fmt: skip


class RegionError(Exception):
    """A region or a field that cannot be used; the message says why."""


def read_region(drawn: object) -> Geometry:
    """Read what the annotator drew; raise RegionError where a number is missing or absurd."""
    tool = drawn.get("name") if isinstance(drawn, dict) else None
    if tool in ("polygon", "polyline"):
        x, y = (drawn.get(f"all_points_{axis}") for axis in "xy")  # type: ignore[attr-defined]
        if not (isinstance(x, list) and isinstance(y, list) and 0 < len(x) == len(y)):
            msg = "all_points_x and all_points_y are no lists of the same length"
            raise RegionError(msg)
        return Geometry(tool, tuple(zip(map(_number, x), map(_number, y), strict=True)))
    if tool not in _NUMBERS:
        msg = "name is not polygon, polyline, ellipse, circle or point"
        raise RegionError(msg)
    numbers = [_number(drawn.get(name)) for name in _NUMBERS[tool]]  # type: ignore[attr-defined]
    return Geometry(tool, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= FARTHEST:
        msg = f"a coordinate or radius is no number of pixels up to {FARTHEST:,}"
        raise RegionError(msg)
    return float(value)


def outline_points(drawn: dict[str, Any]) -> tuple[Points | None, str]:
    """Return the outline of a region, or None and why it encloses nothing.

    A polyline whose ends lie within :data:`GAP` of its length is closed; an open one and a point
    enclose nothing. Ellipses become polygons of :data:`CORNERS` corners.
    """
    region = read_region(drawn)
    points = np.array(region.points)
    if region.tool == "point":
        return None, "points (a mark, no outline)"
    if region.tool == "polyline":
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        gap = float(np.linalg.norm(points[0] - points[-1]))
        closed = len(points) >= 3 and gap <= GAP * float(steps.sum())
        return (
            (points, "")
            if closed
            else (None, "open lines (ends too far apart to enclose a region)")
        )
    if region.tool == "polygon":
        return points, ""
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    (cx, cy), (rx, ry) = region.points
    x, y = rx * np.cos(angle), ry * np.sin(angle)
    theta = _number(drawn.get("theta") or 0)
    c, s = math.cos(theta), math.sin(theta)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=1), ""


def read_contours(name: str, folder: Path, modality: str) -> OutlineCohort:
    """Read the contours of one modality.

    Kept are those of images whose report gives a single shape (irregular, oval or round) and no
    finding but masses, and that enclose an area.
    """
    rows, outlines = [], {}
    dropped: Counter[str] = Counter()
    for row, geometry, reason in _lines(folder / FILENAME):
        if row["modality"] != modality:
            continue
        if reason is not None:
            dropped[reason] += 1
            continue
        rows.append(row)
        outlines[row["case"]] = geometry
    if not rows:
        msg = f"{folder / FILENAME}: no contour of type {modality} is left; copy the file anew"
        raise DataError(msg)
    table = pd.DataFrame(rows, columns=list(OUTLINE_COLUMNS))
    return OutlineCohort(name, folder, table, dict(dropped), outlines)


def count_tools(folder: Path) -> dict[str, int]:
    """Count the contours of a folder by drawing tool, those left out by the rule as well."""
    return dict(Counter(geometry.tool for _, geometry, _ in _lines(folder / FILENAME)))


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], Geometry, str | None]]:
    """Yield each contour's row and outline, and why it is left out (None where it is kept)."""
    seen: set[object] = set()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            row, geometry, reason = _read_line(json.loads(line))
            if row["case"] in seen:
                msg = f"region: {row['case']} stands twice"
                raise RegionError(msg)
        except (RegionError, LookupError, TypeError, ValueError, RecursionError) as error:
            msg = f"{path}: line {number} is no contour ({error}); copy the file anew"
            raise DataError(msg) from None
        seen.add(row["case"])
        yield row, geometry, reason


def _read_line(content: dict[str, Any]) -> tuple[dict[str, Any], Geometry, str | None]:
    """Read a line; its fields must agree with the name of its image."""
    named = IMAGE_NAME.fullmatch(content["image"])
    if named is None or tuple(str(content[key]) for key in ("patient", "type", "view")) != (
        str(int(named[1])), named[3], named[4],
    ):  # fmt: skip
        msg = "image: its name is not P<patient>_<side>_<type>_<view> of the other fields"
        raise RegionError(msg)
    shape, alone, pathology = (
        content["mass_shape"], content["only_mass_findings"], content["pathology"].lower(),
    )  # fmt: skip
    if shape not in (None, "", *SHAPES) or pathology not in ("benign", "malignant"):
        msg = "mass_shape or pathology: not a word of the report"
        raise RegionError(msg)
    geometry = read_region(content["geometry"])
    row = {
        "case": f"{content['image']}_{int(content['region'])}",
        "patient": f"P{int(named[1])}",
        "site": "cdd-cesm",
        "image": content["image"],
        "view": named[4],
        "side": named[2],
        "modality": named[3],
        **dict(zip(BOX, geometry.box, strict=True)),
        "shape": shape or None,
        "pathology": pathology,
        "subtype": None,
        "tool": geometry.tool,
    }
    if not shape:
        return row, geometry, "no single shape label"
    if not alone:
        return row, geometry, "image with findings other than masses"
    return row, geometry, "degenerate geometry" if geometry.degenerate else None

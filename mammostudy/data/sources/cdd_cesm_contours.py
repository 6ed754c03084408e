"""CDD-CESM's contours without their images (Khaled et al. 2022, CC BY 4.0), and their drawing.

``data_manifests/cdd-cesm-contours.yaml`` tells what ``contours.jsonl`` holds; it was drawn with the
VGG image annotator: as polygon, polyline, ellipse, circle or point.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.data.cohort import OUTLINE_COLUMNS, Geometry, OutlineCohort
from mammostudy.data.manifest import BOX
from mammostudy.data.sources.cdd_cesm import SHAPES
from mammostudy.data.sources.files import Points, RejectedError, read_text
from mammostudy.errors import DataError

FILENAME: Final = "contours.jsonl"
CORNERS: Final = 128  # of the polygon that stands for an ellipse
GAP: Final = 0.1  # share of a line's length that its ends may be apart and still enclose a region
FARTHEST: Final = 100_000  # px
IMAGE_NAME: Final = re.compile(r"P(\d+)_([LR])_(DM|CM)_([A-Z]+)\w*")  # the last is the view
_LINE: Final = ("all_points_x", "all_points_y")
_NUMBERS: Final = {
    "polygon": _LINE, "polyline": _LINE, "point": ("cx", "cy"), "circle": ("cx", "cy", "r", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}  # fmt: skip


def read_region(drawn: Any) -> Geometry:
    """Read what the annotator drew; raise ValueError where a number is missing or absurd."""
    try:
        numbers = np.array([drawn[name] for name in _NUMBERS[drawn["name"]]], np.float64)
    except (LookupError, TypeError) as error:
        raise ValueError(f"name or {error} is missing or no word of the annotator") from None
    points = numbers.T if numbers.ndim == 2 else numbers.reshape(-1, 2)
    if not points.size or not (np.abs(points) <= FARTHEST).all():
        raise ValueError(f"a coordinate or radius is no number of pixels up to {FARTHEST:,}")
    return Geometry(drawn["name"], tuple((x, y) for x, y in points.tolist()))


def outline_points(drawn: Any) -> Points:
    """Return the outline of a region, or raise RejectedError where it encloses nothing."""
    region = read_region(drawn)
    points = np.array(region.points)
    if region.tool == "point":
        raise RejectedError("points (a mark, no outline)")
    if region.tool == "polyline":
        length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
        if len(points) < 3 or float(np.linalg.norm(points[0] - points[-1])) > GAP * length:
            raise RejectedError("open lines (ends too far apart to enclose a region)")
    if region.tool in ("polygon", "polyline"):
        return points
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    (cx, cy), (rx, ry) = region.points
    x, y = rx * np.cos(angle), ry * np.sin(angle)
    theta = float(drawn.get("theta") or 0)
    c, s = np.cos(theta), np.sin(theta)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=1)


def read_contours(name: str, folder: Path, modality: str) -> OutlineCohort:
    """Read contours of one modality: of images of a single shape and no finding but masses."""
    path = folder / FILENAME
    read: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            row = _read_line(json.loads(line))
            if row["case"] in read:
                raise ValueError("it stands twice")
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            fault = f"line {number} is no contour ({error}); copy the file anew"
            raise DataError(f"{path}: {fault}") from None
        read[row["case"]] = row
    table = pd.DataFrame(list(read.values()), columns=[*OUTLINE_COLUMNS, "outline", "dropped"])
    table = table[table["modality"] == modality]
    kept = table[table["dropped"].isna()].reset_index(drop=True)
    if kept.empty:
        raise DataError(f"{path}: no contour of type {modality} is left")
    dropped = {str(why): int(n) for why, n in table["dropped"].value_counts().items()}
    outlines = dict(zip(kept["case"], kept["outline"], strict=True))
    return OutlineCohort(name, folder, kept[list(OUTLINE_COLUMNS)], dropped, outlines)


def _read_line(content: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a line, its outline and why it is dropped (None: it is not)."""
    ((patient, side, modality, view),) = IMAGE_NAME.findall(content["image"])
    said = [str(content[key]) for key in ("patient", "type", "view")]
    if said != [str(int(patient)), modality, view]:
        raise ValueError("image: its name is not P<patient>_<side>_<type>_<view> of the fields")
    shape, pathology = content["mass_shape"], content["pathology"].lower()
    if shape not in (None, "", *SHAPES) or pathology not in ("benign", "malignant"):
        raise ValueError("mass_shape or pathology: not a word of the report")
    geometry = read_region(content["geometry"])
    dropped = "degenerate geometry" if geometry.degenerate else None
    if not content["only_mass_findings"]:
        dropped = "image with findings other than masses"
    if not shape:
        dropped = "no single shape label"
    return {
        "case": f"{content['image']}_{int(content['region'])}", "patient": f"P{int(patient)}",
        "site": "cdd-cesm", "image": content["image"], "view": view, "side": side,
        "modality": modality, "shape": shape or None, "pathology": pathology,
        "tool": geometry.tool, **dict(zip(BOX, geometry.box, strict=True)),
        "outline": geometry, "dropped": dropped,
    }  # fmt: skip

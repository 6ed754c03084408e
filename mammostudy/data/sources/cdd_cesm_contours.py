"""CDD-CESM's contours without their images (Khaled et al. 2022, CC BY 4.0).

``contours.jsonl`` holds the radiologists' outlines of all mass images, benign ones too, in pixels
of the original images, each with the shape that the report gives for its image.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mammostudy.data.outline_cohort import COLUMNS, Geometry, OutlineCohort
from mammostudy.errors import DataError

FILENAME: Final = "contours.jsonl"
SHAPES: Final = ("irregular", "oval", "round")
RULE: Final = (
    "contours of images whose report gives a single shape (irregular, oval or round) and no "
    "finding but masses, and that enclose an area"
)
NO_SHAPE: Final = "no single shape label"
OTHER_FINDINGS: Final = "image with findings other than masses"
FARTHEST: Final = 100_000  # px
DEGENERATE: Final = "degenerate geometry"
_NAME: Final = re.compile(r"P(\d+)_([LR])_(DM|CM)_([A-Z]+)\w*")


class _FieldError(Exception):
    """A field of a line that cannot be used; the message starts with its name."""


def read_contours(name: str, folder: Path, modality: str) -> OutlineCohort:
    """Read the contours of one modality by the stated rule.

    Args:
        name: of the cohort.
        folder: the folder ``cdd-cesm``.
        modality: ``DM`` (low energy) or ``CM`` (subtracted).

    Returns:
        The cohort; ``dropped`` counts the modality's contours left out, by reason.

    Raises:
        DataError: the file is missing, a line of it cannot be used, or nothing is kept.
    """
    path = folder / FILENAME
    rows: list[dict[str, object]] = []
    outlines: dict[str, Geometry] = {}
    dropped: Counter[str] = Counter()
    for row, geometry, reason in _lines(path):
        if row["modality"] != modality:
            continue
        if reason is not None:
            dropped[reason] += 1
            continue
        rows.append(row)
        outlines[str(row["case"])] = geometry
    if not rows:
        msg = f"{path}: no contour of type {modality} fits the rule; copy the file anew"
        raise DataError(msg)
    return OutlineCohort(
        name, folder, pd.DataFrame(rows, columns=list(COLUMNS)), dict(dropped), outlines
    )


def count_tools(folder: Path) -> dict[str, int]:
    """Count the contours of a folder by drawing tool, those left out by the rule as well.

    Raises:
        DataError: as :func:`read_contours`.
    """
    return dict(Counter(geometry.tool for _, geometry, _ in _lines(folder / FILENAME)))


def _lines(path: Path) -> Iterator[tuple[dict[str, object], Geometry, str | None]]:
    """Yield each contour's row and outline, and why it is left out (None where it is kept)."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fault = "missing" if isinstance(error, FileNotFoundError) else f"not readable ({error})"
        msg = f"{path}: {fault}; the folder must hold CDD-CESM's {FILENAME}"
        raise DataError(msg) from None
    seen: set[object] = set()
    for number, line in enumerate(lines, start=1):
        try:
            row, geometry, reason = _read_line(line)
            if row["case"] in seen:
                msg = f"region: {row['case']} stands twice"
                raise _FieldError(msg)
        except _FieldError as error:
            msg = f"{path}: line {number}, {error}; copy the file anew"
            raise DataError(msg) from None
        seen.add(row["case"])
        yield row, geometry, reason


def _read_line(line: str) -> tuple[dict[str, object], Geometry, str | None]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        msg = "no field: not a JSON object"
        raise _FieldError(msg)
    row = _row(content)
    geometry = _geometry(_of(content, "geometry", dict))
    alone = _of(content, "only_mass_findings", bool)
    row |= dict(zip(("x_min", "y_min", "x_max", "y_max"), geometry.box, strict=True))
    row["tool"] = geometry.tool
    if row["shape"] is None:
        return row, geometry, NO_SHAPE
    if not alone:
        return row, geometry, OTHER_FINDINGS
    return row, geometry, DEGENERATE if geometry.degenerate else None


def _row(content: dict[str, Any]) -> dict[str, object]:
    """Return a line's columns but for the geometry's; its fields must agree with its name."""
    image = _of(content, "image", str)
    named = _NAME.fullmatch(image)
    if named is None:
        msg = f"image: {image!r} is not P<patient>_<side>_<type>_<view>"
        raise _FieldError(msg)
    patient, side, modality, view = named.groups()
    for name, said in (("patient", int(patient)), ("type", modality), ("view", view)):
        if _of(content, name, type(said)) != said:
            msg = f"{name}: {content[name]!r} is not what the name {image} says"
            raise _FieldError(msg)
    return {
        "case": f"{image}_{_of(content, 'region', int)}",
        "patient": f"P{int(patient)}",
        "site": "cdd-cesm",
        "image": image,
        "view": view,
        "side": side,
        "modality": modality,
        "shape": _word(content, "mass_shape", SHAPES) if content.get("mass_shape") else None,
        "pathology": _word(content, "pathology", ("benign", "malignant")),
        "subtype": None,
    }


def _of(content: dict[str, Any], name: str, kind: type) -> Any:
    value = content.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        msg = f"{name}: {value!r} is no {kind.__name__}"
        raise _FieldError(msg if name in content else f"{name}: missing")
    return value


def _word(content: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
    word = str(_of(content, name, str)).lower()
    if word not in known:
        msg = f"{name}: {content[name]!r} is not one of {', '.join(known)}"
        raise _FieldError(msg)
    return word


def _geometry(drawn: dict[str, Any]) -> Geometry:
    tool = drawn.get("name")
    if tool == "polygon":
        x, y = _numbers(drawn, "all_points_x"), _numbers(drawn, "all_points_y")
        if len(x) != len(y) or not x:
            msg = f"geometry: {len(x)} all_points_x and {len(y)} all_points_y are no outline"
            raise _FieldError(msg)
        return Geometry(tool, tuple(zip(x, y, strict=True)))
    if tool not in {"ellipse", "circle"}:
        msg = f"geometry: name {tool!r} is not polygon, ellipse or circle"
        raise _FieldError(msg)
    radii = ("r", "r") if tool == "circle" else ("rx", "ry")
    numbers = [_number(drawn.get(key), key) for key in ("cx", "cy", *radii)]
    return Geometry(tool, ((numbers[0], numbers[1]), (numbers[2], numbers[3])))


def _numbers(drawn: dict[str, Any], key: str) -> list[float]:
    values = drawn.get(key)
    if not isinstance(values, list):
        msg = f"geometry: {key} is no list of numbers"
        raise _FieldError(msg)
    return [_number(value, key) for value in values]


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"geometry: {key} {value!r} is no finite number"
        raise _FieldError(msg)
    if abs(value) > FARTHEST:
        msg = f"geometry: {key} {value!r} is beyond any image ({FARTHEST:,} px)"
        raise _FieldError(msg)
    return float(value)

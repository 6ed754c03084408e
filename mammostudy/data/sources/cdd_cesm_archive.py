"""CDD-CESM as its archive publishes it: JPEGs of original size, contours, radiology tables.

The layout is that of The Cancer Imaging Archive (doi 10.7937/29kw-ae92): two folders of images,
``Radiology_hand_drawn_segmentations_v2.csv`` (an export of the VGG image annotator) and
``Radiology-manual-annotations.xlsx``, whose sheet ``all`` gives the pathology of every image and
whose further sheets list the images of one kind of finding each. Contours mark every annotated
region; the rule of the development part picks the masses.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import pandas as pd

from mammostudy.data.manifest import VIEWS
from mammostudy.data.sources import cdd_cesm, files
from mammostudy.data.sources.cdd_cesm_contours import IMAGE_NAME, RegionError, outline_points
from mammostudy.data.tables import check, find_table, read_sheets, read_table
from mammostudy.errors import DataError

CONTOURS: Final = (
    "Radiology_hand_drawn_segmentations_v2.csv", "Radiology_hand_drawn_segmentations*.csv",
)  # fmt: skip
WORKBOOK: Final = "Radiology*annotations*.xlsx"
MASSES: Final = ("mass_description", "mass_enhancement_description")
SHAPES: Final = {"irregular": "irregular", "oval": "oval", "round": "round", "rounded": "round"}
PATHOLOGY: Final = {"benign": "benign", "malignant": "malignant", "normal": "unknown"}


class Findings(NamedTuple):
    """What the tables say of an image: its pathology, whether it holds a mass, of which shape.

    The shape is given where it is a single one and the image has no other finding.
    """

    pathology: str
    mass: bool
    shape: str | None


def build_manifest(
    folder: Path, store: Path | None = None, modality: str = "DM"
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Pick the masses of one modality, ``DM`` (low energy) or ``CM`` (subtracted), by the rule.

    Every other image that the tables describe and that holds no mass is a row without a box.
    """
    images, findings = _images(folder), read_findings(folder)
    found = files.Gathered(folder)
    contours: dict[str, list[tuple[str, files.Points]]] = {}
    for image, region, points, reason in _contours(folder):
        named = IMAGE_NAME.fullmatch(image)
        if named is not None and named[3] != modality:
            reason = "contours of the other modality (never mixed)"
        elif image not in images:
            reason = "contours of images that are not there"
        elif image not in findings or not findings[image].mass:
            reason = "contours of images without a mass in the tables"
        elif points is not None:
            contours.setdefault(image, []).append((region, points))
        found.dropped[reason] += reason != ""
    for image, path in sorted(images.items()):
        if image in findings and IMAGE_NAME.findall(image)[0][2] == modality:
            drawn = contours.get(image, [])
            found.take(_rows, folder, path, findings[image], drawn, found.dropped)
    if not found.faults and not any("outline" in row for row in found.rows):
        msg = f"{folder}: no mass of modality {modality} is left; copy the images and tables anew"
        raise DataError(msg)
    return found.result()


def _images(folder: Path) -> dict[str, Path]:
    """Return the archive's JPEGs by name without spaces and suffix."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.[jJ][pP]*[gG]")):
        name = path.stem.strip()
        if name in found:
            msg = f"{path}: the same image as {found[name]}; keep one of them"
            raise DataError(msg)
        if IMAGE_NAME.fullmatch(name):
            found[name] = path
    return found


def _image(cell: str) -> str:
    return re.sub(r"\s*\.jpe?g$", "", cell, flags=re.IGNORECASE).strip()


def _contours(folder: Path) -> list[tuple[str, str, files.Points | None, str]]:
    """Return image, region, outline and, where that is None, why, of every contour."""
    path = find_table(folder, *CONTOURS)
    table = read_table(path, ("#filename", "region_id", "region_shape_attributes"))
    contours = []
    for line, row in table[~table["region_shape_attributes"].isin(["", "{}"])].iterrows():
        try:
            points, reason = outline_points(json.loads(row["region_shape_attributes"]))
        except (RegionError, ValueError, RecursionError) as error:
            msg = f"{path}: row {line}, region_shape_attributes: {error}; copy it anew"
            raise DataError(msg) from None
        contours.append((_image(row["#filename"]), row["region_id"], points, reason))
    return contours


def _rows(
    folder: Path,
    path: Path,
    found: Findings,
    contours: list[tuple[str, files.Points]],
    dropped: Counter[str],
) -> list[files.Row]:
    """Return the rows of an image: its masses by the rule, or one without; none if it lost all."""
    name = path.stem.strip()
    patient, side, modality, view = IMAGE_NAME.findall(name)[0]
    image = files.look(folder, path) | {
        "case": f"{name}_view", "patient": f"P{int(patient)}", "site": "cdd-cesm", "side": side,
        "view": view if view in VIEWS else "other", "modality": modality,
        "pathology": found.pathology,
    }  # fmt: skip
    size = image["height"], image["width"]
    scale = cdd_cesm.SIZE / max(size)  # outlines of one image are compared on a smaller grid
    rows, filled = [], []
    for region, points in contours:
        mass, reason = files.place(points, image, f"{path}: contour {region}")
        if mass is not None:
            reason = _reason(files.enclosed_area(points), mass, scale)
        if mass is None or reason:
            dropped[reason] += 1
            continue
        rows.append(image | mass | {"case": f"{name}_{region}", "shape": found.shape})
        body = np.zeros(np.ceil(np.multiply(size, min(1.0, scale))).astype(int), np.uint8)
        cv2.fillPoly(body, [np.round(points * min(1.0, scale)).astype(np.int32)], 1)
        filled.append(body > 0)
    inner = cdd_cesm.nested(filled, equal=True)
    if any(inner):
        dropped[cdd_cesm.INSIDE] += sum(inner)
    rows = [row for row, inside in zip(rows, inner, strict=True) if not inside]
    if not rows and found.mass:
        raise files.RejectedError("views whose masses were all dropped")
    return rows or [image]


def _reason(area: float, mass: files.Row, scale: float) -> str:
    """Return why a region is not taken as a mass, empty where it is."""
    if area * scale**2 < cdd_cesm.MINIMUM_AREA:
        return f"smaller than {cdd_cesm.MINIMUM_AREA} px of a 512-px grid"
    width, height = mass["x_max"] - mass["x_min"], mass["y_max"] - mass["y_min"]
    return cdd_cesm.shape_fault(area, width, height) or ""


def read_findings(folder: Path) -> dict[str, Findings]:
    """Read the radiology tables of a folder, by name of the image."""
    path = find_table(folder, WORKBOOK)
    sheets = {name: sheet for name, sheet in read_sheets(path).items() if not sheet.empty}
    if missing := [name for name in ("all", *MASSES) if name not in sheets]:
        msg = f"{path}: sheet(s) {', '.join(missing)} missing or empty; copy the workbook anew"
        raise DataError(msg)
    shapes: dict[str, set[str | None]] = {}
    other: set[str] = set()
    for name, sheet in sheets.items():
        if name in MASSES:
            cells = _column(path, sheet, "shape").str.lower().str.findall("[a-z]+")
            for image, words in zip(_column(path, sheet, "image").map(_image), cells, strict=True):
                shapes.setdefault(image, set()).update(map(SHAPES.get, words))
        elif name != "all" and sheet.columns.str.contains("image").any():
            other.update(_column(path, sheet, "image").map(_image))
    images = _column(path, sheets["all"], "image").map(_image)
    said = _column(path, sheets["all"], "pathology").str.lower()[images != ""]
    check(path, said.to_frame("pathology"), {"pathology": "|".join(PATHOLOGY)})
    findings = {}
    for image, word in zip(images[images != ""], said, strict=True):
        given = shapes.get(image, set())
        single = len(given) == 1 and image not in other
        shape = next(iter(given)) if single else None
        findings[image] = Findings(PATHOLOGY[word], image in shapes, shape)
    return findings


def _column(path: Path, sheet: pd.DataFrame, word: str) -> pd.Series:
    """Return the first column whose name holds a word."""
    for name in sheet.columns:
        if word in name:
            return sheet[name]
    msg = f"{path}: no column with {word!r} in its name; copy the table anew"
    raise DataError(msg)

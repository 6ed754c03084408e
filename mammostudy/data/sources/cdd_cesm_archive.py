"""CDD-CESM as its archive publishes it: JPEGs of original size, contours, radiology tables.

Reads (doi 10.7937/29kw-ae92) what ``data_manifests/cdd-cesm-archive.yaml`` lists. Contours mark
every annotated region; the rule of the development part picks the masses.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd

from mammostudy.data.manifest import VIEWS
from mammostudy.data.sources import cdd_cesm, files
from mammostudy.data.sources.cdd_cesm_contours import IMAGE_NAME, outline_points
from mammostudy.data.tables import check, find_table, read_sheets, read_table
from mammostudy.errors import DataError
from mammostudy.paths import search

MODALITY: Final = "DM"  # low energy
CONTOURS: Final = "Radiology_hand_drawn_segmentations*.csv"
WORKBOOK: Final = "Radiology*annotations*.xlsx"
MASSES: Final = ("mass_description", "mass_enhancement_description")
SHAPES: Final = {"irregular": "irregular", "oval": "oval", "round": "round", "rounded": "round"}
PATHOLOGY: Final = {"benign": "benign", "malignant": "malignant", "normal": "unknown"}


def build_manifest(folder: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Pick the masses of the low-energy images by the rule.

    Every other one that the tables describe and that holds no mass is a row without a box.
    """
    images, findings = _images(folder), read_findings(folder)
    found = files.Gathered(folder)
    path = find_table(folder, CONTOURS)
    table = read_table(path, ("#filename", "region_id", "region_shape_attributes"))
    contours: dict[str, list[tuple[str, files.Points]]] = {}
    for line, row in table[~table["region_shape_attributes"].isin(["", "{}"])].iterrows():
        image = _image(row["#filename"])
        with found.sorting():
            named = IMAGE_NAME.fullmatch(image)
            if named is not None and named[3] != MODALITY:
                raise files.RejectedError("contours of the other modality (never mixed)")
            if image not in images:
                raise files.RejectedError("contours of images that are not there")
            if image not in findings or not findings[image]["mass"]:
                raise files.RejectedError("contours of images without a mass in the tables")
            try:
                points = outline_points(json.loads(row["region_shape_attributes"]))
            except (ValueError, RecursionError) as error:
                fault = f"row {line}, region_shape_attributes: {error}; copy it anew"
                raise DataError(f"{path}: {fault}") from None
            contours.setdefault(image, []).append((row["region_id"], points))
    for image, picture in sorted(images.items()):
        if image in findings and IMAGE_NAME.findall(image)[0][2] == MODALITY:
            with found.sorting():
                found.rows += _rows(found, picture, findings[image], contours.get(image, []))
    return found.result()


def _images(folder: Path) -> dict[str, Path]:
    """Return the archive's JPEGs by name without spaces and suffix."""
    found: dict[str, Path] = {}
    for path in search(folder, "**/*.[jJ][pP]*[gG]"):
        name = path.stem.strip()
        if name in found:
            raise DataError(f"{path}: the same image as {found[name]}; keep one of them")
        if IMAGE_NAME.fullmatch(name):
            found[name] = path
    return found


def _image(cell: str) -> str:
    return re.sub(r"\s*\.jpe?g$", "", cell, flags=re.IGNORECASE).strip()


def _rows(
    found: files.Gathered, path: Path, said: files.Row, contours: list[tuple[str, files.Points]]
) -> list[files.Row]:
    """Return the rows of an image: its masses by the rule, or one without; none if it lost all."""
    name = path.stem.strip()
    patient, side, modality, view = IMAGE_NAME.findall(name)[0]
    image = files.look(found.folder, path) | {
        "case": f"{name}_view", "patient": f"P{int(patient)}", "site": "cdd-cesm", "side": side,
        "view": view if view in VIEWS else "other", "modality": modality,
        "pathology": said["pathology"],
    }  # fmt: skip
    size = image["height"], image["width"]
    scale = cdd_cesm.SIZE / max(size)
    smaller = min(1.0, scale)  # outlines of one image are compared on a smaller grid
    rows, filled = [], []
    for region, points in contours:
        with found.sorting():
            mass = files.place(points, image, f"{path}: contour {region}")
            sides = mass["x_max"] - mass["x_min"], mass["y_max"] - mass["y_min"]
            area = cv2.contourArea(points.astype(np.float32))
            if reason := cdd_cesm.rule_fault(area, *sides, scale):
                raise files.RejectedError(reason)
            rows.append(image | mass | {"case": f"{name}_{region}", "shape": said["shape"]})
            body = np.zeros(np.ceil(np.multiply(size, smaller)).astype(int), np.uint8)
            cv2.fillPoly(body, [np.round(points * smaller).astype(np.int32)], 1)
            filled.append(body > 0)
    rows = cdd_cesm.outermost(found, rows, filled, equal=True)
    return files.masses_or_view(image, rows, said["mass"])


def read_findings(folder: Path) -> dict[str, files.Row]:
    """Read the radiology tables of a folder, by name of the image.

    They say its pathology, whether it holds a mass, and the shape of a single one that is the
    image's only finding.
    """
    path = find_table(folder, WORKBOOK)
    sheets = {name: sheet for name, sheet in read_sheets(path).items() if not sheet.empty}
    if missing := [name for name in ("all", *MASSES) if name not in sheets]:
        raise DataError(f"{path}: sheet(s) {', '.join(missing)} missing or empty; copy it anew")

    def column(sheet: str, word: str) -> pd.Series:
        """Return the first column whose name holds a word."""
        named = sheets[sheet].columns[sheets[sheet].columns.str.contains(word)]
        if named.empty:
            raise DataError(f"{path}: sheet {sheet}: no column of the {word}; copy it anew")
        return sheets[sheet][named[0]]

    shapes: dict[str, set[Any]] = {}
    for name in MASSES:
        words = column(name, "shape").str.lower().str.findall("[a-z]+")
        for image, said in zip(column(name, "image").map(_image), words, strict=True):
            shapes.setdefault(image, set()).update(map(SHAPES.get, said))
    others = [name for name in sheets if name not in ("all", *MASSES)]
    others = [name for name in others if sheets[name].columns.str.contains("image").any()]
    other = {image for name in others for image in column(name, "image").map(_image)}
    table = pd.DataFrame({"image": column("all", "image").map(_image)})
    table["pathology"] = column("all", "pathology").str.lower()
    table = table[table["image"] != ""]
    check(path, table, {"pathology": "|".join(PATHOLOGY)})
    findings = {}
    for image, word in table.itertuples(index=False):
        given = [*shapes.get(image, ())]
        shape = given[0] if len(given) == 1 and image not in other else None
        findings[image] = {"pathology": PATHOLOGY[word], "mass": image in shapes, "shape": shape}
    return findings

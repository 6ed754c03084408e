"""CDD-CESM: real mammograms with radiologists' contours (Khaled et al. 2022, CC BY 4.0).

Reads the development layout: ``images.csv``, ``regions.csv``, ``outlines.jsonl``, ``images/``.
Contours mark every annotated region, so a stated rule picks the masses; low-energy (DM) and
subtracted (CM) images are two cohorts and never meet in one number.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_outline

MINIMUM_AREA = 100  # px of the 512-px grid: a disc of 11 px
MINIMUM_FILL = 0.35  # share of its box that a mass fills; an ellipse fills 0.785
MAXIMUM_ASPECT = 3.0  # longer over shorter side of the box
NESTED = 0.95  # share of a region inside a larger one from which on it is part of that mass
SIZE = 512
IMAGE_COLUMNS = {"image", "patient_id", "side", "modality", "view", "pathology", "mask_kind"}
REGION_COLUMNS = {
    "image", "region_id", "x_min", "y_min", "x_max", "y_max", "area_px", "mass_image",
    "mass_shape", "only_mass_findings",
}  # fmt: skip
RULE = (
    f"regions of images that hold masses and whose regions are told apart, "
    f"area at least {MINIMUM_AREA} px, filling at least {MINIMUM_FILL:.0%} of their box, "
    f"box aspect at most {MAXIMUM_ASPECT:g}, not nested in another mass"
)


def _read(folder: Path, name: str, needed: set[str]) -> pd.DataFrame:
    path = folder / name
    if not path.is_file():
        msg = f"{path}: missing; the folder must hold CDD-CESM's {name}"
        raise DataError(msg)
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        msg = f"{path}: not a readable CSV table ({error}); copy it anew"
        raise DataError(msg) from error
    if absent := needed - set(table.columns):
        msg = f"{path}: column(s) {', '.join(sorted(absent))} missing; copy the file anew"
        raise DataError(msg)
    return table


def _outlines(folder: Path) -> dict[tuple[str, int], list[list[float]]]:
    path = folder / "outlines.jsonl"
    if not path.is_file():
        msg = f"{path}: missing; it holds the outline of every region"
        raise DataError(msg)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: not readable as UTF-8 text ({type(error).__name__}); copy it anew"
        raise DataError(msg) from None
    outlines = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            outlines[row["image"], int(row["region_id"])] = row["points"]
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            msg = f"{path}: line {number} is no outline (image, region_id, points); copy it anew"
            raise DataError(msg) from None
    return outlines


def _faults_of(region: pd.Series) -> str | None:
    """Return why a region is not taken as a mass, or None where it is."""
    width, height = region["x_max"] - region["x_min"], region["y_max"] - region["y_min"]
    if not region["mass_image"]:
        return "image without a mass"
    if region["area_px"] < MINIMUM_AREA:
        return f"smaller than {MINIMUM_AREA} px"
    if region["area_px"] < MINIMUM_FILL * width * height:
        return f"fills less than {MINIMUM_FILL:.0%} of its box"
    if max(width, height) > MAXIMUM_ASPECT * min(width, height):
        return f"box aspect above {MAXIMUM_ASPECT:g}"
    return None


def _nested(masks: list[NDArray[np.bool_]]) -> list[bool]:
    """Mark the masks that lie within a larger one of the list."""
    areas = [int(mask.sum()) for mask in masks]
    return [
        any(
            areas[j] > areas[i] and (mask & other).sum() >= NESTED * areas[i]
            for j, other in enumerate(masks)
        )
        for i, mask in enumerate(masks)
    ]


def _row(image: pd.Series, region: pd.Series, points: object, folder: Path) -> dict[str, object]:
    path = folder / "images" / f"{image['image']}.jpg"
    if not path.is_file():
        msg = f"{path}: listed in images.csv but missing"
        raise DataError(msg)
    shape = region["mass_shape"] if region["only_mass_findings"] else None
    return {
        "case": f"{image['image']}_{region['region_id']}",
        "patient": f"P{image['patient_id']}",
        "site": "cdd-cesm",
        "image": f"images/{image['image']}.jpg",
        "height": SIZE,
        "width": SIZE,
        "view": image["view"],
        "side": image["side"],
        "modality": image["modality"],
        "mask": None,
        "mask_label": None,
        "outline": json.dumps(points),
        "spacing_mm": None,
        "shape": shape if shape in {"irregular", "oval", "round"} else None,
        "pathology": image["pathology"],
        "subtype": None,
        "image_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def build_manifest(folder: Path, modality: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the published layout and pick the masses of one modality by the stated rule.

    Args:
        folder: the cohort's folder.
        modality: ``DM`` (low energy) or ``CM`` (subtracted).

    Returns:
        The manifest (not yet validated), and the number of regions dropped by reason.

    Raises:
        DataError: a file, column, image or outline is missing, or an image has another size.
    """
    images = _read(folder, "images.csv", IMAGE_COLUMNS)
    regions = _read(folder, "regions.csv", REGION_COLUMNS)
    outlines = _outlines(folder)
    images = images[images["modality"] == modality]
    dropped: dict[str, int] = {}
    rows = []
    for _, image in images.iterrows():
        taken, masks = [], []
        for _, region in regions[regions["image"] == image["image"]].iterrows():
            reason = _faults_of(region)
            if reason is not None:
                dropped[reason] = dropped.get(reason, 0) + 1
                continue
            points = outlines.get((image["image"], int(region["region_id"])))
            if points is None:
                msg = (
                    f"{folder / 'outlines.jsonl'}: no outline of {image['image']}, region_id "
                    f"{region['region_id']}; copy the file anew"
                )
                raise DataError(msg)
            taken.append((region, points))
            masks.append(fill_outline(np.asarray(points, np.float64), (SIZE, SIZE)))
        for (region, points), mask, nested in zip(taken, masks, _nested(masks), strict=True):
            if nested:
                dropped["inside another mass"] = dropped.get("inside another mass", 0) + 1
                continue
            box = dict(zip(("x_min", "y_min", "x_max", "y_max"), box_of(mask), strict=True))
            rows.append(_row(image, region, points, folder) | box)
    binary = int((images["mask_kind"] == "binary").sum())
    dropped["regions not told apart (counted in images)"] = binary
    if not rows:
        msg = f"{folder / 'regions.csv'}: no mass of modality {modality}; copy the files anew"
        raise DataError(msg)
    _check_size(folder / str(rows[0]["image"]))
    return pd.DataFrame(rows), dropped


def read_images(folder: Path) -> pd.DataFrame:
    """Read the table of images, those without a mass as well.

    Returns:
        A row an image: image, patient, side, modality, view, pathology, and density: the letter a
        to d that the radiologist gave, or missing.

    Raises:
        DataError: the table or a column is missing.
    """
    images = _read(folder, "images.csv", IMAGE_COLUMNS | {"breast_density"})
    letters = images["breast_density"].astype(str).str.strip().str.lower()
    return images.assign(
        patient="P" + images["patient_id"].astype(str),
        density=letters.where(letters.isin(list("abcd"))),
    )[["image", "patient", "side", "modality", "view", "pathology", "density"]]


def build_views(folder: Path, modality: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Add the views without a mass to :func:`build_manifest`: what a detector sees.

    Those are the images of annotated regions none of which is said to be a mass; they show other
    findings (asymmetries, distortions, calcifications, oedema), rarely nothing. Images whose masses
    were all dropped, or whose regions are not told apart, are on neither side and left out.

    Args:
        folder: the cohort's folder.
        modality: ``DM`` (low energy) or ``CM`` (subtracted).

    Returns:
        The manifest (not yet validated), and the number of regions or images left out by reason.

    Raises:
        DataError: as :func:`build_manifest`.
    """
    masses, dropped = build_manifest(folder, modality)
    images = _read(folder, "images.csv", IMAGE_COLUMNS)
    regions = _read(folder, "regions.csv", REGION_COLUMNS)
    dropped = {name: count for name, count in dropped.items() if name != "image without a mass"}
    holds = regions.groupby("image")["mass_image"].any()
    images = images[(images["modality"] == modality) & (images["mask_kind"] == "instances")]
    free = images[~images["image"].map(holds).fillna(False).astype(bool)]
    nothing = pd.Series({"region_id": "view", "mass_shape": None, "only_mass_findings": False})
    empty = dict.fromkeys(("x_min", "y_min", "x_max", "y_max", "outline"))
    rows = [_row(image, nothing, None, folder) | empty for _, image in free.iterrows()]
    taken = set(masses["image"]) | {str(row["image"]) for row in rows}
    lost = sum(f"images/{name}.jpg" not in taken for name in images["image"])
    dropped["images whose masses were all dropped"] = lost
    return pd.concat([masses.astype(object), pd.DataFrame(rows)], ignore_index=True), dropped


def _check_size(path: Path) -> None:
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if pixels is None or pixels.shape != (SIZE, SIZE):
        msg = f"{path}: expected a readable image of {SIZE}x{SIZE} pixels"
        raise DataError(msg)

"""CDD-CESM as its archive publishes it: JPEGs of original size, contours, radiology tables.

The layout is that of The Cancer Imaging Archive (doi 10.7937/29kw-ae92): two folders of images,
``Radiology_hand_drawn_segmentations_v2.csv`` (an export of the VGG image annotator) and
``Radiology-manual-annotations.xlsx``, whose sheets list the findings of every image. Contours mark
every annotated region, so a stated rule picks the masses, as for the development part.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data.manifest import VIEWS
from mammostudy.data.row_files import jpeg_size
from mammostudy.data.sources import cdd_cesm, csv_tables, via_regions
from mammostudy.data.sources.cdd_cesm_sheets import Findings, read_findings
from mammostudy.data.sources.owner_files import place, relative, sha256_of, size_fault, table_of
from mammostudy.data.sources.via_regions import RegionError
from mammostudy.errors import DataError

TITLE: Final = "CDD-CESM, the archive's layout"
VERSION: Final = 1
CONTOURS: Final = "Radiology_hand_drawn_segmentations*.csv"
NO_IMAGE: Final = "contours of images that are not there"
OTHER_MODALITY: Final = "contours of the other modality (never mixed)"
NO_MASS: Final = "contours of images without a mass in the tables"
TOO_SMALL: Final = f"smaller than {cdd_cesm.MINIMUM_AREA} px of a 512-px grid"
THIN: Final = f"fills less than {cdd_cesm.MINIMUM_FILL:.0%} of its box"
LONG: Final = f"box aspect above {cdd_cesm.MAXIMUM_ASPECT:g}"
NESTED: Final = "inside another mass"
LOST: Final = "views whose masses were all dropped"
_NAME: Final = re.compile(r"P(\d+)_([LR])_(DM|CM)_([A-Z]+)\w*")


@dataclass(frozen=True)
class _Contour:
    region: str
    drawn: via_regions.Region


def build_manifest(
    folder: Path, store: Path | None = None, modality: str = "DM"
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the archive's layout and pick the masses of one modality by the stated rule.

    Every other image that the tables describe and that holds no mass is a row without a box.

    Args:
        folder: the folder with both tables; images may lie in folders of it.
        store: not used.
        modality: ``DM`` (low energy) or ``CM`` (subtracted).

    Returns:
        The manifest (not yet validated), and the contours and views left out, by reason.

    Raises:
        DataError: a table is missing or damaged, a contour cannot be read, an image has no
            readable header or stands there twice, or no mass is left.
    """
    images = _images(folder)
    findings = read_findings(folder)
    dropped: Counter[str] = Counter()
    contours: dict[str, list[_Contour]] = {}
    for image, contour in _contours(folder):
        if (reason := _left_out(image, images, findings, modality)) is not None:
            dropped[reason] += 1
        else:
            contours.setdefault(image, []).append(contour)
    rows: list[dict[str, object]] = []
    for image in sorted(images):
        named = _NAME.fullmatch(image)
        if named is None or named[3] != modality or image not in findings:
            continue
        shared = _shared(folder, images[image], image, findings[image])
        masses = _masses(shared, contours.get(image, []), findings[image], dropped)
        if masses:
            rows += masses
        elif findings[image].mass:
            dropped[LOST] += 1
        else:
            rows.append(shared | {"case": f"{image}_view"})
    if not any("outline" in row for row in rows):
        msg = f"{folder}: no mass of modality {modality} is left; copy the images and tables anew"
        raise DataError(msg)
    return table_of(rows), dict(dropped)


def _images(folder: Path) -> dict[str, Path]:
    """Return the archive's JPEGs by name without spaces and suffix."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.stem.strip()
        if path.suffix.lower() not in (".jpg", ".jpeg") or not _NAME.fullmatch(name):
            continue
        if name in found:
            msg = f"{path}: the same image as {found[name]}; keep one of them"
            raise DataError(msg)
        relative(folder, path)  # refuses a link that leads out
        found[name] = path
    if not found:
        msg = f"{folder}: no image named P<patient>_<side>_<DM or CM>_<view>.jpg; copy them here"
        raise DataError(msg)
    return found


def _contours(folder: Path) -> list[tuple[str, _Contour]]:
    paths = sorted(folder.glob(CONTOURS)) or sorted(folder.glob(f"*/{CONTOURS}"))
    if not paths:
        msg = f"{folder / CONTOURS}: missing; download the contours from the data set's page"
        raise DataError(msg)
    path = paths[-1]
    needed = ("#filename", "region id", "region shape attributes")
    contours, faults = [], []
    for line, row in csv_tables.read_table(path, needed):
        if row["region shape attributes"] in ("", "{}"):
            continue  # an image without a region
        try:
            drawn = via_regions.read_region(row["region shape attributes"])
        except RegionError as error:
            faults.append(f"line {line}, region_shape_attributes: {error}")
            continue
        name = re.sub(r"\s*\.jpe?g$", "", row["#filename"], flags=re.IGNORECASE).strip()
        contours.append((name, _Contour(row["region id"], drawn)))
    csv_tables.refuse(path, faults)
    return contours


def _left_out(
    image: str, images: dict[str, Path], findings: dict[str, Findings], modality: str
) -> str | None:
    named = _NAME.fullmatch(image)
    if named is not None and named[3] != modality:
        return OTHER_MODALITY
    if image not in images:
        return NO_IMAGE
    return None if image in findings and findings[image].mass else NO_MASS


def _shared(folder: Path, path: Path, image: str, found: Findings) -> dict[str, object]:
    """Return the columns of a view."""
    patient, side, modality, view = _NAME.findall(image)[0]
    height, width = jpeg_size(path)
    if fault := size_fault(height, width):
        msg = f"{path}: {fault}; copy the file anew"
        raise DataError(msg)
    return {
        "patient": f"P{int(patient)}",
        "site": "cdd-cesm",
        "image": relative(folder, path),
        "height": height,
        "width": width,
        "view": view if view in VIEWS else "other",
        "side": side,
        "modality": modality,
        "pathology": found.pathology,
        "image_sha256": sha256_of(path),
    }


def _masses(
    shared: dict[str, object], contours: list[_Contour], found: Findings, dropped: Counter[str]
) -> list[dict[str, object]]:
    """Return the rows of an image's contours that are masses by the rule."""
    shape = (int(str(shared["height"])), int(str(shared["width"])))
    rows: list[dict[str, object]] = []
    outlines: list[via_regions.Points] = []
    for contour in contours:
        if contour.drawn.points is None:
            dropped[contour.drawn.reason] += 1
            continue
        columns, reason = place(contour.drawn.points, shape)
        if columns is None or (reason := _no_mass(contour.drawn.points, columns, shape)):
            dropped[str(reason)] += 1
            continue
        case = f"{Path(str(shared['image'])).stem.strip()}_{contour.region}"
        rows.append(shared | columns | {"case": case, "shape": found.shape})
        outlines.append(contour.drawn.points)
    nested = via_regions.nested(outlines, shape, cdd_cesm.SIZE, cdd_cesm.NESTED)
    if any(nested):
        dropped[NESTED] += sum(nested)
    return [row for row, inner in zip(rows, nested, strict=True) if not inner]


def _no_mass(
    points: via_regions.Points, columns: dict[str, object], shape: tuple[int, int]
) -> str | None:
    """Return why a region is not taken as a mass, by the rule of the development part."""
    x_min, y_min, x_max, y_max = (
        int(str(columns[name])) for name in ("x_min", "y_min", "x_max", "y_max")
    )
    area = via_regions.area(points)
    if area * (cdd_cesm.SIZE / max(shape)) ** 2 < cdd_cesm.MINIMUM_AREA:
        return TOO_SMALL
    width, height = x_max - x_min, y_max - y_min
    if area < cdd_cesm.MINIMUM_FILL * width * height:
        return THIN
    return LONG if max(width, height) > cdd_cesm.MAXIMUM_ASPECT * min(width, height) else None

"""INbreast (Moreira et al. 2012): full-field digital mammograms, masses drawn by radiologists.

Reads the published layout: ``AllDICOMs/<id>_<patient>_MG_<L|R>_<CC|ML>_ANON.dcm``,
``AllXML/<id>.xml`` and the table ``INbreast.csv``, whose cells are parted by semicolons. Only
regions named "mass" (in any case) are masses; the set gives them no shape and no subtype.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data.sources.csv_tables import quoted, read_table, refuse
from mammostudy.data.sources.dicom_facts import read_facts
from mammostudy.data.sources.inbreast_xml import Roi, read_rois
from mammostudy.data.sources.owner_files import one_error, place, relative, table_of
from mammostudy.errors import DataError

TITLE: Final = "INbreast"
VERSION: Final = 1
"""Recipe version: raised by hand when the same folder gives another manifest."""
TABLE: Final = "INbreast.csv"
IMAGES: Final = "AllDICOMs"
ANNOTATIONS: Final = "AllXML"
PATHOLOGY: Final = {"1": "benign", "2": "benign", "6": "malignant"}
"""By BI-RADS, an assessment: 6 is proven by biopsy; 0, 3, 4 and 5 leave it unknown."""
BIRADS: Final = ("0", "1", "2", "3", "4", "4a", "4b", "4c", "5", "6")
NEEDED: Final = ("laterality", "view", "file name", "bi-rads")

CALCIFICATION: Final = "region of a single point (calcification)"
NOT_A_MASS: Final = "region with another name than mass"
UNNAMED: Final = "region without a name"
NO_IMAGE: Final = f"row of {TABLE} without its image"
NOT_LISTED: Final = f"image that {TABLE} does not list"
NOT_INBREAST: Final = "image with another file name than <id>_<patient>_MG_<side>_<view>_ANON.dcm"
NOT_ANNOTATED: Final = "image with findings (BI-RADS above 1) but no annotation file"
DISAGREES: Final = f"image whose file name and {TABLE} disagree about side or view"
NO_MASS_LEFT: Final = "image whose masses were all dropped"
_NAME: Final = re.compile(r"(\d{1,12})_([0-9A-Za-z]{1,64})_MG_([LR])_(CC|MLO|ML)_ANON\.dcm")
_VIEWS: Final = {"CC": "CC", "ML": "MLO", "MLO": "MLO"}  # the set has no true lateral views


@dataclass(frozen=True)
class _Listed:
    """What a row of the table says of an image."""

    side: str
    view: str
    birads: str


@dataclass(frozen=True)
class _Image:
    """A mammogram's file and what its name says."""

    path: Path
    name: str
    patient: str
    side: str
    view: str


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Make the manifest of INbreast from the folder as published.

    Args:
        folder: ``INbreast Release 1.0``, or the folder that holds it.
        store: not used; outlines stand in the manifest.

    Returns:
        The manifest, not yet validated, and what was dropped, by reason.

    Raises:
        DataError: the folder lacks a part, or a file of it is damaged; every damaged file counts,
            the first ones are named with field and fix.
    """
    home = _home(folder)
    listed = _listed(home / TABLE)
    images, dropped = _images(home / IMAGES)
    dropped[NO_IMAGE] += len(listed.keys() - {image.name for image in images})
    rows: list[dict[str, object]] = []
    faults: list[DataError] = []
    for image in images:
        try:
            rows += _rows(folder, home, image, listed.get(image.name), dropped)
        except DataError as fault:
            faults.append(fault)
    one_error(faults)
    if not rows:
        msg = f"{home}: no image can be used; the folder must hold {IMAGES}, {ANNOTATIONS}, {TABLE}"
        raise DataError(msg)
    return table_of(rows), {reason: count for reason, count in dropped.items() if count}


def official_part(manifest: pd.DataFrame) -> pd.Series:
    """Return ``test`` for every row: the set is too small to train on, and the paper tests on it.

    Args:
        manifest: rows of INbreast.
    """
    return pd.Series("test", index=manifest.index, dtype=object)


def _home(folder: Path) -> Path:
    """Find the folder that holds the images: the one given, or the only such folder in it."""
    if (folder / IMAGES).is_dir():
        return folder
    found = [path.parent for path in sorted(folder.glob(f"*/{IMAGES}")) if path.is_dir()]
    if len(found) != 1:
        msg = (
            f"{folder}: {len(found) or 'no'} folders {IMAGES}; name the folder "
            "`INbreast Release 1.0` as published"
        )
        raise DataError(msg)
    return found[0]


def _listed(path: Path) -> dict[str, _Listed]:
    """Read the table, by the number that file names start with."""
    listed: dict[str, _Listed] = {}
    faults = []
    for number, row in read_table(path, NEEDED, delimiters=";"):
        name, birads = row["file name"], row["bi-rads"].lower()
        said = _Listed(row["laterality"].upper(), _VIEWS.get(row["view"].upper(), ""), birads)
        if not re.fullmatch(r"[0-9]{1,12}", name) or name in listed:
            what = "stands twice" if name in listed else "is not a number"
            faults.append(f"line {number}, File Name: {quoted(name)} {what}")
        elif said.side not in ("L", "R") or not said.view:
            side_view = quoted(f"{row['laterality']} {row['view']}")
            faults.append(f"line {number}, Laterality, View: {side_view} is not L or R, CC or MLO")
        elif birads not in BIRADS:
            faults.append(f"line {number}, Bi-Rads: {quoted(birads)} is not one of 0 to 6")
        listed[name] = said
    refuse(path, faults)
    return listed


def _images(folder: Path) -> tuple[list[_Image], Counter[str]]:
    """Read the names of the image files; the patient is the second part of each."""
    images: dict[str, _Image] = {}
    dropped: Counter[str] = Counter()
    for path in sorted(folder.glob("*.[dD][cC][mM]")):
        named = _NAME.fullmatch(path.name)
        if named is None:
            dropped[NOT_INBREAST] += 1
            continue
        name, patient, side, view = named.groups()
        if name in images:
            msg = f"{path}: number {name} is that of {images[name].path.name} too; keep one of them"
            raise DataError(msg)
        images[name] = _Image(path, name, patient, side, _VIEWS[view])
    return list(images.values()), dropped


def _rows(
    folder: Path, home: Path, image: _Image, said: _Listed | None, dropped: Counter[str]
) -> list[dict[str, object]]:
    """Return the rows of one image: a row a mass, or one without; none where it is dropped."""
    annotation = home / ANNOTATIONS / f"{image.name}.xml"
    annotated = annotation.exists() or annotation.is_symlink()
    if (reason := _why_not(image, said, annotated)) is not None or said is None:
        dropped[reason or NOT_LISTED] += 1
        return []
    shared: dict[str, object] = {"image": relative(folder, image.path)}  # before anything is read
    if annotated:
        relative(folder, annotation)
    facts = read_facts(image.path)
    shared |= {
        "patient": image.patient, "site": "inbreast", "height": facts.height,
        "width": facts.width, "view": image.view, "side": image.side, "modality": "DM",
        "spacing_mm": facts.spacing_mm, "pathology": PATHOLOGY.get(said.birads, "unknown"),
        "image_sha256": facts.sha256,
    }  # fmt: skip
    rois = read_rois(annotation) if annotated else []
    masses, lost = _masses(annotation, rois, (facts.height, facts.width), dropped)
    if not masses and lost:
        dropped[NO_MASS_LEFT] += 1
        return []
    rows = [shared | mass | {"case": f"{image.name}_{number}"} for number, mass in masses]
    return rows or [shared | {"case": image.name, "pathology": "unknown"}]


def _why_not(image: _Image, said: _Listed | None, annotated: bool) -> str | None:
    if said is None:
        return NOT_LISTED
    if (said.side, said.view) != (image.side, image.view):
        return DISAGREES
    return NOT_ANNOTATED if not annotated and said.birads != "1" else None


def _masses(
    path: Path, rois: list[Roi], shape: tuple[int, int], dropped: Counter[str]
) -> tuple[list[tuple[int, dict[str, object]]], int]:
    """Return number and columns of each mass, and how many masses were dropped."""
    masses: list[tuple[int, dict[str, object]]] = []
    lost = 0
    for number, roi in enumerate(rois, start=1):
        name = roi.name.strip().casefold()
        if len(roi.points) == 1:
            dropped[CALCIFICATION] += 1
        elif not name:
            dropped[UNNAMED] += 1
            lost += 1  # it may have been one
        elif name not in ("mass", "masses"):
            dropped[NOT_A_MASS] += 1
        else:
            try:
                mass, reason = place(roi.points, shape)
            except DataError as error:
                msg = f"{path}: field ROIs[{number - 1}].Point_px: {error}; copy the file anew"
                raise DataError(msg) from None
            if mass is None:
                dropped[str(reason)] += 1
                lost += 1
            else:
                masses.append((number, mass))
    return masses, lost

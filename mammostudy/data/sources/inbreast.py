"""INbreast (Moreira et al. 2012): full-field digital mammograms, masses drawn by radiologists.

Reads the published layout (``data_manifests/inbreast.yaml``). Only regions named "mass" (in any
case) are masses; the set gives them no shape and no subtype.
"""

from __future__ import annotations

import plistlib
import re
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.data.dicom_file import guarded
from mammostudy.data.images import bytes_of
from mammostudy.data.sources import files
from mammostudy.data.tables import check, read_table
from mammostudy.errors import DataError
from mammostudy.paths import search

TABLE: Final = "INbreast.csv"
PATHOLOGY: Final = {"1": "benign", "2": "benign", "6": "malignant"}  # by BI-RADS; 6 is proven
_NAME: Final = re.compile(r"(\d{1,12})_([0-9A-Za-z]{1,64})_MG_([LR])_(CC|MLO|ML)_ANON\.dcm")
_VIEWS: Final = {"CC": "CC", "ML": "MLO", "MLO": "MLO"}  # the set has no true lateral views
_WORDS: Final = {
    "laterality": "[LRlr]", "view": "(?i:CC|ML|MLO)", "file_name": r"\d{1,12}",
    "bi-rads": "[0-6]|4[abcABC]",
}  # fmt: skip


def build_manifest(folder: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the folder ``INbreast Release 1.0``, or the folder that holds it."""
    homes = [*search(folder, "AllDICOMs"), *search(folder, "*/AllDICOMs")]
    if len(homes) != 1:
        raise DataError(f"{folder}: not one folder AllDICOMs; name `INbreast Release 1.0`")
    path = homes[0].parent / TABLE
    table = read_table(path, _WORDS, separators=";")
    check(path, table, _WORDS, {"file_name: an image twice": table["file_name"].duplicated()})
    views = table["view"].str.upper().map(_VIEWS)
    said = zip(table["laterality"].str.upper(), views, table["bi-rads"], strict=True)
    listed = dict(zip(table["file_name"], said, strict=True))
    found = files.Gathered(folder)
    seen: set[str] = set()
    for path in search(homes[0], "*.[dD][cC][mM]"):
        with found.sorting():
            named = _NAME.fullmatch(path.name)
            if named is None:
                raise files.RejectedError("image with a name that is not of the set")
            if named[1] in seen:
                raise DataError(f"{path}: another image has its number too; keep one of them")
            seen.add(named[1])
            found.rows += _rows(found, path, listed.get(named[1]))
    found.dropped[f"row of {TABLE} without its image"] = len(listed.keys() - seen)
    return found.result()


def _rows(found: files.Gathered, path: Path, said: tuple[str, str, str] | None) -> list[files.Row]:
    """Return the rows of one image: a row a mass, or one without; none where it is dropped."""
    number, patient, side, view = _NAME.findall(path.name)[0]
    annotation = path.parent.parent / "AllXML" / f"{number}.xml"
    if said is None:
        raise files.RejectedError(f"image that {TABLE} does not list")
    if said[:2] != (side, _VIEWS[view]):
        raise files.RejectedError(f"image whose file name and {TABLE} disagree about side or view")
    if not annotation.exists() and said[2] != "1":
        raise files.RejectedError("image with findings (BI-RADS above 1) but no annotation file")
    image = files.look(found.folder, path) | {
        "case": number, "patient": patient, "site": "inbreast", "view": _VIEWS[view],
        "side": side, "modality": "DM", "pathology": "unknown",
    }  # fmt: skip
    pathology = PATHOLOGY.get(said[2], "unknown")
    masses: list[files.Row] = []
    drawn = 0
    rois = read_rois(found.folder, annotation) if annotation.exists() else []
    for place_, (name, points) in enumerate(rois, start=1):
        with found.sorting():
            if len(points) == 1:
                raise files.RejectedError("region of a single point (calcification)")
            if name not in ("", "mass", "masses"):
                raise files.RejectedError("region with another name than mass")
            drawn += 1  # one without a name may be a mass
            if not name:
                raise files.RejectedError("region without a name")
            mass = files.place(points, image, f"{annotation}: field ROIs[{place_ - 1}]")
            mass |= {"case": f"{number}_{place_}", "pathology": pathology}
            masses.append(image | mass)
    return files.masses_or_view(image, masses, drawn)


def read_rois(folder: Path, path: Path) -> list[tuple[str, files.Points]]:
    """Read name and points of the regions of one mammogram; points are x and y in its pixels."""
    files.relative(folder, path)
    with guarded(path, "no property list of regions, or damaged; copy the file anew"):
        (image,) = plistlib.loads(bytes_of(path), fmt=plistlib.FMT_XML)["Images"]
        rois: list[tuple[str, files.Points]] = []
        for roi in image["ROIs"]:
            pairs = [point.strip("() ").split(",") for point in roi["Point_px"]]
            if odd := {len(pair) for pair in pairs} - {2}:
                fault = f"a point of {max(odd)} numbers; it holds x and y (Point_mm has three)"
                raise DataError(f"{path}: field ROIs[{len(rois)}].Point_px: {fault}")
            points = np.array(pairs, np.float64).reshape(-1, 2)
            if len(points) != roi["NumberOfPoints"] or not np.isfinite(points).all():
                raise ValueError
            rois.append((str(roi.get("Name", "")).strip().casefold(), points))
        if image["NumberOfROIs"] != len(rois):
            raise ValueError
        return rois

"""INbreast (Moreira et al. 2012): full-field digital mammograms, masses drawn by radiologists.

Reads the published layout: ``AllDICOMs/<id>_<patient>_MG_<L|R>_<CC|ML>_ANON.dcm``,
``AllXML/<id>.xml`` (an OsiriX property list a mammogram, points in its pixels) and the table
``INbreast.csv``, whose cells are parted by semicolons. Only regions named "mass" (in any case) are
masses; the set gives them no shape and no subtype.
"""

from __future__ import annotations

import plistlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

import numpy as np
import pandas as pd

from mammostudy.data.sources.files import (
    Gathered,
    Points,
    RejectedError,
    Row,
    look,
    place,
    relative,
)
from mammostudy.data.tables import check, read_table
from mammostudy.errors import DataError

TABLE: Final = "INbreast.csv"
PATHOLOGY: Final = {"1": "benign", "2": "benign", "6": "malignant"}
"""By BI-RADS, an assessment: 6 is proven by biopsy; 0, 3, 4 and 5 leave it unknown."""
NOT_INBREAST: Final = "image with another file name than <id>_<patient>_MG_<side>_<view>_ANON.dcm"
CALCIFICATION: Final = "region of a single point (calcification)"
NOT_A_MASS: Final = "region with another name than mass"
_NAME: Final = re.compile(r"(\d{1,12})_([0-9A-Za-z]{1,64})_MG_([LR])_(CC|MLO|ML)_ANON\.dcm")
_VIEWS: Final = {"CC": "CC", "ML": "MLO", "MLO": "MLO"}  # the set has no true lateral views
_WORDS: Final = {
    "laterality": "[LRlr]", "view": "(?i:CC|ML|MLO)", "file_name": r"\d{1,12}",
    "bi-rads": "[0-6]|4[abcABC]",
}  # fmt: skip
_POINT: Final = re.compile(r"\(\s*([-+]?[\d.]{1,20})\s*,\s*([-+]?[\d.]{1,20})\s*\)", re.ASCII)
_FAILURES: Final = (
    OSError, ExpatError, plistlib.InvalidFileException, ValueError, TypeError, AttributeError,
    LookupError, ArithmeticError, RecursionError,
)  # fmt: skip


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the folder ``INbreast Release 1.0``, or the folder that holds it."""
    homes = [path for path in (folder / "AllDICOMs", *folder.glob("*/AllDICOMs")) if path.is_dir()]
    if len(homes) != 1:
        msg = f"{folder}: not one folder AllDICOMs; name the folder `INbreast Release 1.0`"
        raise DataError(msg)
    listed = _listed(homes[0].parent / TABLE)
    found = Gathered(folder)
    seen: set[str] = set()
    for path in sorted(homes[0].glob("*.[dD][cC][mM]")):
        named = _NAME.fullmatch(path.name)
        if named is None:
            found.dropped[NOT_INBREAST] += 1
            continue
        if named[1] in seen:
            found.faults.append(f"{path}: another image has its number too; keep one of them")
        seen.add(named[1])
        found.take(_rows, folder, path, listed.get(named[1]), found.dropped)
    found.dropped[f"row of {TABLE} without its image"] = len(listed.keys() - seen)
    return found.result()


def official_part(manifest: pd.DataFrame) -> pd.Series:
    """Return ``test`` for every row: the set is too small to train on; the paper tests on it."""
    return pd.Series("test", index=manifest.index, dtype=object)


def _listed(path: Path) -> dict[str, tuple[str, str, str]]:
    """Return side, view and BI-RADS of each image, by the number that its file starts with."""
    table = read_table(path, _WORDS, separators=";")
    check(path, table, _WORDS, {"file_name: an image twice": table["file_name"].duplicated()})
    views = table["view"].str.upper().map(_VIEWS)
    said = zip(table["laterality"].str.upper(), views, table["bi-rads"], strict=True)
    return dict(zip(table["file_name"], said, strict=True))


def _rows(
    folder: Path, path: Path, said: tuple[str, str, str] | None, dropped: Counter[str]
) -> list[Row]:
    """Return the rows of one image: a row a mass, or one without; none where it is dropped."""
    number, patient, side, view = _NAME.findall(path.name)[0]
    annotation = path.parent.parent / "AllXML" / f"{number}.xml"
    annotated = annotation.exists() or annotation.is_symlink()
    if said is None:
        raise RejectedError(f"image that {TABLE} does not list")
    if said[:2] != (side, _VIEWS[view]):
        raise RejectedError(f"image whose file name and {TABLE} disagree about side or view")
    if not annotated and said[2] != "1":
        raise RejectedError("image with findings (BI-RADS above 1) but no annotation file")
    image = look(folder, path) | {"case": number, "patient": patient, "site": "inbreast"}
    image |= {"view": _VIEWS[view], "side": side, "modality": "DM", "pathology": "unknown"}
    if annotated:
        relative(folder, annotation)  # before it is read
    masses: list[Row] = []
    lost = False
    for place_, (name, points) in enumerate(read_rois(annotation) if annotated else (), start=1):
        mass, reason = _mass(name, points, image, f"{annotation}: field ROIs[{place_ - 1}]")
        if mass is None:
            dropped[reason] += 1
            lost |= reason not in (CALCIFICATION, NOT_A_MASS)  # one without a name may be a mass
        else:
            masses.append(mass | {"case": f"{number}_{place_}"})
    if not masses and lost:
        raise RejectedError("image whose masses were all dropped")
    pathology = {"pathology": PATHOLOGY.get(said[2], "unknown")}
    return [image | pathology | mass for mass in masses] or [image]


def _mass(name: str, points: Points, image: Row, where: str) -> tuple[Row | None, str]:
    """Return the columns of a region that is a mass, or None and why it is left out."""
    if len(points) == 1:
        return None, CALCIFICATION
    word = name.strip().casefold()
    if word not in ("mass", "masses"):
        return None, NOT_A_MASS if word else "region without a name"
    return place(points, image, where)


def read_rois(path: Path) -> list[tuple[str, Points]]:
    """Read name and points of the regions of one mammogram; points are x and y in its pixels."""
    try:
        (image,) = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)["Images"]
        rois = [_roi(roi) for roi in image["ROIs"]]
        if image["NumberOfROIs"] != len(rois):
            raise ValueError("NumberOfROIs is not their number")
    except _FAILURES as error:
        msg = f"{path}: no property list of regions, or damaged ({error}); copy the file anew"
        raise DataError(msg) from None
    return rois


def _roi(roi: dict[str, Any]) -> tuple[str, Points]:
    found = [_POINT.fullmatch(point) for point in roi["Point_px"]]
    pairs = [(float(point[1]), float(point[2])) for point in found if point]
    if len(pairs) != len(found) or roi["NumberOfPoints"] != len(found):
        raise ValueError("Point_px is not NumberOfPoints points '(x, y)'")
    return str(roi.get("Name", "")), np.asarray(pairs, np.float64).reshape(-1, 2)

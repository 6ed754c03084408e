"""CBIS-DDSM: masses on scanned films with outlines of a lesion each (Lee et al. 2017, CC BY 3.0).

Reads the two tables of masses and their DICOM files in whatever layout the archive's downloaders
give them. ``data_manifests/cbis-ddsm.yaml`` tells the faults of the set and what becomes of them.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.dicom import read_stored_values
from mammostudy.data.images import same_aspect
from mammostudy.data.manifest import BOX
from mammostudy.data.sources import ddsm
from mammostudy.data.sources.files import Gathered, RejectedError, Row, index_files, look
from mammostudy.data.tables import check, find_table, read_table
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of

_OTHERS: Final = (
    "ARCHITECTURAL_DISTORTION", "ASYMMETRIC_BREAST_TISSUE", "FOCAL_ASYMMETRIC_DENSITY",
    "LYMPH_NODE",
)  # fmt: skip
_SHAPE: Final = f"(?:{'|'.join([*ddsm.SHAPES, *_OTHERS])})"
_WORDS: Final = {
    "patient_id": r"P_\d{5}", "breast_density": "[0-4]?", "left_or_right_breast": "LEFT|RIGHT",
    "image_view": "CC|MLO", "abnormality_id": r"[1-9]\d?", "abnormality_type": "mass",
    "mass_shape": f"(?:{_SHAPE}(?:-{_SHAPE})*)?|N/A",
    "pathology": "MALIGNANT|BENIGN(?:_WITHOUT_CALLBACK)?",
}  # fmt: skip
_PATHS: Final = {
    "image": "image_file_path", "crop": "cropped_image_file_path", "mask": "roi_mask_file_path",
}  # fmt: skip
_PATH: Final = r"\A([\w-]+)/\d+(?:\.\d+)+/\d+(?:\.\d+)+/\w+\.dcm\Z"


def read_masses(folder: Path) -> pd.DataFrame:
    """Read the tables of a folder, or of one in it: a row a mass, by case, with its paths."""
    return pd.concat([_read(folder, "train", "Training"), _read(folder, "test", "Test")])


def _read(folder: Path, part: str, word: str) -> pd.DataFrame:
    path = find_table(folder, f"mass_case_description_{part}_set.csv")
    table = read_table(path, {*_WORDS, *_PATHS.values()})
    image = f"Mass-{word}_" + table["patient_id"] + "_" + table["left_or_right_breast"]
    image += "_" + table["image_view"]
    case = image + "_" + table["abnormality_id"]
    faults = {"abnormality_id: a case twice": case.duplicated()}
    for key, column in _PATHS.items():
        folders = table[column].str.extract(_PATH, re.ASCII)[0]
        faults[f"{column}: no path of this case"] = folders != (image if key == "image" else case)
    check(path, table, _WORDS, faults)
    columns = {
        "case": case, "patient": table["patient_id"], "part": part,
        "side": table["left_or_right_breast"].str[0], "view": table["image_view"],
        "density": table["breast_density"], "pathology": table["pathology"].map(ddsm.PATHOLOGY),
        "shape_words": table["mass_shape"],
    }  # fmt: skip
    columns |= {key: table[column] for key, column in _PATHS.items()}
    return pd.DataFrame(columns).set_index("case")


def shape_of(cell: str) -> tuple[str | None, str]:
    """Map a cell of ``mass shape``, if it is one word, to one of the four; else None, and why."""
    if cell in ddsm.SHAPES:
        return ddsm.SHAPES[cell], ""
    why = "several words (compound)" if "-" in cell else "none of the four shapes"
    return None, f"shape left empty: {'not given' if cell in ('', 'N/A') else why}"


def build_manifest(folder: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the masses; shapes left empty are counted as well."""
    masses = read_masses(folder)
    find = partial(_find, folder, index_files(folder))
    found = Gathered(folder)
    for case, mass in masses.iterrows():
        with found.sorting():
            images = find(mass["image"])
            if len(images) != 1:
                reason = "several files for one image" if images else "image not found"
                raise RejectedError(reason, str(case), mass["image"])
            try:
                image = look(folder, images[0])
            except DataError as error:
                raise RejectedError("image damaged", str(case), mass["image"], str(error)) from None
            drawn = dict.fromkeys([*find(mass["mask"]), *find(mass["crop"])])
            mask, box = _find_mask(str(case), image, [path for path in drawn if path != images[0]])
            row = {name: mass[name] for name in ("patient", "view", "side", "pathology", "part")}
            row["density"] = mass["density"].strip("0") or None
            row |= {"case": case, "site": "cbis-ddsm", "modality": "SFM"}
            row["shape"], unnamed = shape_of(mass["shape_words"])
            row |= {"mask": mask.relative_to(folder).as_posix(), **box}
            found.rows.append(image | row)
            found.dropped[unnamed] += bool(unnamed)
    return found.result()


def _find(folder: Path, index: dict[str, list[Path]], table_path: str) -> list[Path]:
    """Find the files that a path of the tables may mean, nearest first."""
    case, _, series, _ = table_path.split("/")
    near = index.get(series, [])
    exact = folder / table_path
    return [exact] if exact in near else near or index.get(case, [])


def _find_mask(case: str, image: Row, candidates: list[Path]) -> tuple[Path, Row]:
    """Find the mask among the files of a mass, and its box in the grid of the image.

    Crop and mask of a mass share a series, or stand in two, and the tables swap their paths in
    places; neither the file's name nor its place tells one from the other. The mask holds two
    values, 0 and another, and has its image's size or a multiple of it; the crop holds many.
    """
    shape = image["height"], image["width"]
    missing = "no file of two values beside the crop: the mask is missing"
    reason, message = (missing if candidates else "mask not found"), ""
    stored: list[tuple[Path, NDArray[np.integer[Any]]]] = []
    for path in candidates:
        try:
            stored.append((path, read_stored_values(path)))
        except DataError as error:
            reason, message = "mask damaged", str(error)
    for path, pixels in sorted(stored, key=lambda one: (one[1].shape != shape, -one[1].size)):
        low, high = pixels.min(), pixels.max()
        if not ((pixels == low) | (pixels == high)).all():
            continue
        if low == high:
            reason, message = "mask of one value: it marks nothing or everything", str(path)
        elif not same_aspect(pixels.shape, shape):
            reason, message = "mask of another aspect than its image", str(path)
        else:
            mask = (pixels == high).astype(np.uint8)
            if mask.shape != shape:  # resized as mammostudy.data.row_files.read_mask does
                mask = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            return path, dict(zip(BOX, box_of(mask > 0), strict=True))
    raise RejectedError(reason, case, str(image["image"]), message)

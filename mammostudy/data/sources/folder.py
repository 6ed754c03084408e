"""A private cohort: a folder of mammograms, masks and one table, ``cohort.csv``.

:mod:`mammostudy.data.sources.folder_template` writes an empty table and the guide to it. Patients
stand in the manifest by pseudonym only, and so do the names of files
(:mod:`mammostudy.data.private_files`); cases are named after the patient's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mammostudy.data import dicom, row_files
from mammostudy.data.manifest import BOX, SHAPES, SUBTYPES, VIEWS
from mammostudy.data.private import PRIVATE_TABLE, hidden_name, without
from mammostudy.data.sources.csv_tables import quoted, read_table
from mammostudy.data.sources.owner_files import sha256_of, table_of
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of

TITLE: Final = "A private cohort"
VERSION: Final = 2  # recipe version: raised when another manifest comes of the same folder
FREE: Final = ("", "none")  # of the column mask: a view without a mass
WORDS: Final = {
    "view": VIEWS,
    "side": ("L", "R", "unknown"),
    "modality": ("DM", "CM", "SFM"),
    "shape": SHAPES,
    "pathology": ("benign", "malignant", "unknown"),
    "subtype": SUBTYPES,
}
COLUMNS: Final = {
    "image": "path of the mammogram inside this folder: DICOM, PNG, JPEG or TIFF",
    "mask": "path of a mask, PNG, TIFF or DICOM, white where the mass is; empty: no mass in view",
    "mask_label": "the grey value of this mass where one file holds several; else empty",
    "patient": "any name or number, the same for all images of a patient; kept as a keyed hash",
    "site": "a letter or number for the hospital or scanner, not its name; empty: one site",
    "view": f"{', '.join(VIEWS)}; empty: as the DICOM file says",
    "side": "L, R or unknown; empty: as the DICOM file says",
    "modality": "DM (digital), CM (contrast-enhanced) or SFM (film); empty: DM",
    "spacing_mm": "millimetres a pixel; empty: as the DICOM file says, never guessed",
    "shape": f"{', '.join(SHAPES)}, or empty",
    "pathology": "benign, malignant or unknown; empty: unknown",
    "subtype": f"{', '.join(SUBTYPES)}, or empty",
}
"""The columns of ``cohort.csv`` and what they hold."""
NEEDED: Final = ("image", "mask", "patient")


class _CellError(Exception):
    """A cell that cannot be used; ``column`` names it."""

    def __init__(self, column: str, fault: str) -> None:
        super().__init__(f"{column}: {fault}")


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read a private cohort.

    Args:
        folder: with ``cohort.csv``.
        store: not used.

    Returns:
        The manifest (not yet validated), and nothing dropped: every fault is an error.

    Raises:
        DataError: with every fault of the table and its files, each with its row and column.
    """
    rows, faults = _read(folder)
    if faults:
        listed = "\n  ".join(faults)
        msg = f"{folder / PRIVATE_TABLE}: {len(faults)} fault(s); mend them:\n  {listed}"
        raise DataError(msg)
    return table_of(rows), {}


def faults_of(folder: Path) -> list[str]:
    """Return every fault of a private cohort's table and files, as ``row N, column: fault``.

    Raises:
        DataError: there is no table, or it is torn or lacks a column.
    """
    return _read(folder)[1]


def _read(folder: Path) -> tuple[list[dict[str, object]], list[str]]:
    table = read_table(folder / PRIVATE_TABLE, (_plain(name) for name in NEEDED), ",;\t")
    known = {_plain(name): name for name in COLUMNS}
    faults = [
        f"row 1, {name}: no column of the table; use {', '.join(COLUMNS)}"
        for name in table[0][1]
        if name and name not in known
    ]
    rows: list[dict[str, object]] = []
    masses: Counter[tuple[str, ...]] = Counter()
    files: dict[str, Any] = {}
    for number, cells in table:
        named = {known[name]: cell for name, cell in cells.items() if name in known}
        row, found = _row(folder, named, files)
        faults += [f"row {number}, {_nameless(fault, named)}" for fault in found]
        key = tuple(named.get(name, "") for name in ("image", "mask", "mask_label"))
        masses[key] += 1
        if masses[key] == 2:
            faults.append(f"row {number}, image: the same image and mask as in a row above")
        rows.append(row)
    if not faults:
        _name(rows)
        faults += _mixed(rows)
    return rows, faults


def _nameless(fault: str, cells: dict[str, str]) -> str:
    """Return a fault without the names of files; its row and column tell which one it is."""
    for name in filter(None, (cells["image"], cells["mask"])):
        fault = without(fault, name, hidden_name(name))
    return fault


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _row(
    folder: Path, cells: dict[str, str], files: dict[str, Any]
) -> tuple[dict[str, object], list[str]]:
    """Return a row of the manifest without its case, and the faults of its cells."""
    row: dict[str, object] = {"site": cells.get("site") or "own"}
    faults: list[str] = []
    takes: list[Callable[[], dict[str, object]]] = [
        partial(_patient, cells),
        partial(_image, folder, cells["image"], files),
        partial(_words, cells, row, faults),
        partial(_truth, folder, cells, row),
    ]
    for take in takes:
        try:
            row |= take()
        except _CellError as error:
            faults.append(str(error))
    return row, faults


def _patient(cells: dict[str, str]) -> dict[str, object]:
    from mammostudy.data.private import pseudonym

    if not cells["patient"]:
        raise _CellError("patient", "empty; name the patient, or the split cannot be by patient")
    return {"patient": pseudonym(cells["patient"])}


def _image(folder: Path, name: str, files: dict[str, Any]) -> dict[str, object]:
    """Return what the image file says: size, hash, and of DICOM view, side and spacing."""
    if name not in files:
        try:
            files[name] = _facts(row_files.inside(folder, name, "image"))
        except DataError as error:
            files[name] = _CellError("image", str(error))
    if isinstance(files[name], _CellError):
        raise files[name]
    return {"image": hidden_name(name), **files[name]}


def _facts(path: Path) -> dict[str, object]:
    row_files.content_of(path, "the image")
    facts: dict[str, object] = {"view": "unknown", "side": "unknown", "spacing_mm": None}
    if dicom.is_dicom(path):
        read = dicom.read_dicom(path)
        pixels = read.image
        facts = {"view": read.view, "side": read.side, "spacing_mm": read.spacing_mm}
    else:
        pixels = dicom.read_image(path)
    height, width = pixels.shape
    return facts | {"height": height, "width": width, "image_sha256": sha256_of(path)}


def _words(cells: dict[str, str], row: dict[str, object], faults: list[str]) -> dict[str, object]:
    """Return the cells of a fixed vocabulary and the spacing; the header fills empty ones."""
    found: dict[str, object] = {"modality": "DM", "pathology": "unknown"}
    for column, words in WORDS.items():
        if not (cell := cells.get(column, "")):
            continue
        word = {word.lower(): word for word in words}.get(cell.lower())
        said = row.get(column) if column in ("view", "side") else None
        if word is None:
            faults.append(f"{column}: {quoted(cell)} is not one of {', '.join(words)}")
        elif said not in (None, "unknown", "other", word):
            faults.append(f"{column}: {word}, but the header of {row['image']} says {said}")
        else:
            found[column] = word
    if cell := cells.get("spacing_mm", ""):
        found["spacing_mm"] = _spacing(cell)
    return found


def _spacing(cell: str) -> float:
    try:
        spacing = float(cell.replace(",", "."))
    except ValueError:
        spacing = math.nan
    if not 0.005 <= spacing <= 2:
        raise _CellError("spacing_mm", f"{quoted(cell)} is no millimetres a pixel (0.005 to 2)")
    return spacing


def _truth(folder: Path, cells: dict[str, str], row: dict[str, object]) -> dict[str, object]:
    """Return mask, label and the box of the mask; of a view without a mass none of them."""
    if cells["mask"].lower() in FREE:
        for name in ("mask_label", "shape", "subtype"):
            if cells.get(name):
                raise _CellError(name, "given, but the row has no mask; add the mask or empty it")
        return {}
    label = _label(cells.get("mask_label", ""))
    found: dict[str, object] = {"mask": hidden_name(cells["mask"]), "mask_label": label}
    if "height" not in row:
        return found  # the image is at fault, and told already
    try:
        mask = row_files.read_mask(folder, pd.Series({**row, **found, "case": cells["image"]}))
    except DataError as error:
        raise _CellError("mask", str(error)) from None
    return found | dict(zip(BOX, box_of(mask), strict=True))


def _label(cell: str) -> int | None:
    if not cell:
        return None
    if not (cell.isascii() and cell.isdigit() and 0 < int(cell[:9]) <= 65_535):
        raise _CellError("mask_label", f"{quoted(cell)} is no grey value from 1 to 65535")
    return int(cell)


def _name(rows: list[dict[str, object]]) -> None:
    """Name every case: pseudonym, side, view and a number."""
    count: Counter[str] = Counter()
    for row in rows:
        stem = f"{row['patient']}_{row['side']}_{row['view']}"
        count[stem] += 1
        row["case"] = f"{stem}_{count[stem]}"


def _mixed(rows: list[dict[str, object]]) -> Iterator[str]:
    """Yield images that belong to two patients, or to a mass and to none."""
    by_image: dict[str, dict[str, object]] = {}
    for number, row in enumerate(rows, start=2):
        first = by_image.setdefault(str(row["image"]), row)
        if first["patient"] != row["patient"]:
            yield f"row {number}, patient: the image belongs to another patient in a row above"
        if ("mask" in first) != ("mask" in row):
            yield f"row {number}, mask: the image has a mass in one row and none in another"

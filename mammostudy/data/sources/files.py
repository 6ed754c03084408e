"""What the readers share: files of an owner's folder found and described, outlines boxed.

Downloaders lay the series of an archive out in different ways: ``CASE/STUDY/SERIES/000000.dcm``,
``CASE/DATE-STUDY/1.000000-DESCRIPTION-12345/1-1.dcm``, ``SERIES/1-1.dcm``,
``CASE/STUDY/MG_SERIES/FILE.dcm``, or loose. :func:`index_files` gives every file under the name of
each folder above it, which covers the first four; :func:`identify` reads the header of a loose one.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom import dcmread

from mammostudy.data.dicom import is_dicom
from mammostudy.data.dicom_file import guarded, read_header, silenced
from mammostudy.data.dicom_header import side_of, spacing_of, view_of
from mammostudy.data.images import bytes_of, open_picture
from mammostudy.data.manifest import BOX, COLUMNS
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_rows

OVERHANG: Final = 0.01  # of the longer side of the image, by which an outline may leave it; or 2 px
Points = NDArray[np.float64]
Row = dict[str, Any]


def relative(folder: Path, path: Path) -> str:
    """Return a file's posix path from its cohort's folder; refuse a link that leads out."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        msg = f"{path}: leads out of {folder} or nowhere; put the file itself into the folder"
        raise DataError(msg)
    return path.relative_to(folder).as_posix()


def read_text(path: Path) -> str:
    """Read a text file in UTF-8."""
    with guarded(path, "missing or no text; the file is damaged, copy it anew"):
        return path.read_text(encoding="utf-8-sig")


def index_files(folder: Path) -> dict[str, list[Path]]:
    """List the DICOM files below a folder, by the name of every folder above them.

    ``MG_`` before a series is left out. All of them stand under the empty name; links that lead
    out of the folder are passed over.
    """
    index: dict[str, list[Path]] = defaultdict(list)
    root = folder.resolve()
    for path in sorted(folder.rglob("*.[dD][cC][mM]")):
        if path.is_file() and path.resolve().is_relative_to(root):
            above = path.relative_to(folder).parts[:-1]
            for name in {"", *(part.removeprefix("MG_") for part in above)}:
                index[name].append(path)
    return index


def identify(path: Path) -> tuple[str, str]:
    """Return PatientID and SeriesInstanceUID of a file, empty where they cannot be read.

    For sets whose identifiers are public pseudonyms; nothing else is read and nothing shown.
    """
    try:
        with silenced():
            tags = ["PatientID", "SeriesInstanceUID"]
            found = dcmread(path, specific_tags=tags, stop_before_pixels=True)
            return str(found.get("PatientID", "")), str(found.get("SeriesInstanceUID", ""))
    except Exception:  # as many ways as damages
        return "", ""


def look(folder: Path, path: Path) -> Row:
    """Return the manifest's columns that an image file tells; its pixels are not decoded.

    They are image, height, width and image_sha256; of DICOM also view, side and spacing_mm.
    """
    name = relative(folder, path)
    content = bytes_of(path)
    row = {"image": name, "image_sha256": hashlib.sha256(content).hexdigest()}
    if not is_dicom(path):
        with open_picture(path, content) as picture:
            return row | {"height": picture.height, "width": picture.width}
    header = read_header(path, content)
    needed = header.Rows * header.Columns * header.BitsAllocated / 8
    if not header.file_meta.TransferSyntaxUID.is_encapsulated and len(header.PixelData) < needed:
        msg = f"{path}: field PixelData is cut off; copy the file anew"
        raise DataError(msg)
    size = {"height": header.Rows, "width": header.Columns}
    said = {"view": view_of(header), "side": side_of(header)[0]}
    return row | size | said | {"spacing_mm": spacing_of(header)[0]}


def enclosed_area(points: Points) -> float:
    """Return the pixels that an outline encloses, its corners at their centres (shoelace)."""
    x, y = (points - points.mean(axis=0)).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def place(points: Points, image: Row, where: str) -> tuple[Row | None, str]:
    """Box an outline and write it as a manifest has it.

    What lies outside the image by at most :data:`OVERHANG` is cut off, as annotators drew over
    the edge.

    Args:
        points: float ``(k, 2)`` of x and y in pixels, any k.
        image: a row with its height and width.
        where: file and field that hold the outline, for the message.

    Returns:
        The manifest's columns x_min to y_max and outline; or None, and why there are none.
    """
    shape = image["height"], image["width"]
    beyond = max(2.0, OVERHANG * max(shape))
    limit = np.array([shape[1] - 1, shape[0] - 1]) + beyond
    if len(points) and not ((points >= -beyond) & (points <= limit)).all():
        return None, "outline that leaves the image"
    if len(points) < 3 or enclosed_area(points) < 1:
        return None, "outline that encloses no area"
    try:
        mask = fill_rows(points, shape)
    except DataError as error:
        msg = f"{where}: {error}; copy the file anew"
        raise DataError(msg) from None
    if not mask.any():
        return None, "outline that leaves the image"
    corners = [[int(v) if v == int(v) else v for v in xy] for xy in points.round(3).tolist()]
    return dict(zip(BOX, box_of(mask), strict=True)) | {"outline": json.dumps(corners)}, ""


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as a manifest's table; columns that a row lacks are empty."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def count_rejected(store: Path | None, rejected: Sequence[Sequence[str]]) -> dict[str, int]:
    """Count case, file, reason and message of what was left out by reason, and write them down."""
    table = pd.DataFrame(rejected, columns=["case", "file", "reason", "message"])
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
        table.to_csv(store / "dropped.csv", index=False)
    return {str(reason): int(count) for reason, count in table["reason"].value_counts().items()}


def one_error(faults: Sequence[DataError]) -> None:
    """Raise one error for several damaged files: the first ones, and how many there are."""
    if faults:
        count = f"; {len(faults)} files have faults" if len(faults) > 1 else ""
        raise DataError("; ".join(str(fault) for fault in faults[:4]) + count)

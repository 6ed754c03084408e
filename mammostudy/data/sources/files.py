"""What the readers share: files of an owner's folder found and described, outlines boxed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.dicom_file import facts_of, guarded, read_header, starts_as_dicom
from mammostudy.data.images import bytes_of, open_picture
from mammostudy.data.manifest import BOX, COLUMNS, OPTIONAL
from mammostudy.errors import DataError, grouped
from mammostudy.imaging.contours import box_of, fill_rows
from mammostudy.paths import search

OVERHANG: Final = 0.01  # of the longer side of the image, by which an outline may leave it; or 2 px
Points = NDArray[np.float64]
Row = dict[str, Any]


def relative(folder: Path, path: Path) -> str:
    """Return a file's posix path from its cohort's folder; refuse a link that leads out."""
    with guarded(path, f"leads out of {folder} or nowhere; put the file itself there"):
        path.resolve().relative_to(folder.resolve())
    return path.relative_to(folder).as_posix()


def read_text(path: Path) -> str:
    """Read a text file in UTF-8."""
    with guarded(path, "missing or no text; the file is damaged, copy it anew"):
        return bytes_of(path).decode("utf-8-sig")


def index_files(folder: Path) -> dict[str, list[Path]]:
    """List the DICOM files below a folder, by the name of every folder above them.

    Downloaders write ``CASE/STUDY/SERIES/000000.dcm``, ``SERIES/1-1.dcm`` or ``MG_SERIES/...``. All
    stand under the empty name, too; links that lead out of the folder are passed over.
    """
    index: dict[str, list[Path]] = defaultdict(list)
    root = folder.resolve()
    for path in search(folder, "**/*.[dD][cC][mM]"):
        if path.is_file() and path.resolve().is_relative_to(root):
            above = path.relative_to(folder).parts[:-1]
            for name in {"", *(part.removeprefix("MG_") for part in above)}:
                index[name].append(path)
    return index


def look(folder: Path, path: Path, size: tuple[int, int] | None = None) -> Row:
    """Return the manifest's columns that an image file tells; its pixels are not decoded.

    The size (height, width) is given where the file has no header.
    """
    name = relative(folder, path)
    content = bytes_of(path)
    row = {"image": name, "image_sha256": hashlib.sha256(content).hexdigest()}
    if size:
        return row | {"height": size[0], "width": size[1]}
    if not starts_as_dicom(content):
        with open_picture(path, content) as picture:
            return row | {"height": picture.height, "width": picture.width}
    header = read_header(path, content)
    with guarded(path, "the DICOM file is damaged; copy it anew"):
        facts = facts_of(header)
    row |= {"height": header.Rows, "width": header.Columns}
    return row | {name: facts[name] for name in ("view", "side", "spacing_mm")}


def place(points: Points, image: Row, where: str) -> Row:
    """Box an outline and write it as a manifest has it, or raise RejectedError.

    What leaves the image by at most :data:`OVERHANG` is cut off: annotators drew over the edge.
    """
    shape = image["height"], image["width"]
    beyond = max(2.0, OVERHANG * max(shape))
    limit = np.array([shape[1] - 1, shape[0] - 1]) + beyond
    if len(points) and not ((points >= -beyond) & (points <= limit)).all():
        raise RejectedError("outline that leaves the image")
    if len(points) < 3 or cv2.contourArea(points.astype(np.float32)) < 1:
        raise RejectedError("outline that encloses no area")
    try:
        mask = fill_rows(points, shape)
    except DataError as error:
        raise DataError(f"{where}: {error}; copy the file anew") from None
    if not mask.any():
        raise RejectedError("outline that leaves the image")
    corners = [[int(v) if v == int(v) else v for v in xy] for xy in points.round(3).tolist()]
    return dict(zip(BOX, box_of(mask), strict=True)) | {"outline": json.dumps(corners)}


class RejectedError(Exception):
    """A film, file, breast or region that is left out, and why."""

    def __init__(self, reason: str, case: str = "", file: str = "", message: str = "") -> None:
        super().__init__(reason)
        self.listed = (case, file, "dropped", ": ".join(filter(None, (reason, message))))


def masses_or_view(image: Row, masses: list[Row], drawn: int) -> list[Row]:
    """Return the masses of an image of which so many were drawn; of none, the image without."""
    if drawn and not masses:
        raise RejectedError("image whose masses were all dropped")
    return masses or [image]


class Gathered:
    """The rows of a manifest as a reader finds them, and what it leaves out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.dropped: Counter[str] = Counter()
        self.faults: list[tuple[str, str]] = []  # file, and what is wrong with it
        self.listed: list[tuple[str, str, str, str]] = []  # what is dropped by a name

    @contextmanager
    def sorting(self) -> Iterator[None]:
        """Note what is rejected in this block, or the fault of a file, and go on behind it."""
        try:
            yield
        except RejectedError as error:
            self.dropped[str(error)] += 1
            self.listed += [error.listed] * any(error.listed[:2])
        except DataError as error:
            place, _, words = str(error).partition(": ")
            self.faults.append((place, words))

    def result(self) -> tuple[pd.DataFrame, dict[str, int]]:
        """Return the table, its missing columns empty, and what was left out by reason.

        ``attrs["dropped"]`` of the table holds what has a name, as rows of a quarantine.
        """
        if self.faults:
            raise DataError("; ".join(grouped(self.faults, then=": ")))
        if not self.rows:
            why = "; ".join(f"{count} dropped: {reason}" for reason, count in self.dropped.items())
            told = [said for *_, said in self.listed if said not in self.dropped]
            mend = [*told, "copy the files anew"][0]
            raise DataError(f"{self.folder}: nothing is left ({why or 'no file'}); {mend}")
        table = pd.DataFrame(self.rows, columns=[*COLUMNS, *OPTIONAL])
        table.attrs["dropped"] = self.listed
        return table, dict(+self.dropped)

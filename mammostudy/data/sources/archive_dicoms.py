"""DICOM files of the archive (TCIA): found by folder or by header, measured without being decoded.

Downloaders lay the same series out in different ways: ``CASE/STUDY/SERIES/000000.dcm`` (the paths
of the tables), ``CASE/DATE-STUDY/1.000000-DESCRIPTION-12345/1-1.dcm`` (the archive's own client),
``SERIES/1-1.dcm`` (its web service), ``CASE/STUDY/MG_SERIES/FILE.dcm`` (the cloud copy), or loose
files. :func:`index_files` gives every file under the name of each folder above it, which covers the
first four; :func:`identify` reads the header of a loose one.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import AllTransferSyntaxes, DeflatedExplicitVRLittleEndian

from mammostudy.data.dicom_file import read_header, silenced
from mammostudy.data.dicom_header import side_of, spacing_of, view_of
from mammostudy.data.images import MAX_PIXELS, bytes_of
from mammostudy.errors import DataError

HEAD: Final = 1 << 16  # bytes that hold patient and series in every file of the archive
_SERIES: Final = Tag("SeriesInstanceUID")


@dataclass(frozen=True)
class Header:
    """What a DICOM file says of itself.

    Attributes:
        height: of the image in pixels.
        width: of the image in pixels.
        spacing_mm: millimetres a pixel, None where the file does not say.
        view: CC, MLO, ML, LM, other or unknown.
        side: L, R or unknown.
        sha256: of the file's bytes.
    """

    height: int
    width: int
    spacing_mm: float | None
    view: str
    side: str
    sha256: str


def index_files(folder: Path) -> dict[str, list[Path]]:
    """List the DICOM files below a folder under the name of every folder above them.

    Links to folders are passed over, and links to files that lead out of the folder.

    Returns:
        Paths in alphabetical order by folder name (``MG_`` before a series is left out); all of
        them under the empty name.
    """
    index: dict[str, list[Path]] = defaultdict(list)
    root = folder.resolve()
    for place, folders, names in os.walk(folder):
        folders.sort()
        parts = Path(place).relative_to(folder).parts
        keys = {"", *(part.removeprefix("MG_") for part in parts)}
        for name in sorted(names):
            path = Path(place, name)
            if name.lower().endswith(".dcm") and _stays(path, root):
                for key in keys:
                    index[key].append(path)
    return dict(index)


def _stays(path: Path, root: Path) -> bool:
    try:
        inside = not path.is_symlink() or path.resolve().is_relative_to(root)
        return inside and path.is_file()
    except (OSError, RuntimeError):  # links in a circle
        return False


def identify(path: Path) -> tuple[str, str]:
    """Return PatientID and SeriesInstanceUID of a file, empty where they cannot be read.

    For sets whose identifiers are public pseudonyms; nothing else is read and nothing shown.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head[128:132] != b"DICM" or str(DeflatedExplicitVRLittleEndian).encode() in head[:1024]:
            return "", ""  # a deflated file could inflate to any size
        with silenced():
            tags: list[BaseTag | int] = [Tag("PatientID"), _SERIES]
            found = read_partial(
                BytesIO(head), lambda tag, vr, length: tag > _SERIES, specific_tags=tags
            )
            return str(found.get("PatientID", "")), str(found.get("SeriesInstanceUID", ""))
    except Exception:
        return "", ""


def look(path: Path) -> Header:
    """Read what a DICOM file says of itself; its pixels are counted and not decoded.

    Raises:
        DataError: the file is missing, damaged, truncated, of several frames, or of a size that
            no mammogram has.
    """
    content = bytes_of(path)
    try:
        with silenced():
            return _described(path, content)
    except DataError:
        raise
    except Exception:  # a field that is read only now, and cannot be converted
        msg = f"{path}: the DICOM header cannot be read; the file is damaged, copy it anew"
        raise DataError(msg) from None


def _described(path: Path, content: bytes) -> Header:
    header = read_header(path, content)
    height, width = _size(path, header)
    return Header(
        height=height,
        width=width,
        spacing_mm=spacing_of(header)[0],
        view=view_of(header),
        side=side_of(header)[0],
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _size(path: Path, header: FileDataset) -> tuple[int, int]:
    """Return height and width, checked against the number of bytes where they are not packed."""
    height, width = (_whole(path, header, name) for name in ("Rows", "Columns"))
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        msg = f"{path}: field Rows: {width}x{height} pixels are no mammogram; copy the file anew"
        raise DataError(msg)
    for name in ("NumberOfFrames", "SamplesPerPixel"):
        if _whole(path, header, name, 1) != 1:
            msg = f"{path}: field {name}: one grey frame is read; copy the file anew"
            raise DataError(msg)
    bits = _whole(path, header, "BitsAllocated")
    needed = height * width * bits // 8
    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in AllTransferSyntaxes:
        msg = f"{path}: field TransferSyntaxUID is no syntax of DICOM; the file is damaged"
        raise DataError(f"{msg}, copy it anew")
    packed = syntax.is_encapsulated
    if bits not in (1, 8, 16) or (not packed and len(header.PixelData) < needed):
        msg = (
            f"{path}: field PixelData is shorter than {width}x{height} pixels of {bits} bits; the "
            "file is truncated or damaged, copy it anew"
        )
        raise DataError(msg)
    return height, width


def _whole(path: Path, header: FileDataset, name: str, default: int | None = None) -> int:
    try:
        value = header.get(name)
        return int(value) if value not in (None, "") or default is None else default
    except Exception:
        msg = f"{path}: field {name} is missing or no number; the file is damaged, copy it anew"
        raise DataError(msg) from None

"""What a manifest needs of a DICOM mammogram without decoding its pixels."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileDataset

from mammostudy.data import dicom_file, dicom_header, images
from mammostudy.data.sources.owner_files import size_fault
from mammostudy.errors import DataError


@dataclass(frozen=True)
class Facts:
    """A mammogram's size and identity.

    Attributes:
        height: Rows.
        width: Columns.
        spacing_mm: millimetres a pixel, None where the header does not say.
        sha256: of the file's bytes, hex.
    """

    height: int
    width: int
    spacing_mm: float | None
    sha256: str


def read_facts(path: Path) -> Facts:
    """Read a mammogram's header and check that its pixels are there.

    Raises:
        DataError: the file is no DICOM image, or too large, or its pixels are cut off; the
            message names the field.
    """
    if not path.is_file():
        msg = f"{path}: missing or no file; copy it anew"
        raise DataError(msg)
    content = images.bytes_of(path)
    with dicom_file.silenced():
        header = dicom_file.read_header(path, content)
        height, width = (_whole(path, header, name) for name in ("Rows", "Columns"))
        fault = size_fault(height, width)
        if fault is None and not header.file_meta.TransferSyntaxUID.is_compressed:
            needed = height * width * math.ceil(_whole(path, header, "BitsAllocated") / 8)
            if len(header.get_item("PixelData").value or b"") < needed:
                fault = f"{width}x{height} pixels need {needed:,} bytes, PixelData is shorter"
        if fault is not None:
            msg = f"{path}: fields Rows and Columns: {fault}; the file is damaged, copy it anew"
            raise DataError(msg)
        spacing, _, _ = dicom_header.spacing_of(header)
    return Facts(height, width, spacing, hashlib.sha256(content).hexdigest())


def _whole(path: Path, header: FileDataset, name: str) -> int:
    try:
        return int(header[name].value)
    except Exception:
        msg = f"{path}: field {name} is missing or no whole number; copy the file anew"
        raise DataError(msg) from None

"""Open a DICOM file within bounds: the fields that are needed, and nothing of a person.

A damaged or hostile file can claim any length, nest without end or inflate to any size. Everything
read here is bounded before it is read: the file, what it inflates to, the elements of its header,
the length of each of them.
"""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mammostudy.errors import DataError

FIELDS: Final = [
    "Modality", "PresentationIntentType", "ImageLaterality", "Laterality", "ViewPosition",
    "ViewCodeSequence", "PatientOrientation", "FieldOfViewHorizontalFlip", "ImagerPixelSpacing",
    "PixelSpacing", "NominalScannedPixelSpacing", "BurnedInAnnotation", "LossyImageCompression",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept",
    "ModalityLUTSequence", "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth",
    "PresentationLUTShape", "PixelData",
]  # fmt: skip
FAILURES: Final = (
    ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, RuntimeError,
    ArithmeticError, AssertionError, MemoryError, struct.error, zlib.error, InvalidDicomError,
    BytesLengthException, subprocess.SubprocessError,
)  # fmt: skip
MAX_BYTES: Final = 1 << 28  # of a file
MAX_INFLATED: Final = 1 << 27  # bytes that a deflated file holds
MAX_READS: Final = 50_000  # elements and items of a header, three reads each at most
MAX_VALUE: Final = 1 << 14  # bytes of a field
MAX_TABLES: Final = 1 << 20  # bytes of a sequence of look-up tables
MAX_ITEMS: Final = 64  # of a sequence
_LONG_VRS: Final = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT")
_PIXELS: Final = Tag("PixelData")


class _Counted(BytesIO):
    """Bytes that may be read a bounded number of times: a header of millions of elements ends."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            msg = "too many elements"
            raise ValueError(msg)
        return super().read(size)


@contextmanager
def silenced() -> Iterator[None]:
    """Keep warnings and log lines of the DICOM library back: they would quote the file."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def bytes_of(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file.

    Raises:
        DataError: it is missing, unreadable or longer than ``limit`` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(min(os.fstat(file.fileno()).st_size, limit) + 1)
    except FileNotFoundError:
        msg = f"{path}: no such image file; check the path"
        raise DataError(msg) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        msg = f"{path}: cannot be read ({reason}); check that it is a readable file"
        raise DataError(msg) from None
    if len(content) > limit:
        msg = (
            f"{path}: the file is longer than {limit >> 20} MiB, no single mammogram is; export "
            "one image a file"
        )
        raise DataError(msg)
    return content


def starts_as_dicom(content: bytes) -> bool:
    """Tell DICOM by its preamble, or by a first element of groups 0002 or 0008 without one."""
    if content[128:132] == b"DICM":
        return True
    if content[:2] not in (b"\x02\x00", b"\x08\x00") or len(content) < 64:
        return False
    (element,) = struct.unpack_from("<H", content, 2)
    return bool(element <= 0x0100)


def read_header(path: Path, content: bytes) -> FileDataset:
    """Parse the :data:`FIELDS` of a DICOM file; no other field is kept.

    Raises:
        DataError: it is no DICOM file, damaged, without pixels or beyond a bound.
    """
    if not starts_as_dicom(content):
        msg = f"{path}: not a DICOM file (no DICM preamble); give a DICOM, PNG, JPEG or TIFF image"
        raise DataError(msg)
    content, deflated = _inflated(path, content)
    try:
        header = dcmread(_Counted(content), force=True, specific_tags=list(FIELDS))
        has_syntax = "TransferSyntaxUID" in header.file_meta
    except FAILURES:
        msg = f"{path}: the DICOM header cannot be read; the file is damaged, copy it anew"
        raise DataError(msg) from None
    header.buffer = None  # the library would keep the whole file beside its pixels
    if _PIXELS not in header:
        msg = f"{path}: field PixelData is missing; the file is truncated or holds no image"
        raise DataError(msg)
    if not has_syntax:
        implicit = header.original_encoding[0]
        header.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )
    if deflated:
        header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    _check_lengths(path, header)
    return header


def _inflated(path: Path, content: bytes) -> tuple[bytes, bool]:
    """Inflate a deflated file, to a bounded length, as the explicit little endian that it is."""
    syntax, start = _syntax_and_end(content)
    name = str(DeflatedExplicitVRLittleEndian).encode()
    if syntax.rstrip(b"\0 ") != name:
        if name not in content[:MAX_VALUE]:
            return content, False
        start = len(content)  # named elsewhere: the file meta group is not what it says
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(content[start:], MAX_INFLATED)
        whole = inflater.eof
    except zlib.error:
        whole = False
    if not whole:
        msg = (
            f"{path}: the deflated data do not inflate, or to more than {MAX_INFLATED >> 20} MiB; "
            "the file is truncated or damaged, copy it anew"
        )
        raise DataError(msg)
    plain = str(ExplicitVRLittleEndian).encode().ljust(len(name), b"\0")
    return content[:start].replace(name, plain) + data, True


def _syntax_and_end(content: bytes) -> tuple[bytes, int]:
    """Return the transfer syntax that group 0002 names, and where that group ends."""
    position, syntax = (132 if content[128:132] == b"DICM" else 0), b""
    while content[position : position + 2] == b"\x02\x00" and len(content) >= position + 12:
        if content[position + 4 : position + 6] in _LONG_VRS:
            start, length = position + 12, struct.unpack_from("<I", content, position + 8)[0]
        else:
            start, length = position + 8, struct.unpack_from("<H", content, position + 6)[0]
        if content[position + 2 : position + 4] == b"\x10\x00":
            syntax = content[start : start + length]
        position = start + length
    return syntax, position


def _check_lengths(path: Path, header: FileDataset) -> None:
    """Refuse fields so long that converting them alone would fill the memory."""
    for name in FIELDS:
        tag = Tag(name)
        if tag not in header or tag == _PIXELS:
            continue
        element = header.get_item(tag)
        value = getattr(element, "value", None)
        limit = MAX_TABLES if name.endswith("LUTSequence") else MAX_VALUE
        items = 0
        if isinstance(value, bytes):
            items = max(value.count(b"\xfe\xff\x00\xe0"), value.count(b"\xff\xfe\xe0\x00"))
        elif value is not None and name.endswith("Sequence"):
            items = len(value)
        if items > MAX_ITEMS or (isinstance(value, bytes) and len(value) > limit):
            msg = f"{path}: field {name} is far longer than a mammogram's; correct it or remove it"
            raise DataError(msg)

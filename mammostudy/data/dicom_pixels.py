"""Stored values of one DICOM frame: checked against the header, then decoded.

Uncompressed data (little and big endian, deflated) and run-length data are read here, all others
by :mod:`mammostudy.data.dicom_decoders`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from mammostudy.data.dicom_codestream import (
    codestream,
    decode_rle,
)
from mammostudy.data.dicom_decoders import decompressed, syntax_name
from mammostudy.data.dicom_file import FAILURES
from mammostudy.errors import DataError

Value = TypeVar("Value", bound=np.generic)
MAX_PIXELS: Final = 48_000_000  # the largest films, scanned at 43.5 um, have 38 million
_NATIVE: Final = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)  # fmt: skip
_COLOURS: Final = (
    "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420",
)  # fmt: skip
_STRIP: Final = 256  # rows handled at a time: temporary arrays stay small


@dataclass(frozen=True)
class Stored:
    """Stored values of one frame.

    Attributes:
        pixels: integers (h, w) as they lie in the file, of 8 or 16 bits and either byte order.
        bits: bits stored; those above hold nothing of the image.
        signed: whether the values are two's complement.
    """

    pixels: NDArray[np.integer[Any]]
    bits: int
    signed: bool

    def levels(self) -> NDArray[np.integer[Any]]:
        """Every value that the stored bits can hold, in the order of :meth:`codes`."""
        dtype = np.dtype(f"{'i' if self.signed else 'u'}{self.pixels.dtype.itemsize}")
        values = np.arange(1 << self.bits, dtype=np.int64)
        if self.signed:
            values[len(values) // 2 :] -= len(values)
        return values.astype(dtype)

    def codes(self, start: int, stop: int) -> NDArray[np.unsignedinteger[Any]]:
        """Rows ``start`` to ``stop`` as indices into :meth:`levels`."""
        rows = self.pixels[start:stop]
        plain = rows.astype(rows.dtype.newbyteorder("="), copy=False)
        unsigned = plain.view(np.dtype(f"u{rows.dtype.itemsize}"))
        codes: NDArray[np.unsignedinteger[Any]] = unsigned & unsigned.dtype.type(
            (1 << self.bits) - 1
        )
        return codes

    def counts(self) -> NDArray[np.int64]:
        """How many pixels have each of :meth:`levels`."""
        size = 1 << self.bits
        total = np.zeros(size, np.int64)
        for start in range(0, self.pixels.shape[0], _STRIP):
            total += np.bincount(self.codes(start, start + _STRIP).ravel(), minlength=size)
        return total

    def mapped(self, table: NDArray[Value]) -> NDArray[Value]:
        """The image of a table with an entry for each of :meth:`levels`."""
        image = np.empty(self.pixels.shape, table.dtype)
        for start in range(0, image.shape[0], _STRIP):
            stop = start + _STRIP
            np.take(table, self.codes(start, stop), out=image[start:stop], mode="clip")
        return image


def number(path: Path, header: FileDataset, field: str, default: float) -> float:
    """Return the (first) number of a field, or the default where it is absent or empty.

    Raises:
        DataError: it is no finite number.
    """
    try:
        value = header.get(field, default)
        if isinstance(value, (MultiValue, list, tuple)):
            value = value[0] if len(value) else default
        if value is None or value == "":
            return default
        found = float(value)
    except FAILURES:
        found = float("nan")
    if not np.isfinite(found):
        msg = f"{path}: field {field} is not a number; correct it or remove it"
        raise DataError(msg)
    return found


def stored_values(path: Path, header: FileDataset) -> Stored:
    """Check and decode the pixels of a header made by :func:`.dicom_file.read_header`.

    Raises:
        DataError: several frames or samples, another depth than 8 to 16 bits, an absurd size, a
            decoder that is not installed, or data that do not decode to what the header says.
    """
    shape = _checked_shape(path, header)
    width, bits = _checked_bits(path, header)
    signed = int(number(path, header, "PixelRepresentation", 0)) == 1
    syntax = UID(str(header.file_meta.TransferSyntaxUID))
    try:
        if syntax in _NATIVE:
            pixels = _native(header, shape, width)
        elif syntax == RLELossless:
            pixels = decode_rle(codestream(header["PixelData"].value), *shape, width)
        else:
            pixels = decompressed(path, header, syntax, shape, bits)
        if pixels.dtype.itemsize < width:  # compressed with 8 bits, for 16 allocated
            pixels = pixels.astype(np.uint16)
        if pixels.shape != shape or pixels.dtype.itemsize != width:
            raise ValueError
    except FAILURES:
        msg = (
            f"{path}: field PixelData ({syntax_name(syntax)}) does not decode to the image that "
            "Rows, Columns and BitsAllocated describe; the file is truncated or damaged, copy it "
            "anew"
        )
        raise DataError(msg) from None
    return Stored(pixels, bits, signed)


def _checked_shape(path: Path, header: FileDataset) -> tuple[int, int]:
    if number(path, header, "NumberOfFrames", 1) > 1:
        msg = (
            f"{path}: field NumberOfFrames is more than 1; tomosynthesis and other multi-frame "
            "files are not read, export one frame"
        )
        raise DataError(msg)
    photometric = text(header, "PhotometricInterpretation").upper()
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        found = photometric if photometric in _COLOURS else "missing or unknown"
        msg = (
            f"{path}: field PhotometricInterpretation is {found}; a mammogram is MONOCHROME1 or "
            "MONOCHROME2, export the grey image"
        )
        raise DataError(msg)
    if number(path, header, "SamplesPerPixel", 1) != 1:
        msg = (
            f"{path}: field SamplesPerPixel: one grey sample a pixel is read, export the grey image"
        )
        raise DataError(msg)
    rows, columns = (int(number(path, header, field, 0)) for field in ("Rows", "Columns"))
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        msg = (
            f"{path}: fields Rows and Columns must be at least 1 and their product at most "
            f"{MAX_PIXELS} pixels; correct them or export the image smaller"
        )
        raise DataError(msg)
    return rows, columns


def _checked_bits(path: Path, header: FileDataset) -> tuple[int, int]:
    """Return the bytes a pixel and the bits stored."""
    bits, allocated, high = (
        int(number(path, header, field, default))
        for field, default in (("BitsStored", 0), ("BitsAllocated", 0), ("HighBit", -1))
    )
    if not 8 <= bits <= 16:
        msg = f"{path}: field BitsStored is not 8 to 16, which are read; convert the file"
        raise DataError(msg)
    if allocated not in (8, 16) or allocated < bits:
        msg = (
            f"{path}: field BitsAllocated must be 8 or 16 and no less than BitsStored; correct it "
            "or convert the file"
        )
        raise DataError(msg)
    if high not in (-1, bits - 1):
        msg = (
            f"{path}: field HighBit must be BitsStored - 1 (DICOM PS3.5 8.1.1); correct it or "
            "convert the file"
        )
        raise DataError(msg)
    return allocated // 8, bits


def text(header: FileDataset, field: str) -> str:
    """Return the (first) text of a field, stripped; empty where it is absent or no text."""
    try:
        value = header.get(field)
        if isinstance(value, (MultiValue, list)):
            value = value[0] if len(value) else ""
        return str(value or "").strip()
    except FAILURES:
        return ""


def _native(header: FileDataset, shape: tuple[int, int], width: int) -> NDArray[np.integer[Any]]:
    """View uncompressed data, without a copy; only bytes that pad them may be left over."""
    data, expected = header["PixelData"].value, shape[0] * shape[1] * width
    excess = data[expected:]
    if len(excess) >= shape[1] * width + 1 or any(excess[1:]):
        msg = "longer than the image"
        raise ValueError(msg)
    big = not header.original_encoding[1]
    if big and width == 1 and header["PixelData"].VR == "OW":
        words = np.frombuffer(data[: expected + expected % 2], np.uint16).byteswap()
        return words.view(np.uint8)[:expected].reshape(shape)
    pixels = np.frombuffer(data, f"{'>' if big else '<'}u{width}", shape[0] * shape[1])
    return pixels.reshape(shape)

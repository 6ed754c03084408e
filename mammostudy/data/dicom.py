"""Read mammograms: DICOM by content, PNG, JPEG and TIFF; one float32 grey image each.

The order of DICOM steps is the standard's: stored values, modality LUT or rescale, VOI LUT or
window, and only then the inversion of ``MONOCHROME1``. Only the fields named here are ever read
from a DICOM file: names, identifiers and dates stay on the disk and cannot reach a message.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mammostudy.data.pictures import decode_picture
from mammostudy.errors import DataError

FIELDS = [
    "SOPClassUID", "Modality", "ImageLaterality", "Laterality", "ViewPosition",
    "PatientOrientation", "ImagerPixelSpacing", "PixelSpacing", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "ModalityLUTSequence", "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth",
    "PresentationLUTShape", "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]  # fmt: skip
VIEWS = ("CC", "MLO", "ML", "LM")
VERSION = 1  # recipe version: raised when the pixels read change
_READ_FAILURES = (
    ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, RuntimeError,
    ArithmeticError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class DicomImage:
    """One frame of a DICOM file, ready for use.

    Attributes:
        image: float32 (h, w) in [0, 1]; dense tissue bright, padding 0.
        spacing_mm: millimetres a pixel (rows), or None where the file does not say.
        view: CC, MLO, ML, LM, other or unknown.
        side: L, R or unknown.
        modality: the DICOM modality code, ``MG`` for mammography.
        bits: bits stored, 8 to 16.
    """

    image: NDArray[np.float32]
    spacing_mm: float | None
    view: str
    side: str
    modality: str
    bits: int


def read_image(path: str | Path) -> NDArray[np.float32]:
    """Read a mammogram of any supported format, told by its content and not by its name.

    Args:
        path: the image file.

    Returns:
        float32 (h, w) in [0, 1].

    Raises:
        DataError: the file is missing, truncated, of several frames or no image.
    """
    path = Path(path)
    content = _bytes_of(path)
    return read_dicom(path).image if _is_dicom(content) else decode_picture(path, content)


def read_dicom(path: str | Path) -> DicomImage:
    """Read one DICOM mammogram.

    Values are scaled to [0, 1] by the VOI LUT or (first) window where the file has one, otherwise
    by the range of the pixels that are not padding.

    Args:
        path: the DICOM file, with or without a preamble.

    Raises:
        DataError: naming the file, the field at fault and the fix.

    Source:
        DICOM PS3.3 C.7.6.3, C.8.11.3, C.11.1, C.11.2; pixel arithmetic by pydicom.
    """
    path = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning would quote raw values of the file
        header = _header(path, _bytes_of(path))
        bits = _checked_bits(path, header)
        stored = _stored_values(path, header, bits)
        padding = _padding(header, stored)
        image = _display_values(path, header, stored, padding)
    if header.get("PhotometricInterpretation") == "MONOCHROME1" or (
        header.get("PresentationLUTShape") == "INVERSE"
    ):
        image = 1.0 - image
    image[padding] = 0.0
    return DicomImage(
        np.ascontiguousarray(image, dtype=np.float32),
        spacing_mm=_spacing(path, header),
        view=_view(header),
        side=_side(header),
        modality=str(header.get("Modality") or "unknown"),
        bits=bits,
    )


def is_dicom(path: str | Path) -> bool:
    """Whether a file's content is DICOM, whatever its name.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    return _is_dicom(_bytes_of(Path(path)))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        msg = f"{path}: no such image file; check the path"
        raise DataError(msg) from None
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        raise DataError(msg) from error


def _is_dicom(content: bytes) -> bool:
    """Tell DICOM by its preamble, or by a first element of groups 0002 or 0008 without one."""
    if content[128:132] == b"DICM":
        return True
    if content[:2] not in (b"\x02\x00", b"\x08\x00") or len(content) < 64:
        return False
    (element,) = struct.unpack_from("<H", content, 2)
    return bool(element <= 0x0100)


def _header(path: Path, content: bytes) -> FileDataset:
    if not _is_dicom(content):
        msg = f"{path}: not a DICOM file (no DICM preamble); give a DICOM, PNG, JPEG or TIFF image"
        raise DataError(msg)
    try:
        header = dcmread(BytesIO(content), force=True, specific_tags=list(FIELDS))
    except (InvalidDicomError, *_READ_FAILURES) as error:
        msg = f"{path}: the DICOM header cannot be read; the file is damaged, copy it anew"
        raise DataError(msg) from error
    if "PixelData" not in header:
        msg = f"{path}: field PixelData is missing; the file is truncated or holds no image"
        raise DataError(msg)
    if "TransferSyntaxUID" not in header.file_meta:
        implicit = header.original_encoding[0]
        header.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )
    return header


def _checked_bits(path: Path, header: FileDataset) -> int:
    """Refuse what is not one grey frame of 8 to 16 bits; return the bits stored."""
    frames = _number(path, header, "NumberOfFrames", 1)
    if frames > 1:
        msg = (
            f"{path}: field NumberOfFrames is {frames:.0f}; tomosynthesis and other multi-frame "
            "files are not read, export one frame"
        )
        raise DataError(msg)
    photometric = str(header.get("PhotometricInterpretation"))
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        msg = (
            f"{path}: field PhotometricInterpretation is {photometric}; a mammogram is "
            "MONOCHROME1 or MONOCHROME2, export the grey image"
        )
        raise DataError(msg)
    bits = int(_number(path, header, "BitsStored", 0))
    if not 8 <= bits <= 16:
        msg = f"{path}: field BitsStored is {bits}; 8 to 16 bits are read, convert the file"
        raise DataError(msg)
    return bits


def _number(path: Path, header: FileDataset, field: str, default: float) -> float:
    value = header.get(field, default)
    if isinstance(value, (MultiValue, list)):
        value = value[0] if len(value) else default
    if value is None or value == "":
        return default
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        msg = f"{path}: field {field} is not a number; correct it or remove it"
        raise DataError(msg) from error


def _stored_values(path: Path, header: FileDataset, bits: int) -> NDArray[np.generic]:
    syntax = header.file_meta.TransferSyntaxUID
    try:
        stored: NDArray[np.generic] = header.pixel_array
    except _READ_FAILURES as error:
        if "plugins" in str(error) and "missing" in str(error):
            msg = (
                f"{path}: field TransferSyntaxUID is {syntax.name}, and no decoder of it is "
                "installed; install python-gdcm and pylibjpeg-openjpeg: "
                "pip install 'mammostudy[dicom]'"
            )
        else:
            msg = (
                f"{path}: field PixelData ({syntax.name}) does not decode to the image that Rows, "
                "Columns and BitsAllocated describe; the file is truncated or damaged, copy it anew"
            )
        raise DataError(msg) from error
    if stored.ndim != 2:
        msg = (
            f"{path}: field SamplesPerPixel: one grey sample a pixel is read, export the grey image"
        )
        raise DataError(msg)
    if stored.dtype.kind == "u":  # old files keep overlays in the bits above those stored
        stored = np.bitwise_and(stored, stored.dtype.type((1 << bits) - 1))
    return stored


def _padding(header: FileDataset, stored: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where the stored values are padding: bool (h, w)."""
    value = header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(stored.shape, dtype=bool)
    limit = header.get("PixelPaddingRangeLimit")
    limit = limit if isinstance(limit, int) else value
    ends = _as_stored(value, stored), _as_stored(limit, stored)
    wide = stored.astype(np.int64)
    return (wide >= min(ends)) & (wide <= max(ends))


def _as_stored(value: int, stored: NDArray[np.generic]) -> int:
    """Read a padding value in the sign of the pixels, whatever sign it was written in."""
    return int(np.array(value).astype(stored.dtype))  # wraps around, as two's complement does


def _display_values(
    path: Path, header: FileDataset, stored: NDArray[np.generic], padding: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Modality LUT or rescale, VOI LUT or window, scaled to [0, 1]; not yet inverted."""
    field = "ModalityLUTSequence" if header.get("ModalityLUTSequence") else "RescaleSlope"
    try:
        values = apply_modality_lut(stored, header)
        if header.get("VOILUTSequence"):
            field = "VOILUTSequence"
            bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
            shown = apply_voi(values, header) / float(2**bits - 1)
        elif _has_window(header):
            field = "WindowWidth"
            shown = _windowed(values, header)
        else:
            kept = values[~padding].astype(np.float64)
            low, high = (kept.min(), kept.max()) if kept.size else (0.0, 1.0)
            shown = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    except _READ_FAILURES as error:
        msg = f"{path}: field {field} cannot be applied; correct it or remove it"
        raise DataError(msg) from error
    if not np.isfinite(shown).all():
        msg = f"{path}: field {field} gives values that are not finite; correct it or remove it"
        raise DataError(msg)
    return np.asarray(np.clip(shown, 0.0, 1.0), dtype=np.float64)


def _has_window(header: FileDataset) -> bool:
    return all(header.get(field) not in (None, "") for field in ("WindowCenter", "WindowWidth"))


def _windowed(values: NDArray[np.generic], header: FileDataset) -> NDArray[np.float64]:
    """Apply the first window, and scale by the two ends of its output."""
    with np.errstate(over="ignore"):
        low, high = apply_windowing(np.array([-1e12, 1e12]), header)
    shown = apply_windowing(values, header)
    return np.asarray((shown - low) / (high - low), dtype=np.float64)


def _spacing(path: Path, header: FileDataset) -> float | None:
    for field in ("ImagerPixelSpacing", "PixelSpacing"):
        spacing = _number(path, header, field, 0.0)
        if spacing > 0.0 and np.isfinite(spacing):
            return spacing
    return None


def _view(header: FileDataset) -> str:
    """Read ViewPosition, or PatientOrientation, where CBIS-DDSM keeps its view."""
    for field in ("ViewPosition", "PatientOrientation"):
        view = str(header.get(field) or "").strip().upper()
        if view in VIEWS or (view and field == "ViewPosition"):
            return view if view in VIEWS else "other"
    return "unknown"


def _side(header: FileDataset) -> str:
    side = str(header.get("ImageLaterality") or header.get("Laterality") or "").strip().upper()
    return side if side in ("L", "R") else "unknown"

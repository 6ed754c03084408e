"""Open a DICOM file within bounds, and tell in fixed words what its header says.

Only the fields of :data:`FIELDS` are ever kept, and no text of them is repeated: what is not a
known word becomes ``other`` or ``unknown``. So a name or a date, in whatever field, stays on the
disk and cannot reach a message.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Collection, Iterator, MutableSequence
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import _read_file_meta_info, read_preamble

from mammostudy.data.images import MAX_PIXELS
from mammostudy.errors import DataError

_FIELDS: Final = """
    Modality PresentationIntentType ImageLaterality FrameLaterality Laterality ViewPosition
    ViewCodeSequence PatientOrientation FieldOfViewHorizontalFlip ImagerPixelSpacing PixelSpacing
    PixelSpacingCalibrationType NominalScannedPixelSpacing EstimatedRadiographicMagnificationFactor
    BurnedInAnnotation LossyImageCompression SamplesPerPixel PhotometricInterpretation
    PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit
    PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit RescaleSlope RescaleIntercept
    ModalityLUTSequence VOILUTSequence VOILUTFunction WindowCenter WindowWidth
    PresentationLUTShape PixelData
"""
FIELDS: Final = _FIELDS.split()
_GROUPS: Final = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_MAX_INFLATED: Final = 1 << 27  # bytes that a deflated file holds
_MAX_VALUE: Final = 1 << 20  # bytes of a field: room for several look-up tables
_VIEWS: Final = ("CC", "MLO", "ML", "LM")
_CODES: Final = {  # SNOMED CT and the older SNOMED RT of ViewCodeSequence (PS3.16 CID 4014)
    "399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO",
    "399260004": "ML", "R-10224": "ML", "399352003": "LM", "R-10228": "LM",
}  # fmt: skip
_MODALITIES: Final = "MG CR DX OT SC SR SEG CT MR US RF XA PX PT NM"
_SAID: Final = {
    "BurnedInAnnotation": ("YES", "text in the pixels may name the patient"),
    "LossyImageCompression": ("01", "grey values were changed before"),
    "PresentationIntentType": ("FOR PROCESSING", "raw values, not made for reading"),
    "FieldOfViewHorizontalFlip": ("YES", "the detector's image was mirrored"),
}


@contextmanager
def quiet() -> Iterator[None]:
    """Let the library neither warn nor log in this block; round threads it stands outside, too."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.disabled = before


@contextmanager
def guarded(path: Path, fault: str) -> Iterator[None]:
    """Turn whatever the library raises, warns of or logs into one message, quoting no file."""
    try:
        with quiet():
            yield
    except DataError:
        raise
    except Exception:
        raise DataError(f"{path}: {fault}") from None


def starts_as_dicom(head: bytes) -> bool:
    """Tell DICOM by its preamble, or by a first element of groups 0002 or 0008 without one."""
    bare = len(head) >= 64 and head[:2] in (b"\x02\x00", b"\x08\x00")
    return head[128:132] == b"DICM" or (bare and int.from_bytes(head[2:4], "little") <= 0x0100)


def read_header(path: Path, content: bytes) -> FileDataset:
    """Read the :data:`FIELDS` of a DICOM file that holds one grey frame; no other field is kept.

    What functional groups say of the frame (its window, spacing, rescale, side) stands among the
    fields; size, depth and number of frames are checked; nothing is decoded.
    """
    if not starts_as_dicom(content):
        raise DataError(f"{path}: no DICOM file (no preamble DICM); give a DICOM or picture file")
    with guarded(path, "the DICOM header cannot be read; the file is damaged, copy it anew"):
        file = BytesIO(content)
        read_preamble(file, force=True)
        syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        if syntax == uid.DeflatedExplicitVRLittleEndian:  # the library would fill the memory
            inflater.decompress(file.read(), _MAX_INFLATED)
            if not inflater.eof:
                raise DataError(f"{path}: deflated data that end early or are too many; copy anew")
        file.seek(0)
        header = dcmread(file, force=True, specific_tags=[*FIELDS, *_GROUPS])
        header.buffer = None  # the library would keep the whole file beside its pixels
        for name in {*FIELDS, *_GROUPS} - {"PixelData"}:  # as converting a long value would
            value = getattr(header.get_item(name), "value", None)
            if isinstance(value, bytes) and len(value) > _MAX_VALUE:
                raise DataError(f"{path}: field {name} is longer than a mammogram's; correct it")
        implicit = header.original_encoding[0]
        plain = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        header.file_meta.setdefault("TransferSyntaxUID", plain)
        for name in _GROUPS:  # of the only frame (C.7.6.16)
            groups = header.get(name)
            for element in groups[0].iterall() if groups else ():
                if element.keyword in FIELDS and element.keyword not in header:
                    header.add(element)
            header.pop(name, None)
        _check_image(path, header)
    return header


def _check_image(path: Path, header: FileDataset) -> None:
    of = partial(number, path, header)
    rows, columns, bits, allocated = map(of, ("Rows", "Columns", "BitsStored", "BitsAllocated"))
    grey = text(header, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
    plain = header.file_meta.TransferSyntaxUID in uid.UncompressedTransferSyntaxes
    whole = not plain or len(header.get("PixelData") or b"") >= rows * columns * allocated / 8
    small = min(rows, columns) >= 1 and rows * columns <= MAX_PIXELS
    sound = {
        "PixelData is missing": "PixelData" in header,
        "NumberOfFrames is more than 1 (tomosynthesis?)": of("NumberOfFrames", 1) <= 1,
        "PhotometricInterpretation is not MONOCHROME1 or 2": grey,
        "SamplesPerPixel is not 1": of("SamplesPerPixel", 1) == 1,
        f"Rows and Columns are not 1 to {MAX_PIXELS:,} pixels": small,
        "BitsStored is not 8 to 16, or more than BitsAllocated": 8 <= bits <= allocated,
        "BitsAllocated is not 8 or 16": allocated in (8, 16),
        "HighBit is not BitsStored - 1 (PS3.5 8.1.1)": of("HighBit", bits - 1) == bits - 1,
        "PixelData is cut off": whole,
    }
    for fault, is_sound in sound.items():
        if not is_sound:
            raise DataError(f"{path}: field {fault}; export one whole grey frame of 8 to 16 bits")


def values_of(header: Dataset, field: str) -> list[Any]:
    """Return the values of a field, of plain bytes its words; none where it is absent or empty."""
    value = header.get(field)
    if isinstance(value, bytes):
        order = "<" if header.original_encoding[1] in (True, None) else ">"
        return list(np.frombuffer(value, f"{order}u2", len(value) // 2))
    if isinstance(value, MutableSequence):
        return list(value)
    return [] if value in (None, "") else [value]


def number(path: Path, header: Dataset, field: str, default: float = 0.0) -> float:
    """Return the (first) number of a field, or the default where it is absent or empty."""
    with guarded(path, f"field {field} is not a number; correct it or remove it"):
        found = float([*values_of(header, field), default][0])
        if not np.isfinite(found):
            raise ValueError
        return found


def text(header: Dataset, field: str, words: Collection[str] = ()) -> str:
    """Return the (first) text of a field in capitals; of words, else ``other`` or ``unknown``."""
    said = ""
    with suppress(Exception):
        said = str([*values_of(header, field), ""][0] or "").strip().upper()
    return said if not words or said in words else ("other" if said else "unknown")


def facts_of(header: FileDataset) -> dict[str, Any]:
    """Return what a Mammogram says of its header, by the names of its attributes.

    Side is L, R or unknown (ImageLaterality, then Laterality). The chest wall is at the edge that
    PatientOrientation says, whose rows run from it to the front of the body (A) or back (P), else
    where a breast usually hangs: of left ones at the left.
    """
    laterality = [text(header, f"{of}Laterality") for of in ("Image", "Frame", "")]
    side = next((side for side in laterality if side in ("L", "R")), "unknown")
    usual = {"L": "left", "R": "right"}.get(side, "unknown")
    orientation = text(header, "PatientOrientation")
    views = [text(header, "ViewPosition", _VIEWS)]  # then as CBIS-DDSM has it, then the code
    views += [orientation] if orientation in _VIEWS else []
    with suppress(Exception):
        views.append(_CODES.get(str(header.ViewCodeSequence[0].CodeValue), "other"))
    spacing, notes = _spacing(header)
    for name, (value, why) in _SAID.items():
        if text(header, name) == value:
            notes.append(f"{name} is {value}: {why}")
    if {"L", "R"} <= set(laterality):
        notes.append("Laterality contradicts ImageLaterality, which is used")
    shape = text(header, "PresentationLUTShape", ("IDENTITY", "INVERSE"))
    contradicted = {"IDENTITY": "MONOCHROME1", "INVERSE": "MONOCHROME2"}.get(shape)
    if contradicted == text(header, "PhotometricInterpretation"):
        notes.append("PresentationLUTShape contradicts PhotometricInterpretation; inverted once")
    elif shape == "other":
        notes.append("PresentationLUTShape is not one that is known and is left out")
    return {
        "view": next((view for view in views if view != "unknown"), "unknown"),
        "side": side,
        "spacing_mm": spacing,
        "modality": text(header, "Modality", _MODALITIES.split()),
        "chest_wall": {"A": "left", "P": "right"}.get(orientation[:1], usual),
        "notes": notes,
    }


def _spacing(header: Dataset) -> tuple[float | None, list[str]]:
    """Return millimetres a pixel in the breast, and notes (PS3.3 10.7.1.3, C.8.11.7.1).

    A calibrated PixelSpacing counts first; then the spacing at the detector, divided by the
    magnification where that is said; then an uncalibrated PixelSpacing, and that of the film's
    scanner. What is not plausible is left out; zeros stand for unknown.
    """
    detector, image, scanner = "ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"
    factor = "EstimatedRadiographicMagnificationFactor"
    found: dict[str, float] = {}
    notes = []
    for name, least in {detector: 0.001, image: 0.001, scanner: 0.001, factor: 1.0}.items():
        pair = np.array([np.nan])
        with suppress(Exception):
            pair = np.array(values_of(header, name)[:2] or [0], dtype=float)
        if least <= pair[0] <= 10 and np.ptp(pair) <= 0.01 * pair[0]:
            found[name] = float(pair[0])
        elif pair[0] != 0:
            notes.append(f"{name} is not plausible, or not equal both ways, and is left out")
    magnification = found.pop(factor, 1.0)
    if detector in found:
        found[detector] /= magnification
    if image in found and text(header, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL"):
        found = {image: found[image]} | found  # corrected for where the breast lay
    used = next(iter(found), "")
    for name, spacing in found.items():
        if abs(spacing - found[used]) > 0.01 * found[used]:
            notes.append(f"{used} and {name} differ: {used} is used")
    return found.get(used), notes

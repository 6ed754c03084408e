"""What the header of a mammogram says of it: view, side, spacing, annotation, in fixed words.

Nothing here repeats a text of the file: what is not in a list of known words becomes ``other`` or
``unknown``, so that a name or a date written into any field stays on the disk.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from mammostudy.data.dicom_file import first_of, text

VIEWS: Final = ("CC", "MLO", "ML", "LM")
SPACINGS: Final = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
MODALITIES: Final = (
    "MG", "CR", "DX", "OT", "SC", "SR", "SEG", "CT", "MR", "US", "RF", "XA", "PX", "PT", "NM",
)  # fmt: skip
_CODES: Final = {  # SNOMED CT and the older SNOMED RT of ViewCodeSequence (PS3.16 CID 4014)
    "399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO",
    "399260004": "ML", "R-10224": "ML", "399352003": "LM", "R-10228": "LM",
}  # fmt: skip
_MAGNIFICATION: Final = "EstimatedRadiographicMagnificationFactor"
_PLAUSIBLE: Final = (0.001, 10.0)  # millimetres a pixel
USUAL_WALL: Final = {"L": "left", "R": "right"}
_SAID: Final = {
    ("BurnedInAnnotation", "YES"): "text in the pixels may name the patient",
    ("LossyImageCompression", "01"): "grey values were changed before",
    ("PresentationIntentType", "FOR PROCESSING"): "raw values, not made for reading",
    ("FieldOfViewHorizontalFlip", "YES"): "the detector's image was mirrored",
}


def spacing_of(header: Dataset) -> tuple[float | None, str | None, list[str]]:
    """Return millimetres a pixel in the breast, the field that says so, and notes.

    A calibrated PixelSpacing counts first; then the spacing at the detector, divided by the
    magnification where that is said; then an uncalibrated PixelSpacing, and that of the film's
    scanner. What is no two equal plausible numbers is left out; without any it is unknown.

    Source:
        DICOM PS3.3 10.7.1.3, C.8.11.7.1.
    """
    found: dict[str, float] = {}
    notes: list[str] = []
    for name in SPACINGS:
        try:
            pair = np.atleast_1d(header.get(name) or 0).astype(float)[:2]
        except Exception:
            pair = np.array([np.nan])
        if not _PLAUSIBLE[0] <= pair[0] <= _PLAUSIBLE[1] or np.ptp(pair) > 0.01 * pair[0]:
            if pair[0] != 0:  # zeros stand for unknown
                notes.append(f"{name} is not two equal plausible numbers and is left out")
            continue
        found[name] = float(pair[0])
    try:
        magnification = float(first_of(header, _MAGNIFICATION) or 1)
    except Exception:
        magnification = np.nan
    if not 1 <= magnification <= 10:
        notes.append(f"{_MAGNIFICATION} is not plausible and is left out")
    elif SPACINGS[0] in found:
        found[SPACINGS[0]] /= magnification
    calibration = text(header, "PixelSpacingCalibrationType")
    if calibration in ("GEOMETRY", "FIDUCIAL") and SPACINGS[1] in found:
        found = {SPACINGS[1]: found.pop(SPACINGS[1])} | found  # corrected for where the breast lay
    if not found:
        return None, None, notes
    used, *others = found
    for name in others:
        if abs(found[name] - found[used]) > 0.01 * found[used]:
            notes.append(f"{used} and {name} differ: {used} is used")
    return found[used], used, notes


def view_of(header: Dataset) -> str:
    """Return CC, MLO, ML, LM, other or unknown.

    Read from ViewPosition, then from PatientOrientation (where CBIS-DDSM keeps its view), then
    from ViewCodeSequence.
    """
    position = text(header, "ViewPosition", VIEWS)
    orientation = text(header, "PatientOrientation")
    if position != "unknown" or orientation in VIEWS:
        return position if position != "unknown" else orientation
    try:
        code = str(header.ViewCodeSequence[0].CodeValue)
    except Exception:
        return "unknown"
    return _CODES.get(code, "other")


def side_of(header: Dataset) -> tuple[str, list[str]]:
    """Return L, R or unknown (ImageLaterality, then Laterality), and a note where they differ."""
    said = [text(header, name) for name in ("ImageLaterality", "Laterality")]
    sides = [side for side in said if side in USUAL_WALL]
    note = "Laterality contradicts ImageLaterality, which is used"
    return (sides[0] if sides else "unknown"), [note] * (len(set(sides)) > 1)


def chest_wall_said(header: Dataset, side: str) -> str:
    """Return the edge, left or right, at which the header puts the chest wall; else unknown.

    PatientOrientation says where the rows run: to the front of the body (A) starts at the chest
    wall. Without it the usual hanging is assumed: left breasts have the chest wall at the left.
    """
    direction = text(header, "PatientOrientation")[:1]
    if direction in ("A", "P"):
        return "left" if direction == "A" else "right"
    return USUAL_WALL.get(side, "unknown")


def said_by(header: Dataset) -> list[str]:
    """Return what the header says that a reader should know, a fixed sentence each."""
    found = [f"{name} is {v}: {why}" for (name, v), why in _SAID.items() if text(header, name) == v]
    shape, photometric = (
        text(header, name) for name in ("PresentationLUTShape", "PhotometricInterpretation")
    )
    if {"IDENTITY": "MONOCHROME1", "INVERSE": "MONOCHROME2"}.get(shape) == photometric:
        found.append("PresentationLUTShape contradicts PhotometricInterpretation; inverted once")
    elif shape not in ("", "IDENTITY", "INVERSE"):
        found.append("PresentationLUTShape is not one that is known and is left out")
    return found

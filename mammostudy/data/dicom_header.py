"""What the header of a mammogram says of it: view, side, spacing, annotation, in fixed words.

Nothing here repeats a text of the file: what is not in a list of known words becomes ``other`` or
``unknown``, so that a name or a date written into any field stays on the disk.
"""

from __future__ import annotations

from typing import Any, Final

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
USUAL_WALL: Final = {"L": "left", "R": "right"}
_SAID: Final = {
    ("BurnedInAnnotation", "YES"): "text in the pixels may name the patient",
    ("LossyImageCompression", "01"): "grey values were changed before",
    ("PresentationIntentType", "FOR PROCESSING"): "raw values, not made for reading",
    ("FieldOfViewHorizontalFlip", "YES"): "the detector's image was mirrored",
}


def facts_of(header: Dataset) -> dict[str, Any]:
    """Return view, side, spacing_mm, modality, chest_wall_said and notes, as a Mammogram has them.

    Side is L, R or unknown (ImageLaterality, then Laterality). The chest wall is at the edge that
    PatientOrientation says, whose rows run from it to the front of the body (A) or back (P), else
    where a breast usually hangs: of left ones at the left.
    """
    laterality = [text(header, name) for name in ("ImageLaterality", "Laterality")]
    side = next((side for side in laterality if side in USUAL_WALL), "unknown")
    walls = {"A": "left", "P": "right"}
    usual = USUAL_WALL.get(side, "unknown")
    spacing, notes = _spacing(header)
    return {
        "view": _view(header),
        "side": side,
        "spacing_mm": spacing,
        "modality": text(header, "Modality", MODALITIES),
        "chest_wall_said": walls.get(text(header, "PatientOrientation")[:1], usual),
        "notes": (*_notes(header, set(laterality)), *notes),
    }


def _spacing(header: Dataset) -> tuple[float | None, list[str]]:
    """Return millimetres a pixel in the breast, and notes (PS3.3 10.7.1.3, C.8.11.7.1).

    A calibrated PixelSpacing counts first; then the spacing at the detector, divided by the
    magnification where that is said; then an uncalibrated PixelSpacing, and that of the film's
    scanner. What is no two equal plausible numbers is left out; without any it is unknown.
    """
    found: dict[str, float] = {}
    notes = []
    for name in SPACINGS:
        try:
            pair = np.atleast_1d(header.get(name) or 0).astype(float)[:2]
        except Exception:
            pair = np.array([np.nan])
        if 0.001 <= pair[0] <= 10 and np.ptp(pair) <= 0.01 * pair[0]:
            found[name] = float(pair[0])
        elif pair[0] != 0:  # zeros stand for unknown
            notes.append(f"{name} is not two equal plausible numbers and is left out")
    try:
        magnification = float(first_of(header, _MAGNIFICATION) or 1)
    except Exception:
        magnification = np.nan
    if not 1 <= magnification <= 10:
        notes.append(f"{_MAGNIFICATION} is not plausible and is left out")
    elif SPACINGS[0] in found:
        found[SPACINGS[0]] /= magnification
    calibrated = text(header, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL")
    if calibrated and SPACINGS[1] in found:
        found = {SPACINGS[1]: found.pop(SPACINGS[1])} | found  # corrected for where the breast lay
    used = next(iter(found), None)
    for name in found:
        if used and abs(found[name] - found[used]) > 0.01 * found[used]:
            notes.append(f"{used} and {name} differ: {used} is used")
    return found.get(str(used)), notes


def _view(header: Dataset) -> str:
    """Read ViewPosition, else PatientOrientation (so CBIS-DDSM), else ViewCodeSequence."""
    position, orientation = text(header, "ViewPosition", VIEWS), text(header, "PatientOrientation")
    if position != "unknown" or orientation in VIEWS:
        return position if position != "unknown" else orientation
    try:
        return _CODES.get(str(header.ViewCodeSequence[0].CodeValue), "other")
    except Exception:
        return "unknown"


def _notes(header: Dataset, laterality: set[str]) -> list[str]:
    """Return what the header says that a reader should know, a fixed sentence each."""
    found = [f"{name} is {v}: {why}" for (name, v), why in _SAID.items() if text(header, name) == v]
    if laterality == {"L", "R"}:
        found.append("Laterality contradicts ImageLaterality, which is used")
    shape = text(header, "PresentationLUTShape", ("IDENTITY", "INVERSE"))
    contradicted = {"IDENTITY": "MONOCHROME1", "INVERSE": "MONOCHROME2"}.get(shape)
    if contradicted == text(header, "PhotometricInterpretation"):
        found.append("PresentationLUTShape contradicts PhotometricInterpretation; inverted once")
    elif shape == "other":
        found.append("PresentationLUTShape is not one that is known and is left out")
    return found

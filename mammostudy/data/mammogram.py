"""Signs that a picture is no mammogram: another modality, colour, or a handful of grey levels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from mammostudy.data import dicom

MODALITIES: Final = ("MG", "CR", "DX", "OT", "")  # films digitised anew often say CR, DX or OT
LEVELS: Final = 16  # grey levels below which a picture is a mask or a drawing
COLOURED: Final = 4.0  # of 255, mean difference of the brightest and the darkest channel


def why_no_mammogram(path: Path, pixels: NDArray[np.uint16]) -> str | None:
    """Return why a file cannot be a mammogram, or None where nothing tells so.

    Args:
        path: the file, which decodes.
        pixels: uint16 ``(h, w)``, decoded.
    """
    levels = int(np.count_nonzero(np.bincount(pixels.ravel(), minlength=1)))
    if levels < LEVELS:
        return f"holds {levels} grey level(s); a mammogram holds many: is it a mask?"
    if dicom.is_dicom(path):
        modality = _modality(path)
        known = modality in MODALITIES
        return None if known else f"field Modality is {modality!r}; a mammogram's is MG"
    small = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    if small is not None:
        spread = small.max(axis=2).astype(np.float32) - small.min(axis=2)
        if float(spread.mean()) > COLOURED:
            return "is a picture in colour; a mammogram is grey"
    return None


def _modality(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning would quote raw values of the file
        header = dcmread(path, force=True, specific_tags=["Modality"], stop_before_pixels=True)
    return str(header.get("Modality") or "").strip().upper()[:16]

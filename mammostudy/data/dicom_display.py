"""From stored values to what a reader sees, in the standard's order of steps.

Stored values, modality LUT or rescale, VOI LUT or window, and only then the inversion. Every step
acts on a pixel's value alone, and a value has at most 16 bits: the steps are worked out once for
each value, in float64, and the image is looked up in the table that results.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_windowing

from mammostudy.data.dicom_file import FAILURES
from mammostudy.data.dicom_pixels import Stored, number, text
from mammostudy.errors import DataError

FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class Display:
    """The steps of display, worked out for each stored value.

    Attributes:
        modality: float64 (n,), after the modality LUT or rescale.
        voi: float64 (n,) in [0, 1], after the VOI LUT or window; not yet inverted.
        table: float32 (n,) in [0, 1], inverted where the file says so; padding 0.
        padding: bool (n,), the values that are padding.
        inverted: whether the last step inverted.
        step: which VOI step was applied, as ``window 1 of 2 (LINEAR)``, ``VOI LUT 1 of 1`` or
            ``range of the pixels``.
        counts: int (n,), pixels of each stored value.
    """

    modality: NDArray[np.float64]
    voi: NDArray[np.float64]
    table: NDArray[np.float32]
    padding: NDArray[np.bool_]
    inverted: bool
    step: str
    counts: NDArray[np.int64]


def display_of(path: Path, header: FileDataset, stored: Stored, window: int = 0) -> Display:
    """Work out the steps of display for a file.

    Args:
        path: the file, for messages.
        header: its fields.
        stored: its pixels.
        window: which of several windows or VOI LUTs, from 0.

    Raises:
        DataError: a field at fault; there is no such window.

    Source:
        DICOM PS3.3 C.7.5.1.1.2, C.8.11.3.1.5, C.11.1, C.11.2, C.11.6; windows by pydicom.
    """
    levels, counts = stored.levels(), stored.counts()
    padding = _padding(path, header, levels)
    field = "ModalityLUTSequence" if "ModalityLUTSequence" in header else "RescaleSlope"
    for name in ("RescaleSlope", "RescaleIntercept"):
        number(path, header, name, 0.0)
    try:
        modality = _modality(header, levels)
        field = "VOILUTSequence" if _tables(header) else "WindowWidth"
        voi, step = _voi(path, header, modality, (counts > 0) & ~padding, window)
    except FAILURES:
        msg = f"{path}: field {field} cannot be applied; correct it or remove it"
        raise DataError(msg) from None
    if not np.isfinite(voi).all():
        msg = f"{path}: field {field} gives values that are not finite; correct it or remove it"
        raise DataError(msg)
    voi = np.clip(voi, 0.0, 1.0)
    inverted = (
        text(header, "PhotometricInterpretation").upper() == "MONOCHROME1"
        or text(header, "PresentationLUTShape").upper() == "INVERSE"
    )
    table = 1.0 - voi if inverted else voi.copy()
    table[padding] = 0.0
    wide = np.asarray(modality, dtype=np.float64)
    return Display(wide, voi, table.astype(np.float32), padding, inverted, step, counts)


def _padding(path: Path, header: FileDataset, levels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which stored values are padding, whatever sign the padding value was written in."""
    ends = []
    for field in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        try:
            ends += [int(np.array(v).astype(levels.dtype)) for v in _integers(header, field)[:1]]
        except FAILURES:
            msg = f"{path}: field {field} is not a number; correct it or remove it"
            raise DataError(msg) from None
        if not ends:
            return np.zeros(levels.shape, dtype=bool)
    wide = levels.astype(np.int64)
    return (wide >= min(ends)) & (wide <= max(ends))


def _integers(header: Dataset, field: str) -> list[int]:
    """Return the integers of a field that may be written signed, unsigned or as plain bytes."""
    value = header.get(field)
    if value is None or value == "":
        return []
    if isinstance(value, (bytes, bytearray)):
        order = "<" if header.original_encoding[1] in (True, None) else ">"
        return [int(v) for v in np.frombuffer(value, f"{order}u2", len(value) // 2)]
    if isinstance(value, (MultiValue, list, tuple)):
        return [int(v) for v in value]
    return [int(value)]


def _modality(header: FileDataset, levels: NDArray[Any]) -> NDArray[Any]:
    if header.get("ModalityLUTSequence"):
        values, _ = _looked_up(header.ModalityLUTSequence[0], levels)
        return values
    given = [header.get(field) not in (None, "") for field in ("RescaleSlope", "RescaleIntercept")]
    if any(given) and not all(given):
        header.RescaleSlope = header.get("RescaleSlope") if given[0] else 1.0
        header.RescaleIntercept = header.get("RescaleIntercept") if given[1] else 0.0
    elif not any(given):
        for field in ("RescaleSlope", "RescaleIntercept"):
            header.pop(field, None)  # an empty field is no rescale
    values = np.asarray(apply_modality_lut(levels, header))
    if not np.isfinite(values).all() or (all(given) and float(header.RescaleSlope) == 0.0):
        msg = "not a rescale"
        raise ValueError(msg)
    return values


def _looked_up(item: Dataset, values: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
    """Look values up in a table (DICOM PS3.3 C.11.1.1, C.11.2.1.1); return its depth, too."""
    entries, first, bits = _integers(item, "LUTDescriptor")
    entries = (entries & 0xFFFF) or 1 << 16
    first &= 0xFFFF
    if first >= 1 << 15 and values.min() < 0:
        first -= 1 << 16
    value = item["LUTData"].value
    if isinstance(value, (bytes, bytearray)) and bits == 8 and len(value) in (
        entries, entries + entries % 2,
    ) and entries > 1:  # fmt: skip
        data = np.frombuffer(value, np.uint8, entries)
    else:
        data = np.asarray(_integers(item, "LUTData"), dtype=np.int64)
    if not 8 <= bits <= 16 or len(data) != entries:
        msg = "the table is not the one described"
        raise ValueError(msg)
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, entries - 1)
    return data.astype(np.float64)[index], int(bits)


def _tables(header: FileDataset) -> int:
    """Return how many VOI LUTs there are."""
    try:
        return len(header.get("VOILUTSequence") or ())
    except FAILURES:
        return 1  # one that cannot be read: the error names it


def _voi(
    path: Path, header: FileDataset, values: NDArray[Any], shown: NDArray[np.bool_], window: int
) -> tuple[NDArray[np.float64], str]:
    """Apply a VOI LUT, else a window, else the range of the values shown; scale to [0, 1]."""
    count = _tables(header) or _windows(path, header)
    if not 0 <= window < max(count, 1):
        msg = (
            f"{path}: window {window} was asked for, but the file has {count} windows or VOI LUTs; "
            "they count from 0"
        )
        raise DataError(msg)
    if _tables(header):
        looked_up, bits = _looked_up(header.VOILUTSequence[window], values)
        return looked_up / float(2**bits - 1), f"VOI LUT {window + 1} of {count}"
    if count:
        function = text(header, "VOILUTFunction").upper() or "LINEAR"
        if function not in FUNCTIONS:
            msg = f"{path}: field VOILUTFunction must be one of {', '.join(FUNCTIONS)}; correct it"
            raise DataError(msg)
        header.VOILUTFunction = function
        with np.errstate(over="ignore"):
            low, high = apply_windowing(np.array([-1e12, 1e12]), header, window)
            scaled = (apply_windowing(values, header, window) - low) / (high - low)
        return np.asarray(scaled, np.float64), f"window {window + 1} of {count} ({function})"
    kept = values[shown].astype(np.float64)
    low, high = (kept.min(), kept.max()) if kept.size else (0.0, 1.0)
    return (values.astype(np.float64) - low) / ((high - low) or 1.0), "range of the pixels"


def _windows(path: Path, header: FileDataset) -> int:
    """Return how many windows there are, each with a centre and a width."""
    counts = []
    for field in ("WindowCenter", "WindowWidth"):
        number(path, header, field, 0.0)
        value = header.get(field)
        several = isinstance(value, (MultiValue, list, tuple))
        counts.append(len(value) if several else int(value not in (None, "")))
    if counts[0] != counts[1] and min(counts):
        msg = f"{path}: fields WindowCenter and WindowWidth differ in number; correct them"
        raise DataError(msg)
    return min(counts)

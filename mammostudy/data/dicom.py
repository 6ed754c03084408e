"""Read mammograms: DICOM by content, PNG, JPEG and TIFF; one float32 grey image each.

The order of DICOM steps is the standard's: stored values, modality LUT or rescale, VOI LUT or
window, and only then the inversion of ``MONOCHROME1``. Every step acts on a pixel's value alone,
and a value has at most 16 bits: the steps are worked out once for each value, in float64, and the
image is looked up in the table that results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_windowing

from mammostudy.data import dicom_file, images
from mammostudy.data.dicom_file import guarded
from mammostudy.data.dicom_header import USUAL_WALL, facts_of
from mammostudy.errors import DataError

Value = TypeVar("Value", bound=np.generic)
_DAMAGED: Final = "the DICOM file is damaged; copy it anew"


@dataclass(frozen=True)
class Mammogram:
    """One image ready for use, and what its file says; of a picture most is unknown."""

    image: NDArray[np.float32]  # (h, w) in [0, 1]; dense tissue bright, padding 0
    notes: tuple[str, ...] = ()  # assumptions and warnings, fixed sentences that quote no file
    doubtful: bool = False  # a note doubts that it is a mammogram, or that it is shown rightly
    spacing_mm: float | None = None  # millimetres a pixel in the breast
    view: str = "unknown"  # CC, MLO, ML, LM, other
    side: str = "unknown"  # L, R
    modality: str = "unknown"  # MG for mammography, CR, DX, ..., other
    bits: int = 0  # stored, 8 to 16; 0 for a picture
    step: str = ""  # the VOI step applied, such as "window 1 of 2 (LINEAR)"
    transfer_syntax: str = ""  # how the pixels were stored, in the standard's words
    chest_wall_said: str = "unknown"  # edge, left or right, at which the header puts it
    chest_wall_seen: str = "unknown"  # edge at which the pixels show it

    @property
    def flipped(self) -> bool | None:
        """Whether the image is mirrored against the usual hanging; None where that is unknown.

        The pixels are never flipped by the reader: boxes and masks are in the file's own grid.
        """
        usual, wall = USUAL_WALL.get(self.side, "unknown"), self.chest_wall_seen
        wall = self.chest_wall_said if wall == "unknown" else wall
        return None if "unknown" in (usual, wall) else usual != wall


@dataclass(frozen=True)
class Stages:
    """One frame after each step, for pages that show the way from the file to the image."""

    stored: NDArray[np.integer[Any]]  # as the file holds them; bits above those stored are dropped
    modality: NDArray[np.float32]  # after the modality LUT or rescale
    voi: NDArray[np.float32]  # in [0, 1], after the VOI LUT or window
    image: NDArray[np.float32]  # in [0, 1], after the inversion, padding 0
    step: str  # the VOI step applied


def is_dicom(path: str | Path) -> bool:
    """Whether a file's content is DICOM, whatever its name."""
    return dicom_file.starts_as_dicom(images.bytes_of(Path(path), 132))


def read_image(path: str | Path) -> NDArray[np.float32]:
    """Read a mammogram as :func:`read_mammogram` does, its image alone."""
    return read_mammogram(path).image


def read_mammogram(path: str | Path) -> Mammogram:
    """Read a DICOM, PNG, JPEG or TIFF file, told by its content and not by its name."""
    path = Path(path)
    if is_dicom(path):
        return read_dicom(path)
    image, notes = images.decode_picture(path, images.bytes_of(path))
    return _judged(Mammogram(image, notes))


def read_dicom(path: str | Path) -> Mammogram:
    """Read one DICOM mammogram, with or without a preamble.

    Values are scaled to [0, 1] by the first VOI LUT or window where the file has one (a LUT before
    a window), otherwise by the range of the pixels that are not padding (DICOM PS3.3 C.7.6.3,
    C.8.11.3, C.11.1, C.11.2). A DataError names the file, the field at fault and the mend.
    """
    path = Path(path)
    with guarded(path, _DAMAGED):
        header, codes, steps, notes = _opened(path)
        facts = facts_of(header)
        read = Mammogram(
            **facts | {"notes": (*facts["notes"], *notes)},
            image=_mapped(codes, steps.image),
            bits=int(header.BitsStored),
            step=steps.step,
            transfer_syntax=dicom_file.syntax_of(header)[1],
        )
    return _judged(read)


def read_stored_values(path: str | Path) -> NDArray[np.integer[Any]]:
    """Read the stored values (h, w) of a DICOM file as they are, as masks need them."""
    return read_stages(path).stored


def read_stages(path: str | Path) -> Stages:
    """Read one DICOM mammogram and keep what each step makes of it, an array (h, w) each."""
    with guarded(Path(path), _DAMAGED):
        _, codes, steps, _ = _opened(Path(path))
    names = ("stored", "modality", "voi", "image")
    mapped: dict[str, Any] = {name: _mapped(codes, getattr(steps, name)) for name in names}
    return replace(steps, **mapped)


def _opened(
    path: Path,
) -> tuple[FileDataset, NDArray[np.unsignedinteger[Any]], Stages, list[str]]:
    """Return the fields, the stored bits (h, w), the steps as tables by those bits, and notes."""
    header = dicom_file.read_header(path, images.bytes_of(path))
    pixels, notes = dicom_file.stored_pixels(path, header)
    kind, bits = np.dtype(f"u{pixels.dtype.itemsize}"), int(header.BitsStored)
    codes = pixels.view(kind) & kind.type((1 << bits) - 1)
    numbers = np.arange(1 << bits, dtype=np.int64)
    if pixels.dtype.kind == "i":
        numbers[len(numbers) // 2 :] -= len(numbers)
    levels = numbers.astype(pixels.dtype)
    held = np.zeros(len(levels), bool)
    for row in codes:
        held[row] = True
    padding = _padding(path, header, levels)
    modality = _modality(path, header, levels)
    voi, step, more = _voi(path, header, modality, held & ~padding)
    photometric, shape = (
        dicom_file.text(header, name)
        for name in ("PhotometricInterpretation", "PresentationLUTShape")
    )
    inverted = photometric == "MONOCHROME1" or shape == "INVERSE"
    image = np.where(padding, 0.0, 1.0 - voi if inverted else voi).astype(np.float32)
    steps = Stages(levels, modality.astype(np.float32), voi.astype(np.float32), image, step)
    return header, codes, steps, notes + more


def _mapped(codes: NDArray[np.unsignedinteger[Any]], table: NDArray[Value]) -> NDArray[Value]:
    """Look up the image (h, w) in a table, by rows: the indices are eight bytes each."""
    return np.stack([table[row] for row in codes])


def _integers(header: Dataset, name: str) -> list[int]:
    """Return the integers of a field that may be written signed, unsigned or as plain bytes."""
    value = header.get(name)
    if value is None or value == "":
        return []
    if isinstance(value, (bytes, bytearray)):
        order = "<" if header.original_encoding[1] in (True, None) else ">"
        return [int(v) for v in np.frombuffer(value, f"{order}u2", len(value) // 2)]
    return [int(v) for v in value] if isinstance(value, (MultiValue, list)) else [int(value)]


def _padding(path: Path, header: FileDataset, levels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which stored values are padding, whatever sign the padding value was written in."""
    with guarded(path, "field PixelPaddingValue is not a number; correct it or remove it"):
        first = _integers(header, "PixelPaddingValue")[:1]
        last = _integers(header, "PixelPaddingRangeLimit")[:1] or first
        if not first:
            return np.zeros(levels.shape, dtype=bool)
        low, high = np.sort(np.array(first + last).astype(levels.dtype))
        return np.asarray((levels >= low) & (levels <= high))


def _modality(path: Path, header: FileDataset, levels: NDArray[Any]) -> NDArray[np.float64]:
    with guarded(path, "field ModalityLUTSequence cannot be applied; correct it or remove it"):
        if header.get("ModalityLUTSequence"):
            return _looked_up(header.ModalityLUTSequence[0], levels)[0]
    slope = dicom_file.number(path, header, "RescaleSlope", 1.0)
    values = levels.astype(np.float64) * slope + dicom_file.number(
        path, header, "RescaleIntercept", 0.0
    )
    if slope == 0.0 or not np.isfinite(values).all():
        raise DataError(f"{path}: field RescaleSlope cannot be applied; correct it or remove it")
    return np.asarray(values)


def _looked_up(
    item: Dataset, values: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Look values up in a table (PS3.3 C.11.1.1, C.11.2.1.1); return its entries and depth, too."""
    count, first, bits = _integers(item, "LUTDescriptor")
    count, first = (count & 0xFFFF) or 1 << 16, first & 0xFFFF
    if first >= 1 << 15 and values.min() < 0:
        first -= 1 << 16
    value = item["LUTData"].value
    packed = isinstance(value, bytes) and bits == 8 and len(value) in (count, count + count % 2)
    listed = np.frombuffer(value, np.uint8, count) if packed else _integers(item, "LUTData")
    entries = np.asarray(listed, dtype=np.int64)
    if not 8 <= bits <= 16 or len(entries) != count:
        raise ValueError
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, count - 1)
    return entries.astype(np.float64)[index], entries, bits


def _voi(
    path: Path, header: FileDataset, values: NDArray[np.float64], shown: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], str, list[str]]:
    """Apply a VOI LUT, else a window, else the range of the values shown; scale to [0, 1]."""
    with guarded(path, "field VOILUTSequence cannot be applied; correct it or remove it"):
        if tables := header.get("VOILUTSequence"):
            looked_up, entries, bits = _looked_up(tables[0], values)
            depth = min(bits, images.depth_of(int(entries.max())))
            note = f"the VOI LUT says {bits} bits and holds {depth}: scaled by those"
            scaled = np.clip(looked_up / (2.0**depth - 1), 0, 1)
            return scaled, f"VOI LUT 1 of {len(tables)}", [note] * (depth < bits)
    fault = "WindowCenter, WindowWidth or VOILUTFunction cannot be applied; correct or remove them"
    with guarded(path, f"field {fault}"):
        windows = [dicom_file.first_of(header, name) for name in ("WindowCenter", "WindowWidth")]
        if None in windows:
            kept = values[shown]
            low, high = (kept.min(), kept.max()) if kept.size else (0.0, 1.0)
            return np.clip((values - low) / ((high - low) or 1.0), 0, 1), "range of the pixels", []
        function, notes = dicom_file.text(header, "VOILUTFunction") or "LINEAR", []
        if function == "LINEAR" and 0 < windows[1] < 1:  # PS3.3 C.11.2.1.2.1 defines none
            function = "LINEAR_EXACT"
            notes = ["WindowWidth is below 1: applied as LINEAR_EXACT, for LINEAR is 1 or more"]
        header.VOILUTFunction = function
        low, high = apply_windowing(np.array([-1e12, 1e12]), header)
        scaled = np.asarray((apply_windowing(values, header) - low) / (high - low))
        if not np.isfinite(scaled).all():
            raise ValueError
        step = f"window 1 of {header['WindowCenter'].VM} ({function})"
        return np.clip(scaled, 0, 1), step, notes


def _judged(read: Mammogram) -> Mammogram:
    """Set what is read against its pixels, and note what they contradict."""
    image = read.image
    bright = images.background_is_bright(image)
    seen = "unknown" if bright else images.chest_wall_seen(image)
    flat = not image.any() or (image.min() == image.max() and image.size > 1)
    doubts = {
        "the background is bright: the grey values may be inverted": bright,
        f"Modality is {read.modality}, not MG: it may be no mammogram": (
            read.modality not in ("MG", "unknown")
        ),
        f"every pixel has one grey value after {read.step or 'reading'}": flat,
    }
    notes = [doubt for doubt, applies in doubts.items() if applies]
    doubtful = bool(notes)
    notes += read.notes
    if "unknown" not in (read.chest_wall_said, seen) and read.chest_wall_said != seen:
        notes.append("the breast lies at the other edge than the header says: flipped, or its side")
    return replace(read, notes=tuple(notes), doubtful=doubtful, chest_wall_seen=seen)

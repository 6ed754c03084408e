"""Read mammograms: DICOM by content, PNG, JPEG and TIFF; one float32 grey image each.

The order of DICOM steps is the standard's: stored values, modality LUT or rescale, VOI LUT or
window, and only then the inversion of ``MONOCHROME1``. Every step acts on a pixel's value alone,
and a value has at most 16 bits: the steps are worked out once for each value, in float64, and the
image is looked up in the table that results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_windowing
from pydicom.pixels.utils import pixel_array

from mammostudy.data import dicom_file, images
from mammostudy.data.dicom_file import guarded, number, text, values_of
from mammostudy.data.gdcm_worker import decoded_apart
from mammostudy.errors import DataError

Integers = NDArray[np.integer[Any]]
Levels = NDArray[np.float64]
_POLARITY: Final = ("PhotometricInterpretation", "PresentationLUTShape")
_DAMAGED: Final = "the DICOM file is damaged; copy it anew"
_PLUGINS: Final = ("pylibjpeg", "gdcm", "pyjpegls", "pillow")  # the first installed one decodes
_WHOLE: Final = "whole numbers were scaled by the least of 10, 12, 14 and 16 bits that holds them"


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
    step: str = ""  # the VOI step applied, such as "window 1 of 2 (LINEAR)"
    chest_wall: str = "unknown"  # edge, left or right, where the pixels show it or else the header
    flipped: bool | None = None  # mirrored against the usual hanging; the pixels are left as stored


def read_mammogram(path: str | Path, content: bytes | None = None) -> Mammogram:
    """Read a DICOM, PNG, JPEG or TIFF file, told by its content and not by its name."""
    path = Path(path)
    content = images.bytes_of(path) if content is None else content
    if dicom_file.starts_as_dicom(content):
        return read_dicom(path, content)
    return judged(*images.decode_picture(path, content))


def read_array(array: NDArray[Any]) -> Mammogram:
    """Read grey values: floats in [0, 1], uint8, or whole numbers as a 16-bit picture has them."""
    known = array.ndim == 2 and array.size and array.dtype.kind in "biuf"
    of_files = array.dtype in (np.uint8, np.uint16)  # of other whole numbers 1 may be white
    if known and ((array >= 0) & (array <= 1)).all() and not of_files:
        return judged(array.astype(np.float32), ())
    if known and array.dtype.kind in "iu" and array.min() >= 0 and array.max() < 1 << 16:
        image, notes = images.unit(array)
        return judged(image, notes if array.dtype == np.uint8 else (*notes, _WHOLE))
    told = "finite values in [0, 1], or whole numbers from 0 to 65535 (uint8: to 255)"
    raise DataError(f"image: an array must be (h, w) of {told}")


def read_dicom(path: Path, content: bytes | None = None) -> Mammogram:
    """Read one DICOM mammogram, with or without a preamble.

    Values are scaled to [0, 1] by the first VOI LUT or window where the file has one (a LUT before
    a window), otherwise by the range of the pixels that are not padding (DICOM PS3.3 C.7.6.3,
    C.8.11.3, C.11.1, C.11.2). A DataError names the file, the field at fault and the mend.
    """
    with guarded(path, _DAMAGED):
        header = dicom_file.read_header(path, content or images.bytes_of(path))
        facts = dicom_file.facts_of(header)
        codes, levels = _stored(path, header, facts["notes"])
        count, padding = len(levels), _padding(path, header, levels)
        shown = cv2.calcHist([codes], [0], None, [count], [0, count]).ravel() * ~padding
        values = _modality(path, header, levels)
        shown, step = _voi(path, header, values, shown, facts["notes"])
        shown = 1.0 - shown if _is_negative(header) else shown
        image = _mapped(codes, np.where(padding, 0.0, shown).astype(np.float32))
    return judged(image, step=step, **facts)


def read_stored_values(path: Path) -> NDArray[np.integer[Any]]:
    """Read the stored values (h, w) of a DICOM file as they are, as masks need them."""
    with guarded(path, _DAMAGED):
        return _mapped(*_stored(path, dicom_file.read_header(path, images.bytes_of(path)), []))


def _mapped(codes: Integers, table: NDArray[Any]) -> NDArray[Any]:
    """Look up the image (h, w) in a table, by rows: the indices are eight bytes each."""
    row_type = np.dtype((table.dtype, codes.shape[1:]))
    return np.fromiter((table[row] for row in codes), row_type, len(codes))


def _stored(path: Path, header: FileDataset, notes: list[str]) -> tuple[Integers, Integers]:
    """Decode the frame of a header, which loses it, to unsigned codes; return their values, too."""
    shape, bits = (int(header.Rows), int(header.Columns)), int(header.BitsStored)
    width, size = int(header.BitsAllocated) // 8, shape[0] * shape[1]
    kind = "i" if number(path, header, "PixelRepresentation") else "u"
    syntax = uid.UID(str(header.file_meta.TransferSyntaxUID))
    name = "not a standard transfer syntax" if syntax.name == syntax else syntax.name
    needed = "pylibjpeg-openjpeg" if "2000" in name else "python-gdcm"
    mend = f"run pip install 'mammostudy[dicom]' for {needed}, or convert" * ("JPEG" in name)
    mend = f"{mend or 'convert'} to Explicit VR Little Endian"
    with guarded(path, f"field TransferSyntaxUID ({name}) has no decoder here; {mend}"):
        own = not syntax.is_encapsulated or syntax == uid.RLELossless  # pydicom itself decodes it
        available = get_decoder(syntax).available_plugins
        plugin = "" if own else next(each for each in _PLUGINS if each in available)
    fault = f"field PixelData ({name}) does not decode to Rows x Columns of BitsAllocated"
    with guarded(path, f"{fault}; the file is truncated, damaged or of a rare variant"):
        if not syntax.is_encapsulated and len(header.PixelData) > size * width + 1:
            notes.append("PixelData is longer than Rows and Columns say: the rest is left out")
        if not own and b"\xff\xd9" not in header.PixelData:  # decoders fill in what is cut off
            raise ValueError
        seconds = 10 + size / 1e6
        pixels = pixel_array(header, index=0) if own else decoded_apart(path, plugin, seconds)
        if pixels.shape != shape:
            raise ValueError
        del header.PixelData
        codes = pixels.astype(f"u{width}", copy=False) & ((1 << bits) - 1)
    spare = 8 * width - bits  # shifted there and back, the sign is carried on
    return codes, (np.arange(1 << bits) << spare).astype(f"{kind}{width}") >> spare


def _padding(path: Path, header: FileDataset, levels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which stored values are padding, whatever sign the padding value was written in."""
    with guarded(path, "field PixelPaddingValue is not a number; correct it or remove it"):
        said = values_of(header, "PixelPaddingValue")[:1]
        said += values_of(header, "PixelPaddingRangeLimit")[: len(said)]
        ends = np.array(said or [0], np.int64).astype(levels.dtype)
        return np.asarray((levels >= ends.min()) & (levels <= ends.max()) & bool(said))


def _modality(path: Path, header: FileDataset, levels: NDArray[Any]) -> Levels:
    with guarded(path, "field ModalityLUTSequence cannot be applied; correct it or remove it"):
        if header.get("ModalityLUTSequence"):
            return _looked_up(header.ModalityLUTSequence[0], levels)[0]
    slope = number(path, header, "RescaleSlope", 1.0)
    values = levels.astype(np.float64) * slope + number(path, header, "RescaleIntercept")
    if slope == 0.0 or not np.isfinite(values).all():
        raise DataError(f"{path}: field RescaleSlope cannot be applied; correct it or remove it")
    return np.asarray(values)


def _is_negative(header: FileDataset) -> bool:
    return bool({text(header, name) for name in _POLARITY} & {"MONOCHROME1", "INVERSE"})


def _looked_up(item: Dataset, values: NDArray[Any]) -> tuple[Levels, int, int]:
    """Look values up in a table (PS3.3 C.11.1.1, C.11.2.1.1); return its depth and highest, too.

    pydicom's own functions refuse a modality LUT of 10 to 14 bits and entries packed in bytes, take
    an unsigned first value as it stands where values are negative, and wrap what lies beyond it.
    """
    count, first, bits = map(int, values_of(item, "LUTDescriptor"))
    count, first = (count & 0xFFFF) or 1 << 16, first & 0xFFFF
    if first >= 1 << 15 and values.min() < 0:
        first -= 1 << 16
    value = item["LUTData"].value
    packed = isinstance(value, bytes) and bits == 8 and len(value) in (count, count + count % 2)
    entries = np.array(list(value[:count]) if packed else values_of(item, "LUTData"), np.int64)
    if not 8 <= bits <= 16 or len(entries) != count:
        raise ValueError
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, count - 1)
    return entries.astype(np.float64)[index], bits, int(entries.max())


def _voi(
    path: Path, header: FileDataset, values: Levels, counts: NDArray[Any], notes: list[str]
) -> tuple[Levels, str]:
    """Apply a VOI LUT, else a window, else the range of the values counted; scale to [0, 1]."""
    with guarded(path, "field VOILUTSequence cannot be applied; correct it or remove it"):
        if tables := header.get("VOILUTSequence"):
            looked_up, bits, highest = _looked_up(tables[0], values)
            if (depth := max(8, highest.bit_length())) != bits:
                notes.append(f"the VOI LUT says {bits} bits and holds {depth}: scaled by those")
            return np.clip(looked_up / (2.0**depth - 1), 0, 1), f"VOI LUT 1 of {len(tables)}"
    fault = "WindowCenter, WindowWidth or VOILUTFunction cannot be applied; correct or remove them"
    with guarded(path, f"field {fault}"):
        centers, widths = (values_of(header, name) for name in ("WindowCenter", "WindowWidth"))
        step = "range of the pixels"
        if centers and widths:
            function = text(header, "VOILUTFunction") or "LINEAR"
            if function == "LINEAR" and 0 < widths[0] < 1:  # PS3.3 C.11.2.1.2.1 defines none
                function = "LINEAR_EXACT"
                notes.append("WindowWidth is below 1, where LINEAR is not: shown as LINEAR_EXACT")
            header.VOILUTFunction, step = function, f"window 1 of {len(centers)} ({function})"
            low, high = apply_windowing(np.array([-1e12, 1e12]), header)
            values = apply_windowing(values, header)
        else:
            kept = values[counts > 0] if counts.any() else values  # nothing but padding
            low, high = kept.min(), images.highest_but_label(kept, counts[counts > 0])
            if _is_negative(header):  # where the lowest values are shown bright
                low = -images.highest_but_label(-kept, counts[counts > 0])
            if low > kept.min() or high < kept.max():
                notes.append(images.LABELLED)
            high += float(low == high)
        scaled = (values - low) / (high - low)
        if not np.isfinite(scaled).all():
            raise ValueError
        return np.clip(scaled, 0, 1), step


def judged(image: NDArray[np.float32], notes: Iterable[str], **facts: Any) -> Mammogram:
    """Set what is read against its pixels, and note what they contradict."""
    read = Mammogram(image, **facts)
    edges = (image[0], image[-1], image[:, 0], image[:, -1])  # two or more show the background
    bright = float((np.concatenate(edges) > 0.9).mean()) > 0.5
    seen = "unknown" if bright else images.chest_wall_seen(image)
    other = read.modality not in ("MG", "unknown")
    doubts = {
        "the background is bright: the grey values may be inverted": bright,
        f"Modality is {read.modality}, not MG: it may be no mammogram": other,
        f"every pixel has one grey value after {read.step or 'reading'}": np.ptp(image) == 0,
    }
    found = [doubt for doubt, applies in doubts.items() if applies]
    doubtful = bool(found)
    found += notes
    if {read.chest_wall, seen} == {"left", "right"}:
        found.append("the breast lies at the other edge than the header says: flipped, or its side")
    wall = read.chest_wall if seen == "unknown" else seen
    flipped = None if "unknown" in (read.side, wall) else read.side != wall[0].upper()
    return replace(read, notes=tuple(found), doubtful=doubtful, chest_wall=wall, flipped=flipped)

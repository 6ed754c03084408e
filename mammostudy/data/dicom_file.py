"""Open a DICOM file within bounds, keep the fields that are needed, and decode its frame.

pydicom parses and decodes. Only the fields of :data:`FIELDS` are ever kept: names, identifiers and
dates stay on the disk and cannot reach a message. JPEG of any kind is decoded in a process of its
own (:mod:`mammostudy.data.gdcm_worker`).
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array

from mammostudy.data.images import MAX_PIXELS
from mammostudy.errors import DataError

FIELDS: Final = [
    "Modality", "PresentationIntentType", "ImageLaterality", "Laterality", "ViewPosition",
    "ViewCodeSequence", "PatientOrientation", "FieldOfViewHorizontalFlip", "ImagerPixelSpacing",
    "PixelSpacing", "PixelSpacingCalibrationType", "NominalScannedPixelSpacing",
    "EstimatedRadiographicMagnificationFactor", "BurnedInAnnotation", "LossyImageCompression",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept",
    "ModalityLUTSequence", "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth",
    "PresentationLUTShape", "PixelData",
]  # fmt: skip
_GROUPS: Final = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_PLUGINS: Final = ("pylibjpeg", "gdcm", "pyjpegls", "pillow")  # the first installed one decodes
_INSTALL: Final = "run pip install 'mammostudy[dicom]', or convert to Explicit VR Little Endian"
_WORKER: Final = str(Path(__file__).with_name("gdcm_worker.py"))
_MAX_INFLATED: Final = 1 << 27  # bytes that a deflated file holds
_MAX_VALUE: Final = 1 << 20  # bytes of a field: room for several look-up tables
_SECONDS: Final = 10.0  # a decoder may take, and one more a million pixels


@contextmanager
def guarded(path: Path, fault: str) -> Iterator[None]:
    """Turn whatever the library raises, warns of or logs into one message, quoting no file."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception:
        raise DataError(f"{path}: {fault}") from None
    finally:
        logger.disabled = before


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
        _check_inflated(path, file)
        header = dcmread(file, force=True, specific_tags=[*FIELDS, *_GROUPS])
        header.buffer = None  # the library would keep the whole file beside its pixels
        for name in {*FIELDS, *_GROUPS} - {"PixelData"}:  # converting it would fill the memory
            value = getattr(header.get_item(name), "value", None)
            if isinstance(value, bytes) and len(value) > _MAX_VALUE:
                raise DataError(f"{path}: field {name} is longer than a mammogram's; correct it")
        implicit = header.original_encoding[0]
        plain = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        header.file_meta.setdefault("TransferSyntaxUID", plain)
        _unfold_groups(header)
        _check_image(path, header)
    return header


def _check_inflated(path: Path, file: BytesIO) -> None:
    """Refuse a deflated file that inflates to more than is read, before the library does it."""
    read_preamble(file, force=True)
    syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflater.decompress(file.read(), _MAX_INFLATED)
        if not inflater.eof:
            most = f"{_MAX_INFLATED >> 20} MiB"
            raise DataError(f"{path}: the deflated data end early or inflate to more than {most}")
    file.seek(0)


def _unfold_groups(header: FileDataset) -> None:
    """Put what the functional groups say of the only frame beside the other fields (C.7.6.16)."""
    for name in _GROUPS:
        groups = header.get(name)
        header.pop(name, None)
        for macro in groups[0] if groups else ():
            for element in macro.value[0] if macro.VR == "SQ" and macro.value else ():
                if element.keyword == "FrameLaterality":
                    header.setdefault("ImageLaterality", element.value)
                elif element.keyword in FIELDS and element.keyword not in header:
                    header.add(element)


def first_of(header: Dataset, field: str) -> Any:
    """Return the (first) value of a field, None where it is absent or empty."""
    value = header.get(field)
    several = value is not None and header[field].VM != 1
    return (value[0] if len(value) else None) if several else value


def number(path: Path, header: Dataset, field: str, default: float) -> float:
    """Return the (first) number of a field, or the default where it is absent or empty."""
    with guarded(path, f"field {field} is not a number; correct it or remove it"):
        value = first_of(header, field)
        found = float(default if value in (None, "") else value)
        if not np.isfinite(found):
            raise ValueError
        return found


def text(header: Dataset, field: str, words: tuple[str, ...] = ()) -> str:
    """Return the (first) text of a field in capitals; empty where it is absent or no text.

    Where the words are given, another text is ``other`` and none is ``unknown``.
    """
    try:
        said = str(first_of(header, field) or "").strip().upper()
    except Exception:
        said = ""
    return said if not words or said in words else ("other" if said else "unknown")


def _check_image(path: Path, header: FileDataset) -> None:
    rows, columns, bits, allocated, samples, frames = (
        number(path, header, name, usual)
        for name, usual in (
            ("Rows", 0), ("Columns", 0), ("BitsStored", 0), ("BitsAllocated", 0),
            ("SamplesPerPixel", 1), ("NumberOfFrames", 1),
        )
    )  # fmt: skip
    sound = {
        "PixelData is missing; the file is cut off or holds no image": "PixelData" in header,
        "NumberOfFrames is more than 1 (tomosynthesis?); export one frame": frames <= 1,
        "PhotometricInterpretation is not MONOCHROME1 or 2; export the grey image": (
            text(header, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
        ),
        "SamplesPerPixel is not 1; export the grey image": samples == 1,
        f"Rows and Columns must be 1 to {MAX_PIXELS:,} pixels; export the image smaller": (
            min(rows, columns) >= 1 and rows * columns <= MAX_PIXELS
        ),
        "BitsStored is not 8 to 16, or BitsAllocated not 8 or 16 and enough; convert the file": (
            8 <= bits <= allocated and allocated in (8, 16)
        ),
        "HighBit is not BitsStored - 1 (PS3.5 8.1.1); convert the file": (
            number(path, header, "HighBit", bits - 1) == bits - 1
        ),
    }
    for fault, is_sound in sound.items():
        if not is_sound:
            raise DataError(f"{path}: field {fault}")


def syntax_of(header: FileDataset) -> tuple[uid.UID, str]:
    """Return the transfer syntax and its name; what the standard does not know is not repeated."""
    syntax = uid.UID(str(header.file_meta.TransferSyntaxUID))
    return syntax, "not a standard transfer syntax" if syntax.name == syntax else syntax.name


def stored_pixels(path: Path, header: FileDataset) -> tuple[NDArray[np.integer[Any]], list[str]]:
    """Decode the frame (h, w) of a header, which loses its pixel data; return notes, too.

    The integers have BitsAllocated bits; those above BitsStored are as in the file.
    """
    shape, width = (int(header.Rows), int(header.Columns)), int(header.BitsAllocated) // 8
    syntax, name = syntax_of(header)
    with guarded(path, f"field TransferSyntaxUID ({name}) has no decoder here; {_INSTALL}"):
        own = not syntax.is_encapsulated or syntax == uid.RLELossless  # pydicom itself decodes it
        available = get_decoder(syntax).available_plugins
        plugin = "" if own else next(each for each in _PLUGINS if each in available)
    fault = f"field PixelData ({name}) does not decode to Rows x Columns of BitsAllocated"
    with guarded(path, f"{fault}; the file is truncated, damaged or of a rare variant"):
        data = header["PixelData"].value
        notes = []
        if not syntax.is_encapsulated and len(data) > shape[0] * shape[1] * width + 1:
            notes = ["PixelData is longer than Rows and Columns say: the rest is left out"]
        if not own and b"\xff\xd9" not in data:  # decoders fill in what is cut off
            raise ValueError
        pixels = pixel_array(header, index=0) if own else _decoded_apart(path, shape, plugin)
        if pixels.shape != shape:
            raise ValueError
        dtype = np.dtype(f"{'i' if number(path, header, 'PixelRepresentation', 0) else 'u'}{width}")
        del header.PixelData
        return pixels.astype(dtype, copy=False), notes


def _decoded_apart(path: Path, shape: tuple[int, int], plugin: str) -> NDArray[Any]:
    """Decode in a process of its own, which damaged data may end, fill or never let end."""
    with tempfile.TemporaryFile() as decoded:  # a pipe would hold the pixels twice
        done = subprocess.run(
            [sys.executable, "-P", _WORKER, str(path), plugin],
            stdout=decoded,
            stderr=subprocess.PIPE,
            check=True,
            timeout=_SECONDS + shape[0] * shape[1] / 1e6,
        )
        if b"Corrupt JPEG data" in done.stderr:
            raise ValueError
        decoded.seek(0)
        return np.asarray(np.load(decoded))

"""Read mammograms: DICOM by content, PNG, JPEG and TIFF; one float32 grey image each.

The order of DICOM steps is the standard's: stored values, modality LUT or rescale, VOI LUT or
window, and only then the inversion of ``MONOCHROME1``. Only the fields that
:data:`mammostudy.data.dicom_file.FIELDS` names are ever read from a DICOM file: names, identifiers
and dates stay on the disk and cannot reach a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from mammostudy.data import dicom_header as said
from mammostudy.data.dicom_decoders import syntax_name
from mammostudy.data.dicom_display import Display, display_of
from mammostudy.data.dicom_file import bytes_of, read_header, silenced, starts_as_dicom
from mammostudy.data.dicom_pixels import Stored, stored_values
from mammostudy.data.pictures import decode_picture

VIEWS: Final = said.VIEWS
VERSION = 1  # recipe version: raised when the pixels read change


@dataclass(frozen=True)
class DicomImage:
    """One frame of a DICOM file, ready for use.

    Attributes:
        image: float32 (h, w) in [0, 1]; dense tissue bright, padding 0.
        spacing_mm: millimetres a pixel, or None where the file does not say.
        view: CC, MLO, ML, LM, other or unknown.
        side: L, R or unknown.
        modality: the DICOM modality code, ``MG`` for mammography.
        bits: bits stored, 8 to 16.
        spacing_from: the field that gave the spacing, or None.
        step: the VOI step applied, such as ``window 1 of 2 (LINEAR)``.
        inverted: whether the grey values were inverted last.
        transfer_syntax: how the pixels were stored, in the standard's words.
        chest_wall_said: edge at which the header puts the chest wall: left, right or unknown.
        chest_wall_seen: edge at which the pixels show it.
        burned_in: whether the header says that text is part of the pixels: yes, no or unknown.
        notes: what a reader should know, a fixed sentence each; nothing of them quotes the file.
    """

    image: NDArray[np.float32]
    spacing_mm: float | None
    view: str
    side: str
    modality: str
    bits: int
    spacing_from: str | None = None
    step: str = ""
    inverted: bool = False
    transfer_syntax: str = ""
    chest_wall_said: str = "unknown"
    chest_wall_seen: str = "unknown"
    burned_in: str = "unknown"
    notes: tuple[str, ...] = ()

    @property
    def chest_wall(self) -> str:
        """Edge of the chest wall, left or right: as the pixels show it, else as the header says."""
        seen = self.chest_wall_seen
        return self.chest_wall_said if seen == "unknown" else seen

    @property
    def flipped(self) -> bool | None:
        """Whether the image is mirrored against the usual hanging; None where that is unknown.

        The pixels are never flipped by the reader: boxes and masks are in the file's own grid.
        """
        usual = said.usual_chest_wall(self.side)
        return None if "unknown" in (usual, self.chest_wall) else usual != self.chest_wall


@dataclass(frozen=True)
class Stages:
    """One frame after each step, for pages that show the way from the file to the image.

    Attributes:
        stored: integers (h, w), as the file holds them.
        modality: float32 (h, w), after the modality LUT or rescale.
        voi: float32 (h, w) in [0, 1], after the VOI LUT or window.
        image: float32 (h, w) in [0, 1], after the inversion, padding 0.
        step: the VOI step applied.
        inverted: whether the last step inverted.
    """

    stored: NDArray[np.integer[Any]]
    modality: NDArray[np.float32]
    voi: NDArray[np.float32]
    image: NDArray[np.float32]
    step: str
    inverted: bool


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
    return read_dicom(path).image if is_dicom(path) else decode_picture(path, bytes_of(path))


def read_dicom(path: str | Path, *, window: int = 0) -> DicomImage:
    """Read one DICOM mammogram.

    Values are scaled to [0, 1] by the VOI LUT or window where the file has one (a LUT before a
    window), otherwise by the range of the pixels that are not padding.

    Args:
        path: the DICOM file, with or without a preamble.
        window: which of several windows or VOI LUTs, from 0.

    Raises:
        DataError: naming the file, the field at fault and the fix.

    Source:
        DICOM PS3.3 C.7.6.3, C.8.11.3, C.11.1, C.11.2; pixel arithmetic by pydicom.
    """
    path = Path(path)
    with silenced():
        header, stored = _opened(path)
        display = display_of(path, header, stored, window)
        return _described(path, header, stored, display)


def remarks_on(path: str | Path) -> tuple[str, ...]:
    """Return what the header of a file says that a reader should know, a fixed sentence each.

    Nothing is decoded; a file that is no DICOM has no remarks.

    Raises:
        DataError: the file is missing, or its header cannot be read.
    """
    path = Path(path)
    if not is_dicom(path):
        return ()
    with silenced():
        return tuple(said.remarks(read_header(path, bytes_of(path))))


def read_stored_values(path: str | Path) -> NDArray[np.integer[Any]]:
    """Read the stored values of a DICOM file as they are, as masks need them.

    Returns:
        uint8, uint16, int8 or int16 (h, w); bits above those stored are dropped.

    Raises:
        DataError: as :func:`read_dicom`.
    """
    with silenced():
        _, stored = _opened(Path(path))
    return stored.mapped(stored.levels())


def read_stages(path: str | Path, *, window: int = 0) -> Stages:
    """Read one DICOM mammogram and keep what each step makes of it.

    Args:
        path: the DICOM file.
        window: which of several windows or VOI LUTs, from 0.

    Raises:
        DataError: as :func:`read_dicom`.
    """
    path = Path(path)
    with silenced():
        header, stored = _opened(path)
        display = display_of(path, header, stored, window)
    return Stages(
        stored=stored.mapped(stored.levels()),
        modality=stored.mapped(display.modality.astype(np.float32)),
        voi=stored.mapped(display.voi.astype(np.float32)),
        image=stored.mapped(display.table),
        step=display.step,
        inverted=display.inverted,
    )


def is_dicom(path: str | Path) -> bool:
    """Whether a file's content is DICOM, whatever its name.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return starts_as_dicom(file.read(132))
    except (OSError, ValueError):
        return starts_as_dicom(bytes_of(path))  # says what is wrong


def _opened(path: Path) -> tuple[FileDataset, Stored]:
    header = read_header(path, bytes_of(path))
    stored = stored_values(path, header)
    del header.PixelData  # uncompressed pixels are a view of it, all others a copy
    return header, stored


def _described(path: Path, header: FileDataset, stored: Stored, display: Display) -> DicomImage:
    image = stored.mapped(display.table)
    spacing, spacing_from, spacing_note = said.spacing_of(path, header)
    side, side_note = said.side_of(header)
    wall = said.chest_wall_said(header, side)
    bright = said.background_is_bright(image)
    seen = "unknown" if bright else said.chest_wall_seen(image)
    notes = said.remarks(header)
    notes += [note for note in (spacing_note, side_note) if note]
    if bright:
        notes.append("the background is bright: PhotometricInterpretation may be wrong")
    if "unknown" not in (wall, seen) and wall != seen:
        notes.append(
            "the breast lies at the other edge than the header says: the image was flipped, or "
            "the side is wrong"
        )
    if not image.any() or (image.min() == image.max() and image.size > 1):
        notes.append(f"every pixel has one grey value after {display.step}")
    return DicomImage(
        image,
        spacing_mm=spacing,
        view=said.view_of(header),
        side=side,
        modality=said.modality_of(header),
        bits=stored.bits,
        spacing_from=spacing_from,
        step=display.step,
        inverted=display.inverted,
        transfer_syntax=syntax_name(str(header.file_meta.TransferSyntaxUID)),
        chest_wall_said=wall,
        chest_wall_seen=seen,
        burned_in=said.burned_in_of(header),
        notes=tuple(notes),
    )

"""DDSM's films: raw 16-bit pixels as optical density, and the size of converted pictures.

The owners' LJPEG files are unpacked by their own program to ``<film>.LJPEG.1``: two bytes a pixel,
the most significant first, no header; the ``.ics`` file beside them has the size. Grey levels of
the scanners differ, so raw pixels are put on one scale of optical density. A picture that somebody
converted (PNG, TIFF) is taken as it is: what was done to its grey levels is not known.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammostudy.data.sources.ddsm_ics import Study, View, read_ics
from mammostudy.data.sources.owner_files import size_fault
from mammostudy.errors import DataError

VERSION: Final = 1
"""Recipe version: raised by hand when the pixels of raw files change."""
LOWEST, HIGHEST = 0.05, 3.60  # optical density: the range of the owners' own software
CALIBRATION: Final = {
    ("MGH", "DBA"): ("log10", 4.80662, -1.07553),
    ("MGH", "HOWTEK"): ("linear", 3.789, -0.00094568),
    ("WFU", "LUMISYS"): ("linear", 4096.99 / 1009.01, -1 / 1009.01),
    ("ISMD", "HOWTEK"): ("linear", 3.96604095240593, -0.00099055807612),
}
"""Optical density by site and scanner: ``a + b * grey``, or ``(log10(grey) - a) / b``.

Source: the calibration page of DDSM. The owners' later detection software has slightly other
constants for the first three: at most 0.15 apart in density for DBA, 0.001 for the others.
"""
_RAW: Final = re.compile(r"([A-D]_\d{4}_\d)\.((?:LEFT|RIGHT)_(?:CC|MLO))\.LJPEG\.1")


def is_raw(path: Path) -> bool:
    """Whether a file's name is that of an unpacked film."""
    return _RAW.fullmatch(path.name) is not None


def read_raw(path: Path) -> NDArray[np.float32]:
    """Read an unpacked film.

    Args:
        path: ``<film>.LJPEG.1``; the study's ``.ics`` file stands beside it.

    Returns:
        float32 ``(h, w)`` in [0, 1]: optical density from :data:`HIGHEST` (0, black film) to
        :data:`LOWEST` (1), so dense tissue is bright.

    Raises:
        DataError: the file is not as long as the ``.ics`` file says, holds values of more bits, or
            its scanner has no published calibration.
    """
    named = _RAW.fullmatch(path.name)
    if named is None:
        msg = f"{path}: the name is not <film>.LJPEG.1, as B_3030_1.LEFT_CC.LJPEG.1; rename it"
        raise DataError(msg)
    ics = path.parent / f"{named[1].replace('_', '-')}.ics"
    study = read_ics(ics)
    if named[2] not in study.views:
        msg = f"{ics}: field {named[2]} is missing, but {path.name} is there; copy the file anew"
        raise DataError(msg)
    view = study.views[named[2]]
    check_raw(path, view)
    shown = np.clip((HIGHEST - densities(path, study)) / (HIGHEST - LOWEST), 0, 1)
    return np.asarray(shown.astype(np.float32)[_grey(path, view)])


def check_raw(path: Path, view: View) -> None:
    """Raise DataError where an unpacked film is not as long as its ``.ics`` file says."""
    needed = 2 * view.rows * view.columns
    try:
        length = path.stat().st_size
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        raise DataError(msg) from None
    if length != needed:
        msg = (
            f"{path}: has {length:,} bytes, but LINES {view.rows} and PIXELS_PER_LINE "
            f"{view.columns} of the .ics file need {needed:,}; unpack the film anew"
        )
        raise DataError(msg)


def _grey(path: Path, view: View) -> NDArray[np.uint16]:
    """Read grey levels; the order of bytes is turned where only the other one fits the bits."""
    grey = np.fromfile(path, ">u2").astype(np.uint16).reshape(view.rows, view.columns)
    if int(grey.max()) >> view.bits:
        grey = grey.byteswap()
        if int(grey.max()) >> view.bits:
            msg = (
                f"{path}: holds grey levels of more than BITS_PER_PIXEL {view.bits} of the .ics "
                "file; unpack the film anew"
            )
            raise DataError(msg)
    return grey


def densities(path: Path, study: Study) -> NDArray[np.float64]:
    """Return the optical density of each grey level of a study's films, float64 ``(65536,)``.

    Raises:
        DataError: the study's scanner has no published calibration.
    """
    if not is_calibrated(study):
        msg = (
            f"{path}: field DIGITIZER of the .ics file is {study.scanner} at {study.site}, which "
            "has no published calibration; convert the film to PNG"
        )
        raise DataError(msg)
    form, a, b = CALIBRATION[study.site, study.scanner]
    levels = np.arange(2**16, dtype=np.float64)
    return (np.log10(np.maximum(levels, 1)) - a) / b if form == "log10" else a + b * levels


def is_calibrated(study: Study) -> bool:
    """Whether raw films of a study can be put on the scale of optical density."""
    return (study.site, study.scanner) in CALIBRATION


def picture_size(path: Path) -> tuple[int, int]:
    """Read height and width of a PNG or TIFF picture, without its pixels.

    Raises:
        DataError: it is neither, cut off, or of an impossible size.

    Source:
        Pillow's headers.
    """
    if not path.is_file():
        msg = f"{path}: missing or no file; convert the film anew"
        raise DataError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a size that the next lines judge
            with Image.open(path, formats=("PNG", "TIFF")) as picture:
                width, height = picture.size
                whole = picture.format != "PNG" or _ends_as_png(path)
    except (OSError, ValueError, TypeError, SyntaxError, LookupError, ArithmeticError,
            AttributeError, RuntimeError, Image.DecompressionBombError) as error:  # fmt: skip
        kind = type(error).__name__
        msg = f"{path}: not a readable PNG or TIFF picture ({kind}); convert the film anew"
        raise DataError(msg) from None
    fault = size_fault(height, width) if whole else "the data are cut off"
    if fault is not None:
        msg = f"{path}: {fault}; convert the film anew"
        raise DataError(msg)
    return height, width


def _ends_as_png(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 1024))
        return b"IEND" in stream.read()

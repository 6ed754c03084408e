"""Decode compressed pixel data with the decoders that are installed, once their size is known.

JPEG Lossless, JPEG-LS and JPEG baseline are decoded by ``python-gdcm``, JPEG 2000 by
``pylibjpeg-openjpeg`` or ``python-gdcm``: wheels under permissive licences, of the extra ``dicom``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from mammostudy.data.dicom_codestream import Claim, claim_of_jpeg, claim_of_jpeg2000, codestream
from mammostudy.errors import DataError

_JPEG: Final = (
    JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEGLSNearLossless, JPEGBaseline8Bit,
    JPEGExtended12Bit,
)  # fmt: skip
_LINES: Final = 1 << 16  # bytes of a decoder's messages that are looked at


def syntax_name(syntax: str) -> str:
    """Name a transfer syntax; what the standard does not know is not repeated."""
    name = UID(syntax).name
    return "not a standard transfer syntax" if name == syntax else name


def decompressed(
    path: Path, header: FileDataset, syntax: UID, shape: tuple[int, int], bits: int
) -> NDArray[np.integer[Any]]:
    """Decode JPEG of any kind, once its own header agrees with that of the file.

    Args:
        path: the file, for messages.
        header: its fields.
        syntax: its transfer syntax.
        shape: rows and columns that the header promises.
        bits: bits stored, likewise.

    Raises:
        DataError: the transfer syntax is not read, or its decoder is not installed.
        ValueError: the data are damaged or of another size; decoders may raise other errors.
    """
    is_jpeg2000 = syntax in JPEG2000TransferSyntaxes
    if not is_jpeg2000 and syntax not in _JPEG:
        msg = (
            f"{path}: field TransferSyntaxUID ({syntax_name(syntax)}) is not one that is read; "
            "convert the file to Explicit VR Little Endian"
        )
        raise DataError(msg)
    plugin = _plugin(syntax, is_jpeg2000)
    if plugin is None:
        wheels = "python-gdcm or pylibjpeg-openjpeg" if is_jpeg2000 else "python-gdcm"
        msg = (
            f"{path}: field TransferSyntaxUID is {syntax_name(syntax)}, and no decoder of it is "
            f"installed; install {wheels}: pip install 'mammostudy[dicom]'"
        )
        raise DataError(msg)
    data = codestream(header["PixelData"].value)
    claim = claim_of_jpeg2000(data) if is_jpeg2000 else claim_of_jpeg(data)
    if claim != Claim(*shape, 1, claim.bits) or not 8 <= claim.bits <= 16 or claim.bits < bits:
        msg = "the compressed data are of another size"
        raise ValueError(msg)
    with lines_held_back() as lines:
        pixels, _ = get_decoder(syntax).as_array(header, index=0, raw=True, decoding_plugin=plugin)
    if b"Corrupt JPEG data" in lines():  # decoded all the same, to grey of its own making
        msg = "the compressed data are corrupt"
        raise ValueError(msg)
    return np.asarray(pixels)


def _plugin(syntax: UID, is_jpeg2000: bool) -> str | None:
    order = ("pylibjpeg", "gdcm") if is_jpeg2000 else ("gdcm", "pyjpegls", "pylibjpeg")
    installed = get_decoder(syntax).available_plugins
    return next((name for name in order if name in installed), None)


@contextmanager
def lines_held_back() -> Iterator[Callable[[], bytes]]:
    """Hold back what native code writes to the terminal; yields a function that returns it.

    Decoders in C report damage there and nowhere else. Where there is no terminal to hold back,
    nothing is held.
    """
    held = b""
    with tempfile.TemporaryFile() as file:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, ValueError, AttributeError):
            yield lambda: b""
            return
        try:
            os.dup2(file.fileno(), 2)
            yield lambda: held
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            held = file.read(_LINES)

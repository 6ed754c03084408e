"""Decode compressed pixel data with the decoders that are installed, once their size is known.

JPEG Lossless, JPEG-LS and JPEG baseline are decoded by ``python-gdcm``, JPEG 2000 by
``pylibjpeg-openjpeg`` or ``python-gdcm``: wheels under permissive licences, of the extra ``dicom``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
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
_WORKER: Final = Path(__file__).with_name("gdcm_worker.py")
_SECONDS: Final = 10.0  # a decoder may take, and one more a million pixels


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
    if plugin == "gdcm":
        signed = int(header.get("PixelRepresentation") or 0)
        header["PixelData"].value = b""  # not needed twice
        return _by_gdcm(data, syntax, claim, signed)
    pixels, _ = get_decoder(syntax).as_array(header, index=0, raw=True, decoding_plugin=plugin)
    return np.asarray(pixels)


def _plugin(syntax: UID, is_jpeg2000: bool) -> str | None:
    order = ("pylibjpeg", "gdcm") if is_jpeg2000 else ("gdcm", "pyjpegls", "pylibjpeg")
    installed = get_decoder(syntax).available_plugins
    return next((name for name in order if name in installed), None)


def _by_gdcm(
    data: bytes, syntax: UID, claim: Claim, signed: int
) -> NDArray[np.unsignedinteger[Any]]:
    """Decode in a process of its own, which damaged data may end, fill or never let end."""
    numbers = (claim.rows, claim.columns, claim.bits, signed)
    with tempfile.TemporaryFile() as decoded:  # a pipe would hold the pixels twice
        done = subprocess.run(
            [sys.executable, "-P", str(_WORKER), str(syntax), *map(str, numbers)],
            input=data,
            stdout=decoded,
            stderr=subprocess.PIPE,
            check=False,
            timeout=_SECONDS + claim.rows * claim.columns / 1e6,
        )
        if done.returncode or b"Corrupt JPEG data" in done.stderr:
            msg = "the compressed data are damaged"
            raise ValueError(msg)
        decoded.seek(0)
        pixels = np.fromfile(decoded, np.uint8 if claim.bits <= 8 else "<u2")
    return pixels.reshape(claim.rows, claim.columns)

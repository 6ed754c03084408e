"""A small cohort, and DICOM files in the syntaxes that the decoders can write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort

DicomWriter = Callable[..., Path]
GDCM_NAMES = {"JPEGLosslessProcess14_1", "JPEGLosslessProcess14", "JPEGLSLossless"}


def dicom_dataset(pixels: np.ndarray, bits: int, syntax: str, fields: dict[str, object]) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    compressed = syntax in {RLELossless, JPEG2000Lossless} | GDCM_NAMES
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
    ds.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["t"])
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "MG", "MONOCHROME2", 1
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated, ds.BitsStored = 8 * pixels.dtype.itemsize, bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    for name, value in fields.items():
        if not isinstance(value, bytes):
            setattr(ds, name, value)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = data + bytes(len(data) % 2)
    ds["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    if syntax in (RLELossless, JPEG2000Lossless):
        plugin = "pydicom" if syntax == RLELossless else "pylibjpeg"
        ds.compress(syntax, generate_instance_uid=False, encoding_plugin=plugin)
    return ds


def recode(path: Path, name: str) -> None:
    """Compress a file in place, by python-gdcm."""
    gdcm = pytest.importorskip("gdcm")
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    change = gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.fixture(scope="session")
def write_dicom() -> DicomWriter:
    """Return ``write(path, pixels, bits=12, syntax=..., change=None, **fields)``: plain by default.

    ``syntax`` is a UID, or for JPEG Lossless and JPEG-LS the name that python-gdcm has for it;
    ``change`` takes the dataset as it was written; fields given as bytes are written as they are.
    """

    def write(
        path: Path,
        pixels: np.ndarray,
        bits: int = 12,
        syntax: str = ExplicitVRLittleEndian,
        change: Callable[[Dataset], None] | None = None,
        **fields: object,
    ) -> Path:
        if syntax == JPEG2000Lossless:
            pytest.importorskip("openjpeg")
        ds = dicom_dataset(pixels, bits, syntax, fields)
        ds.save_as(path, enforce_file_format=True)
        if syntax in GDCM_NAMES:
            recode(path, syntax)
        ds = dcmread(path)
        for name, value in fields.items():
            if isinstance(value, bytes):
                tag = Tag(name)
                raw = (tag, dictionary_VR(tag), len(value), value, 0, False, True)
                ds._dict[tag] = RawDataElement(*raw)
        if change:
            change(ds)
        ds.save_as(path)
        return path

    return write


@pytest.fixture
def written(tmp_path: Path, write_dicom: DicomWriter) -> DicomWriter:
    """Return ``written(pixels, ...)``, which writes as ``write_dicom`` does, to one place."""
    return lambda *args, **fields: write_dicom(tmp_path / "a.dcm", *args, **fields)


@pytest.fixture
def tiny(tmp_path: Path, own_store: Path, write_cohort: Callable[..., Path]) -> Cohort:
    """The cohort of ``write_cohort``: 13 masses of 6 patients."""
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)

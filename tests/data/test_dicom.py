"""DICOM and picture files that the tests write, read back against analytic values."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

from mammostudy.data import dicom_file, pictures
from mammostudy.data.dicom import read_dicom, read_image
from mammostudy.errors import DataError

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SECRET = "Doe^Jane"


def dataset(pixels: np.ndarray = RAMP, bits: int = 12, **fields: object) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = SECRET, "12345678", "19500101"
    ds.Modality = "MG"
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.SamplesPerPixel = 1
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in fields.items():
        setattr(ds, name, value)
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def save(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path


def lut(bits: int, values: list[int], first: int = 0) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    return Sequence([item])


def test_data_range_without_a_window(tmp_path: Path) -> None:
    image = read_image(save(dataset(), tmp_path / "no_suffix"))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, RAMP / 4095, atol=1e-6)


def test_monochrome1_is_inverted_after_the_window(tmp_path: Path) -> None:
    window = {"WindowCenter": 1000.5, "WindowWidth": 1001}
    two = read_image(save(dataset(**window), tmp_path / "two.dcm"))
    one = read_image(
        save(dataset(PhotometricInterpretation="MONOCHROME1", **window), tmp_path / "one.dcm")
    )
    expected = np.clip((RAMP.astype(float) - 500) / 1000, 0, 1)  # PS3.3 C.11.2.1.2.1 by hand
    np.testing.assert_allclose(two, expected, atol=1e-6)
    np.testing.assert_allclose(one, 1 - expected, atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_inverse_presentation_shape_inverts_once(tmp_path: Path, photometric: str) -> None:
    ds = dataset(PresentationLUTShape="INVERSE", PhotometricInterpretation=photometric)
    np.testing.assert_allclose(read_image(save(ds, tmp_path / "a.dcm")), 1 - RAMP / 4095, atol=1e-6)


def test_window_is_applied_to_rescaled_values(tmp_path: Path) -> None:
    ds = dataset(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=0.5, WindowWidth=2001)
    expected = np.clip((2 * RAMP.astype(float) - 1000 + 1000) / 2000, 0, 1)
    np.testing.assert_allclose(read_image(save(ds, tmp_path / "a.dcm")), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", lambda v: np.clip((v - 2000) / 1000 + 0.5, 0, 1)),
        ("SIGMOID", lambda v: 1 / (1 + np.exp(-4 * (v - 2000) / 1000))),
    ],
)
def test_other_window_functions(tmp_path: Path, function: str, expected) -> None:
    ds = dataset(VOILUTFunction=function, WindowCenter=2000, WindowWidth=1000)
    image = read_image(save(ds, tmp_path / "a.dcm"))
    np.testing.assert_allclose(image, expected(RAMP.astype(float)), atol=1e-5)


def test_the_first_of_several_windows_is_used(tmp_path: Path) -> None:
    ds = dataset(WindowCenter=[1000.5, 9.0], WindowWidth=[1001, 3])
    image = read_image(save(ds, tmp_path / "a.dcm"))
    assert image[0, 0] == 0
    assert image[1000 // 64, 1000 % 64] == pytest.approx(0.5)


def test_voi_and_modality_luts(tmp_path: Path) -> None:
    small = (np.arange(16, dtype=np.uint8) * 17).reshape(4, 4)
    voi = dataset(small, 8, VOILUTSequence=lut(12, [4095 - 16 * k for k in range(256)]))
    np.testing.assert_allclose(
        read_image(save(voi, tmp_path / "v.dcm")), (4095 - 16.0 * small) / 4095, atol=1e-6
    )
    modality = dataset(small, 8, ModalityLUTSequence=lut(16, [k * k for k in range(256)]))
    modality.ModalityLUTSequence[0].ModalityLUTType = "US"
    np.testing.assert_allclose(
        read_image(save(modality, tmp_path / "m.dcm")), (small / 255.0) ** 2, atol=1e-6
    )


def test_padding_is_black_and_out_of_the_range(tmp_path: Path) -> None:
    pixels = np.full((8, 8), 1000, np.uint16)
    pixels[4:] = 2000
    pixels[0] = 4095
    ds = dataset(pixels, PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1")
    image = read_image(save(ds, tmp_path / "a.dcm"))
    assert (image[0] == 0).all()
    assert (image[1:4] == 1).all()
    assert (image[4:] == 0).all()


def test_signed_pixels_and_a_padding_range(tmp_path: Path) -> None:
    pixels = np.linspace(-500, 500, 64).round().astype(np.int16).reshape(8, 8)
    pixels[0, :2] = (-2000, -1990)
    ds = dataset(pixels, 12)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    ds.add_new("PixelPaddingRangeLimit", "SS", -1990)
    image = read_image(save(ds, tmp_path / "a.dcm"))
    assert (image[0, :2] == 0).all()
    kept = pixels.astype(float)[1:]
    low = pixels[0, 2]
    np.testing.assert_allclose(image[1:], (kept - low) / (500 - low), atol=1e-6)


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (16, np.uint16)])
def test_bit_depths(tmp_path: Path, bits: int, dtype: type) -> None:
    pixels = np.linspace(0, 2**bits - 1, 64).round().astype(dtype).reshape(8, 8)
    read = read_dicom(save(dataset(pixels, bits), tmp_path / "a.dcm"))
    assert read.bits == bits
    np.testing.assert_allclose(read.image, pixels / (2.0**bits - 1), atol=1e-6)


def test_bits_above_those_stored_are_ignored(tmp_path: Path) -> None:
    image = read_image(save(dataset(RAMP | 0x8000), tmp_path / "a.dcm"))
    np.testing.assert_allclose(image, RAMP / 4095, atol=1e-6)


def test_compressed_files(tmp_path: Path) -> None:
    ds = dataset()
    ds.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_allclose(read_image(save(ds, tmp_path / "rle.dcm")), RAMP / 4095, atol=1e-6)


def test_jpeg2000_and_the_missing_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openjpeg")
    ds = dataset()
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    path = save(ds, tmp_path / "j2k.dcm")
    np.testing.assert_allclose(read_image(path), RAMP / 4095, atol=1e-6)
    decoder = pydicom.pixels.get_decoder(JPEG2000Lossless)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(
        decoder, "_unavailable", {"gdcm": ("gdcm>=3.0.10",), "pylibjpeg": ("pylibjpeg",)}
    )
    with pytest.raises(DataError, match=r"JPEG 2000.*python-gdcm.*mammostudy\[dicom\]"):
        read_image(path)


def test_a_file_without_preamble(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    ds = dataset()
    pydicom.dcmwrite(path, ds, enforce_file_format=False)
    content = path.read_bytes()
    assert content[128:132] != b"DICM"
    np.testing.assert_allclose(read_image(path), RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "spacing", "view", "side"),
    [
        (
            {"ImagerPixelSpacing": [0.07, 0.07], "PixelSpacing": [0.05, 0.05],
             "ViewPosition": "MLO", "ImageLaterality": "L"},
            0.07, "MLO", "L",
        ),
        ({"PixelSpacing": [0.05, 0.05], "ViewPosition": "XCCL", "Laterality": "R"},
         0.05, "other", "R"),
        ({"PixelSpacing": [0, 0]}, None, "unknown", "unknown"),
        ({"PatientOrientation": "MLO"}, None, "MLO", "unknown"),
        ({"PatientOrientation": ["A", "R"]}, None, "unknown", "unknown"),
        ({}, None, "unknown", "unknown"),
    ],
)  # fmt: skip
def test_what_the_file_says(
    tmp_path: Path, fields: dict[str, object], spacing: float | None, view: str, side: str
) -> None:
    read = read_dicom(save(dataset(**fields), tmp_path / "a.dcm"))
    assert (read.spacing_mm, read.view, read.side) == (spacing, view, side)
    assert (read.modality, read.bits) == ("MG", 12)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.bits = 3  # type: ignore[misc]


def rgb() -> Dataset:
    ds = dataset()
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "RGB", 3
    return ds


@pytest.mark.parametrize(
    ("ds", "field"),
    [
        (dataset(np.zeros((2, 8, 8), np.uint16), NumberOfFrames=2), "NumberOfFrames"),
        (rgb(), "PhotometricInterpretation"),
        (dataset(BitsStored=4), "BitsStored"),
        (dataset(WindowCenter=10, WindowWidth=0), "WindowWidth"),
        (dataset(VOILUTFunction="WAVY", WindowCenter=10, WindowWidth=9), "VOILUTFunction"),
        (dataset(Rows=80), "PixelData"),
    ],
)
def test_bad_fields_give_one_message(tmp_path: Path, ds: Dataset, field: str) -> None:
    path = save(ds, tmp_path / "bad.dcm")
    with pytest.raises(DataError, match=field) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)


def test_personal_fields_are_never_loaded(tmp_path: Path) -> None:
    path = save(dataset(), tmp_path / "a.dcm")
    header = dicom_file.read_header(path, path.read_bytes())
    assert not {"PatientName", "PatientID", "PatientBirthDate"} & set(header.dir())
    assert SECRET.encode() in path.read_bytes()  # control: the file does hold the name


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_pictures(tmp_path: Path, suffix: str, dtype: type, top: int) -> None:
    pixels = np.linspace(0, top, 120).round().astype(dtype).reshape(10, 12)
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), pixels)
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, pixels / top, atol=1e-6)
    colour = tmp_path / f"c{suffix}"
    cv2.imwrite(str(colour), np.dstack([pixels] * 3))
    np.testing.assert_allclose(read_image(colour), image, atol=2 / 255)


def test_twelve_bits_in_sixteen_fill_the_range(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), RAMP)
    np.testing.assert_allclose(read_image(path), RAMP / 4095, atol=1e-6)


def test_float_tiff_and_alpha(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    cv2.imwrite(str(tmp_path / "a.tif"), values)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif"), values, atol=1e-6)
    grey = np.full((8, 8), 51, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([grey, grey, grey, np.zeros_like(grey)]))
    np.testing.assert_allclose(read_image(tmp_path / "a.png"), 0.2, atol=1e-6)


def test_jpeg(tmp_path: Path) -> None:
    pixels = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))
    cv2.imwrite(str(tmp_path / "a.jpg"), pixels)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg"), pixels / 255.0, atol=0.03)


def picture_bytes(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    return cv2.imencode(suffix, noise)[1].tobytes()


def dicom_bytes(tmp_path: Path) -> bytes:
    return save(dataset(), tmp_path / "whole.dcm").read_bytes()


@pytest.mark.parametrize("kind", [".png", ".jpg", ".tif", ".dcm"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files(tmp_path: Path, kind: str, share: float) -> None:
    content = dicom_bytes(tmp_path) if kind == ".dcm" else picture_bytes(kind)
    path = tmp_path / f"cut{kind}"
    path.write_bytes(content)
    read_image(path)  # control: whole, it reads
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="cut"):
        read_image(path)


def test_a_cut_picture_needs_the_check_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(picture_bytes(".jpg")[:-200])
    grey = np.zeros((64, 64), np.uint8)
    monkeypatch.setattr(pictures, "_decoded", lambda content: grey)  # older decoders fill in grey
    with pytest.raises(DataError, match="truncated"):
        read_image(path)
    path.write_bytes(picture_bytes(".jpg"))
    assert (read_image(path) == 0).all()  # control: only the end of the data was missing


@pytest.mark.parametrize("content", [b"", b"not an image", b"%PDF-1.7" + bytes(400)])
def test_files_that_are_no_images(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.dcm"
    path.write_bytes(content)
    with pytest.raises(DataError, match="DICOM, PNG, JPEG or TIFF"):
        read_image(path)
    with pytest.raises(DataError, match="DICM"):
        read_dicom(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such image file"):
        read_image(tmp_path / "nowhere.dcm")
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path)


def test_multi_page_tiff(tmp_path: Path) -> None:
    page = np.zeros((8, 8), np.uint8)
    cv2.imwritemulti(str(tmp_path / "a.tif"), [page, page])
    with pytest.raises(DataError, match="several pages"):
        read_image(tmp_path / "a.tif")

"""Stored values and steps of display: every transfer syntax, depth and sign; an oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mammostudy.data import dicom_decoders, dicom_pixels
from mammostudy.data.dicom import read_dicom, read_stages, read_stored_values
from mammostudy.errors import DataError

Writer = Callable[..., Path]
NATIVE = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]  # fmt: skip
COMPRESSED = [
    RLELossless, JPEG2000Lossless, "JPEGLosslessProcess14_1", "JPEGLosslessProcess14",
    "JPEGLSLossless",
]  # fmt: skip


def breast(
    bits: int = 12, dtype: type = np.uint16, shape: tuple[int, int] = (38, 34)
) -> np.ndarray:
    """Values over the whole range of the bits stored."""
    rng = np.random.default_rng(bits)
    low = -(1 << bits - 1) if np.dtype(dtype).kind == "i" else 0
    high = low + (1 << bits) - 1
    pixels = rng.integers(low, high, shape, endpoint=True).astype(dtype)
    pixels[0, :2] = low, high
    return pixels


def signed(bits: int) -> np.ndarray:
    return breast(bits, np.int8 if bits == 8 else np.int16)


@pytest.mark.parametrize("syntax", NATIVE + COMPRESSED)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_every_syntax_and_depth_is_lossless(
    tmp_path: Path, write_dicom: Writer, syntax: str, bits: int
) -> None:
    pixels = breast(bits, np.uint8 if bits == 8 else np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, syntax)
    stored = read_stored_values(path)
    assert stored.dtype == pixels.dtype
    np.testing.assert_array_equal(stored, pixels)
    read = read_dicom(path)
    assert (read.bits, read.step) == (bits, "range of the pixels")
    np.testing.assert_allclose(read.image, pixels / (2.0**bits - 1), atol=1e-6)
    assert read.transfer_syntax == pydicom.dcmread(path).file_meta.TransferSyntaxUID.name


@pytest.mark.parametrize("syntax", NATIVE + COMPRESSED)
@pytest.mark.parametrize("bits", [12, 16])
def test_signed_values(tmp_path: Path, write_dicom: Writer, syntax: str, bits: int) -> None:
    pixels = signed(bits)
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, syntax, RescaleSlope=2, RescaleIntercept=5)
    np.testing.assert_array_equal(read_stored_values(path), pixels)
    wide = pixels.astype(float)
    expected = (wide - wide.min()) / (wide.max() - wide.min())
    np.testing.assert_allclose(read_dicom(path).image, expected, atol=1e-6)


def test_bits_above_a_signed_value_are_no_part_of_it(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = signed(12)
    overlaid = pixels & 0x0FFF  # the sign is not carried on, and an overlay lies above
    overlaid[::2] |= 0x7000
    path = write_dicom(tmp_path / "a.dcm", overlaid, 12)
    np.testing.assert_array_equal(read_stored_values(path), pixels)


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (12, np.uint16)])
def test_odd_sizes(
    tmp_path: Path, write_dicom: Writer, syntax: str, bits: int, dtype: type
) -> None:
    pixels = breast(bits, dtype, (37, 33))
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, syntax)
    np.testing.assert_array_equal(read_stored_values(path), pixels)


def test_big_endian_bytes_written_as_words(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = breast(8, np.uint8)
    path = write_dicom(tmp_path / "a.dcm", pixels, 8, ExplicitVRBigEndian)
    ds = pydicom.dcmread(path)
    ds.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(path)
    np.testing.assert_array_equal(read_stored_values(path), pixels)


FIELDS = [
    {},
    {"WindowCenter": 2000, "WindowWidth": 1500},
    {"WindowCenter": 1999.5, "WindowWidth": 1, "PhotometricInterpretation": "MONOCHROME1"},
    {"WindowCenter": 900, "WindowWidth": 800, "RescaleSlope": 0.5, "RescaleIntercept": -3},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "LINEAR_EXACT"},
]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("is_signed", [False, True])
def test_the_table_equals_the_steps_done_on_the_whole_image(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object], is_signed: bool
) -> None:
    """Bit for bit: the steps one after the other, on every pixel, in float64."""
    path = write_dicom(tmp_path / "a.dcm", signed(12) if is_signed else breast(12), 12, **fields)
    ds = pydicom.dcmread(path)
    values = apply_modality_lut(ds.pixel_array, ds)
    if "WindowCenter" in fields:
        low, high = apply_windowing(np.array([-1e12, 1e12]), ds)
        shown = (apply_windowing(values, ds) - low) / (high - low)
    else:
        shown = (values - float(values.min())) / (float(values.max()) - float(values.min()))
    shown = np.clip(shown, 0.0, 1.0)
    if fields.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 1.0 - shown
    read = read_dicom(path)
    np.testing.assert_array_equal(read.image, shown.astype(np.float32))
    assert read.inverted == (fields.get("PhotometricInterpretation") == "MONOCHROME1")


def test_each_of_several_windows(tmp_path: Path, write_dicom: Writer) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = write_dicom(
        tmp_path / "a.dcm", ramp, WindowCenter=[1000.5, 3000.5], WindowWidth=[1001, 11]
    )
    for window, start, span in ((0, 500, 1000), (1, 2995, 10)):
        read = read_dicom(path, window=window)
        np.testing.assert_allclose(
            read.image, np.clip((ramp * 1.0 - start) / span, 0, 1), atol=1e-6
        )
        assert read.step == f"window {window + 1} of 2 (LINEAR)"
    for window in (2, -1):
        with pytest.raises(DataError, match="has 2 windows"):
            read_dicom(path, window=window)


def table(first: int, values: np.ndarray, bits: int, vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    item.add_new("LUTData", vr, values.tolist() if vr == "US" else values.astype("<u2").tobytes())
    return item


@pytest.mark.parametrize("syntax", NATIVE)
def test_tables_in_every_encoding(tmp_path: Path, write_dicom: Writer, syntax: str) -> None:
    pixels = breast(8, np.uint8)
    modality = table(0, np.arange(256) ** 2, 16)
    modality.ModalityLUTType = "US"
    voi = [table(0, np.arange(1000), 10), table(1000, np.arange(4096)[::-1], 12)]
    path = write_dicom(
        tmp_path / "a.dcm", pixels, 8, syntax, WindowCenter=9, WindowWidth=2,
        ModalityLUTSequence=Sequence([modality]), VOILUTSequence=Sequence(voi),
    )  # fmt: skip
    squares = pixels.astype(float) ** 2
    first = np.clip(squares, 0, 999) / 1023
    second = (4095 - np.clip(squares - 1000, 0, 4095)) / 4095
    np.testing.assert_allclose(read_dicom(path).image, first, atol=1e-6)
    read = read_dicom(path, window=1)
    np.testing.assert_allclose(read.image, second, atol=1e-6)
    assert read.step == "VOI LUT 2 of 2"  # before any window


def test_a_table_of_words_for_signed_values(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = signed(10)
    item = table(-512, np.arange(65536), 16, "OW")
    path = write_dicom(tmp_path / "a.dcm", pixels, 10, VOILUTSequence=Sequence([item]))
    expected = (pixels.astype(float) + 512) / 65535
    np.testing.assert_allclose(read_dicom(path).image, expected, atol=1e-6)


@pytest.mark.parametrize("syntax", NATIVE)
def test_padding_in_every_encoding(tmp_path: Path, write_dicom: Writer, syntax: str) -> None:
    pixels = np.clip(signed(12), -2000, 2000)
    pixels[5] = -2048
    path = write_dicom(
        tmp_path / "a.dcm", pixels, 12, syntax, PixelPaddingValue=-2048,
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    image = read_dicom(path).image
    assert (image[5] == 0).all()
    rest = np.delete(pixels, 5, axis=0).astype(float)
    expected = 1 - (rest - rest.min()) / (rest.max() - rest.min())
    np.testing.assert_allclose(np.delete(image, 5, axis=0), expected, atol=1e-6)


def test_stages_are_the_steps(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = breast(12)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=1, WindowCenter=4000,
        WindowWidth=3001, PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    stages = read_stages(path)
    np.testing.assert_array_equal(stages.stored, pixels)
    np.testing.assert_array_equal(stages.modality, 2.0 * pixels + 1)
    expected = np.clip((2.0 * pixels + 1 - 2499.5) / 3000, 0, 1)
    np.testing.assert_allclose(stages.voi, expected, atol=1e-6)
    np.testing.assert_allclose(stages.image, 1 - stages.voi, atol=1e-6)
    np.testing.assert_array_equal(stages.image, read_dicom(path).image)
    assert (stages.step, stages.inverted) == ("window 1 of 1 (LINEAR)", True)


@pytest.mark.parametrize(
    ("syntax", "uid", "wheel"),
    [
        ("JPEGLosslessProcess14_1", JPEGLosslessSV1, "install python-gdcm:"),
        ("JPEGLSLossless", JPEGLSLossless, "install python-gdcm:"),
        (JPEG2000Lossless, JPEG2000Lossless, "python-gdcm or pylibjpeg-openjpeg"),
    ],
)
def test_a_missing_decoder_is_named(
    tmp_path: Path,
    write_dicom: Writer,
    monkeypatch: pytest.MonkeyPatch,
    syntax: str,
    uid: pydicom.uid.UID,
    wheel: str,
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(12), 12, syntax)
    read_dicom(path)  # control: with it, it reads
    monkeypatch.setattr(dicom_decoders, "_plugin", lambda *_: None)
    with pytest.raises(DataError) as caught:
        read_dicom(path)
    message = str(caught.value)
    assert wheel in message
    assert uid.name in message
    assert "mammostudy[dicom]" in message


def test_jpeg2000_also_by_gdcm(
    tmp_path: Path, write_dicom: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gdcm")
    pixels = breast(12)
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, JPEG2000Lossless)
    monkeypatch.setattr(dicom_decoders, "_plugin", lambda *_: "gdcm")
    np.testing.assert_array_equal(read_stored_values(path), pixels)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"HighBit": 15}, "HighBit"),
        ({"BitsStored": 17}, "BitsStored"),
        ({"BitsAllocated": 32}, "BitsAllocated"),
        ({"BitsAllocated": 8}, "BitsAllocated"),
        ({"Rows": 0}, "Rows"),
        ({"Rows": 65535, "Columns": 65535}, "Rows and Columns"),
        ({"Rows": 39}, "PixelData"),
        ({"Rows": 37}, "PixelData"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"NumberOfFrames": 2}, "NumberOfFrames"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PhotometricInterpretation is PALETTE"),
        ({"WindowCenter": [1, 2], "WindowWidth": 3}, "WindowCenter and WindowWidth"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "RescaleSlope"),
        ({"ImagerPixelSpacing": [0.07, 0.07], "PixelSpacing": []}, None),
    ],
)
def test_fields_at_odds(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object], named: str | None
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(12), 12, **fields)
    if named is None:
        read_dicom(path)
        return
    with pytest.raises(DataError, match=named):
        read_dicom(path)


def test_the_bound_of_pixels_lets_the_largest_films_pass() -> None:
    assert dicom_pixels.MAX_PIXELS > 5517 * 6897  # 24 x 30 cm at 43.5 um

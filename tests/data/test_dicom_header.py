"""What the header says of a mammogram, what its pixels say, and what is kept back."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from mammostudy.data.dicom import read_dicom
from mammostudy.data.dicom_file import FIELDS
from mammostudy.data.sources.files import look
from mammostudy.errors import DataError

Writer = Callable[..., Path]
Said = dict[str, object]
Reader = Callable[[Path], str]
SECRET = "Planted^Secret"
DETECTOR, IMAGE = "ImagerPixelSpacing", "PixelSpacing"
FACTOR, KIND = "EstimatedRadiographicMagnificationFactor", "PixelSpacingCalibrationType"


def breast() -> np.ndarray:
    """A bright half disc at the left edge: what a view shows of a breast."""
    y, x = np.mgrid[:120, :100]
    return np.where(np.hypot((y - 60) / 55, x / 70) < 1, 3000, 0).astype(np.uint16)


def code(value: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue = value
    return [item]


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
    ({"ViewCodeSequence": code("399162004")}, {"view": "CC"}, ""),
    ({"ViewCodeSequence": code("R-10226"), "ViewPosition": "LM"}, {"view": "LM"}, ""),
    ({"ViewCodeSequence": code("399099002")}, {"view": "other"}, ""),
    ({"BurnedInAnnotation": "YES"}, {"doubtful": False}, "BurnedInAnnotation"),
    ({"PresentationIntentType": "FOR PROCESSING"}, {}, "PresentationIntentType"),
    ({"PresentationLUTShape": "INVERSE"}, {"doubtful": True}, "PresentationLUTShape"),
    ({"PresentationLUTShape": "LIN OD"}, {"doubtful": False}, "PresentationLUTShape"),
    ({"WindowCenter": 60000, "WindowWidth": 10}, {"doubtful": True}, "one grey value"),
    ({"Modality": "CT"}, {"modality": "CT", "doubtful": True}, "CT"),
    ({"Modality": "Doe^Jane"}, {"modality": "other", "doubtful": True}, "other"),
    ({"PhotometricInterpretation": "MONOCHROME1"}, {"doubtful": True}, "background"),
])  # fmt: skip
def test_what_is_told_and_noted(written: Writer, given: Said, told: Said, noted: str) -> None:
    found = read_dicom(written(breast(), **given))
    assert {name: getattr(found, name) for name in told} == pytest.approx(told)
    assert any(noted in note for note in found.notes) if noted else found.notes == ()


WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
CROP = np.random.default_rng(0).integers(2000, 4000, (80, 60), dtype=np.uint16)
MARGINS = np.pad(breast(), ((0, 0), (60, 20)))


@pytest.mark.parametrize(("pixels", "given", "wall", "flipped", "contradicted"), [
    (breast(), {"ImageLaterality": "L"}, "left", False, False),
    (breast(), {"ImageLaterality": "R"}, "left", True, True),
    (breast()[:, ::-1], {"PatientOrientation": ["P", "L"], "Laterality": "L"}, "right", True,
     False),
    (breast(), {"PatientOrientation": ["A", "R"]}, "left", None, False),
    (breast()[:, ::-1], {}, "right", None, False),
    (CROP, {"ImageLaterality": "L"}, "left", False, False),  # as the header says
    (CROP, {}, "unknown", None, False),
    (MARGINS, {}, "left", None, False),
])  # fmt: skip
def test_the_chest_wall_is_checked_against_the_pixels(
    written: Writer, pixels: np.ndarray, given: Said, wall: str, flipped: object, contradicted: bool
) -> None:
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
def said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Reader:
    """Return ``said(path)``: all that reading a file gives, says or logs; without its own path."""

    def read(path: Path) -> str:
        caplog.clear()
        capfd.readouterr()
        with caplog.at_level(logging.DEBUG):
            try:
                found = repr(replace(read_dicom(path), image=np.zeros(0, np.float32)))
            except DataError as error:
                found = "".join(traceback.format_exception(error)).replace(str(path), "")
        return "".join([found, *capfd.readouterr(), caplog.text])

    return read


def test_planted_names_never_come_out(written: Writer, said: Reader) -> None:
    def change(ds: Dataset) -> None:
        ds.private_block(0x0011, SECRET, create=True).add_new(1, "LO", SECRET)
        ds.file_meta.SourceApplicationEntityTitle = SECRET

    names = [name for name in {*PERSONAL, *FIELDS} - {*STOPPING} if dictionary_VR(name) in TEXTS]
    path = written(breast(), change=change, **dict.fromkeys(names, SECRET.encode()))
    whole = said(path)
    assert "left" in whole  # it was read
    assert SECRET not in whole
    assert repr(pydicom.dcmread(path)).count(SECRET) > 25  # control: one that keeps all says it


@pytest.mark.parametrize("field", STOPPING)
def test_errors_name_the_field_at_fault_and_do_not_quote_it(
    written: Writer, said: Reader, field: str
) -> None:
    whole = said(written(breast(), **WINDOW | {field: SECRET.encode()}))
    assert SECRET not in whole
    assert "DataError: : field" in whole
    assert field in whole


def test_an_unknown_transfer_syntax_is_not_quoted(written: Writer, said: Reader) -> None:
    path, known = written(breast()), b"1.2.840.10008.1.2.1\0"
    path.write_bytes(path.read_bytes().replace(known, SECRET.encode().ljust(20, b"\0"), 1))
    whole = said(path)
    assert SECRET not in whole
    assert "not a standard transfer syntax" in whole
    assert look(path.parent, path)["side"] == "unknown"  # the header alone is sound

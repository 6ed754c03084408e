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
from pydicom.tag import Tag

from mammostudy.data.dicom import read_dicom
from mammostudy.data.dicom_file import FIELDS
from mammostudy.errors import DataError

Writer = Callable[..., Path]
Said = dict[str, object]
SECRET = "Planted^Secret"
DETECTOR, IMAGE = "ImagerPixelSpacing", "PixelSpacing"
FACTOR, KIND = "EstimatedRadiographicMagnificationFactor", "PixelSpacingCalibrationType"


def breast(side: str = "left") -> np.ndarray:
    """A bright half disc at one edge: what a view shows of a breast."""
    y, x = np.mgrid[:120, :100]
    image = np.where(np.hypot((y - 60) / 55, x / 70) < 1, 3000, 0).astype(np.uint16)
    return image if side == "left" else image[:, ::-1]


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


@pytest.mark.parametrize(("given", "shown", "contradicted", "flipped"), [
    ({"ImageLaterality": "L"}, "left", False, False),
    ({"ImageLaterality": "R"}, "left", True, True),
    ({"Laterality": "L", "PatientOrientation": ["P", "L"]}, "right", False, True),
    ({"PatientOrientation": ["A", "R"]}, "left", False, None), ({}, "right", False, None),
])  # fmt: skip
def test_the_chest_wall_is_checked_against_the_pixels(
    written: Writer, given: Said, shown: str, contradicted: bool, flipped: bool | None
) -> None:
    found = read_dicom(written(breast(shown), **given))
    assert (found.chest_wall, found.flipped) == (shown, flipped)
    assert any("other edge" in note for note in found.notes) == contradicted
    np.testing.assert_array_equal(found.image > 0.5, breast(shown) > 0)  # recorded, never flipped


def test_the_chest_wall_of_crops_and_margins(written: Writer) -> None:
    noise = np.random.default_rng(0).integers(2000, 4000, (80, 60), dtype=np.uint16)
    said = {"ImageLaterality": "L", "WindowCenter": 2048, "WindowWidth": 4096}
    crop = read_dicom(written(noise, **said))
    assert (crop.chest_wall, crop.flipped) == ("left", False)  # as the header says
    margins = np.pad(breast("right"), ((0, 0), (60, 20)))
    assert read_dicom(written(margins, **said)).chest_wall == "right"


# fields that stop the reading: planted each by itself
STOPPING = [
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PhotometricInterpretation",
]  # fmt: skip


def said_by_reading(path: Path) -> str:
    """Everything that reading a file gives or says, as text; without the file's own path."""
    try:
        return repr(replace(read_dicom(path), image=np.zeros(0, np.float32)))
    except DataError as error:
        return "".join(traceback.format_exception(error)).replace(str(path), "")


def test_planted_names_never_come_out(
    written: Writer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    personal = (
        "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "StudyDate",
        "InstitutionName", "ReferringPhysicianName", "OperatorsName", "AccessionNumber",
        "StudyDescription", "StationName", "ImageComments", "WindowCenterWidthExplanation",
    )  # fmt: skip

    texts = {"PN", "LO", "SH", "DA", "ST", "LT", "CS", "DS"}
    planted = {name for name in {*personal, *FIELDS} if dictionary_VR(Tag(name)) in texts}

    def change(ds: Dataset) -> None:
        ds.private_block(0x0011, SECRET, create=True).add_new(1, "LO", SECRET)
        ds.file_meta.SourceApplicationEntityTitle = SECRET

    fields = dict.fromkeys(planted - set(STOPPING), SECRET.encode())
    path = written(breast(), change=change, **fields)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        whole = said_by_reading(path)
    assert "left" in whole  # it was read
    out = capfd.readouterr()
    for text in (whole, out.out, out.err, caplog.text):
        assert SECRET not in text
    assert repr(pydicom.dcmread(path)).count(SECRET) > 25  # control: one that keeps all says it


@pytest.mark.parametrize("field", STOPPING)
def test_errors_name_the_field_at_fault_and_do_not_quote_it(
    written: Writer, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 3000}
    path = written(breast(), **window | {field: SECRET.encode()})
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        said = said_by_reading(path)
    assert SECRET not in said + caplog.text
    assert "DataError: : field" in said
    assert field in said


def test_an_unknown_transfer_syntax_is_not_quoted(written: Writer) -> None:
    path = written(breast())
    known = b"1.2.840.10008.1.2.1\0"
    path.write_bytes(path.read_bytes().replace(known, SECRET.encode().ljust(20, b"\0"), 1))
    with pytest.raises(DataError, match="not a standard transfer syntax") as caught:
        read_dicom(path)
    assert SECRET not in str(caught.value)

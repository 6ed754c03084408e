"""What the header says of a mammogram, what its pixels say, and what is kept back."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from mammostudy.data import dicom_file
from mammostudy.data.dicom import Mammogram, read_dicom
from mammostudy.errors import DataError

Writer = Callable[..., Path]
Reader = Callable[..., Mammogram]
SECRET = "Planted^Secret"
DETECTOR, IMAGE, SCANNER = "ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"
FACTOR, KIND = "EstimatedRadiographicMagnificationFactor", "PixelSpacingCalibrationType"


@pytest.fixture
def read(tmp_path: Path, write_dicom: Writer) -> Reader:
    """Return ``read(pixels, **fields)``: written and read again."""
    return lambda pixels, **said: read_dicom(write_dicom(tmp_path / "a.dcm", pixels, **said))


def breast(side: str = "left") -> np.ndarray:
    """A bright half disc at one edge: what a view shows of a breast."""
    y, x = np.mgrid[:120, :100]
    image = np.where(np.hypot((y - 60) / 55, x / 70) < 1, 3000, 0).astype(np.uint16)
    return image if side == "left" else image[:, ::-1]


@pytest.mark.parametrize(("given", "spacing", "noted"), [
    ({DETECTOR: [0.07, 0.07]}, 0.07, None),
    ({DETECTOR: [0.07, 0.07], IMAGE: [0.05, 0.05]}, 0.07, "differ"),
    ({DETECTOR: [0.07, 0.07], IMAGE: [0.05, 0.05], KIND: "GEOMETRY"}, 0.05, "differ"),
    ({DETECTOR: [0.09, 0.09], FACTOR: 1.8, IMAGE: [0.05, 0.05]}, 0.05, None),
    ({IMAGE: [0.09, 0.09], FACTOR: 1.8}, 0.09, None),
    ({DETECTOR: [0.09, 0.09], FACTOR: 0.2}, 0.09, FACTOR),
    ({SCANNER: [0.0435, 0.0435]}, 0.0435, None),
    ({DETECTOR: [0, 0], IMAGE: [0.05, 0.05]}, 0.05, None),
    ({DETECTOR: [0.07, 0.14], IMAGE: [0.05, 0.05]}, 0.05, "left out"),
    ({DETECTOR: [700, 700]}, None, "left out"), ({}, None, None),
])  # fmt: skip
def test_precedence_of_spacings(
    read: Reader, given: dict[str, object], spacing: float | None, noted: str | None
) -> None:
    found = read(breast(), **given)
    assert found.spacing_mm == (None if spacing is None else pytest.approx(spacing))
    assert len(found.notes) == (noted is not None)
    assert noted is None or noted in found.notes[0]


@pytest.mark.parametrize(("given", "shown", "said", "flipped"), [
    ({"ImageLaterality": "L"}, "left", "left", False),
    ({"ImageLaterality": "R"}, "left", "right", True),
    ({"Laterality": "L", "PatientOrientation": ["P", "L"]}, "right", "right", True),
    ({"PatientOrientation": ["A", "R"]}, "left", "left", None), ({}, "right", "unknown", None),
])  # fmt: skip
def test_the_chest_wall_is_checked_against_the_pixels(
    read: Reader, given: dict[str, object], shown: str, said: str, flipped: bool | None
) -> None:
    found = read(breast(shown), **given)
    assert (found.chest_wall_said, found.chest_wall_seen, found.flipped) == (said, shown, flipped)
    contradicted = any("other edge" in note for note in found.notes)
    assert contradicted == (said not in ("unknown", shown))
    np.testing.assert_array_equal(found.image > 0.5, breast(shown) > 0)  # recorded, never flipped


def test_the_chest_wall_of_crops_and_margins(read: Reader) -> None:
    noise = np.random.default_rng(0).integers(2000, 4000, (80, 60), dtype=np.uint16)
    crop = read(noise, ImageLaterality="L", WindowCenter=2048, WindowWidth=4096)
    assert (crop.chest_wall_seen, crop.flipped) == ("unknown", False)
    assert read(np.pad(breast("left"), ((0, 0), (60, 20)))).chest_wall_seen == "left"


def code(value: str) -> Sequence:
    item = Dataset()
    item.CodeValue = value
    return Sequence([item])


@pytest.mark.parametrize(("given", "view", "side"), [
    ({"ViewPosition": "MLO", "ImageLaterality": "L", "Laterality": "R"}, "MLO", "L"),
    ({"ViewPosition": "XCCL", "Laterality": "R"}, "other", "R"),
    ({"PatientOrientation": "MLO"}, "MLO", "unknown"),
    ({"PatientOrientation": ["A", "R"]}, "unknown", "unknown"),
    ({"ViewCodeSequence": code("399162004")}, "CC", "unknown"),
    ({"ViewCodeSequence": code("R-10226"), "ViewPosition": "LM"}, "LM", "unknown"),
    ({"ViewCodeSequence": code("399099002")}, "other", "unknown"),
])  # fmt: skip
def test_view_and_side(read: Reader, given: dict[str, object], view: str, side: str) -> None:
    found = read(breast(), **given)
    assert (found.view, found.side) == (view, side)
    contradicted = any("contradicts ImageLaterality" in note for note in found.notes)
    assert contradicted == ("ImageLaterality" in given)


@pytest.mark.parametrize(("given", "part", "doubtful"), [
    ({}, None, False),
    ({"BurnedInAnnotation": "YES"}, "may name the patient", False),
    ({"PresentationIntentType": "FOR PROCESSING"}, "raw values", False),
    ({"PresentationLUTShape": "INVERSE"}, "contradicts PhotometricInterpretation", True),
    ({"PresentationLUTShape": "LIN OD"}, "is left out", False),
    ({"WindowCenter": 60000, "WindowWidth": 10}, "one grey value", True),
    ({"Modality": "CT"}, "Modality is CT, not MG", True),
    ({"Modality": "Doe^Jane"}, "Modality is other, not MG", True),
    ({"PhotometricInterpretation": "MONOCHROME1"}, "background is bright", True),
])  # fmt: skip
def test_notes_and_doubts(
    read: Reader, given: dict[str, object], part: str | None, doubtful: bool
) -> None:
    found = read(breast(), **given)
    assert any(part in note for note in found.notes) if part else found.notes == ()
    assert found.doubtful == doubtful


# fields of numbers stop the reading: planted each by itself
NUMERIC = [
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PhotometricInterpretation",
]  # fmt: skip


def plant(path: Path, kept: set[str]) -> int:
    """Write a secret into the text fields of a header; return how many took it."""
    ds = pydicom.dcmread(path)
    personal = (
        "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "StudyDate",
        "InstitutionName", "ReferringPhysicianName", "OperatorsName", "AccessionNumber",
        "StudyDescription", "StationName", "ImageComments", "WindowCenterWidthExplanation",
    )  # fmt: skip
    planted = 0
    for name in (*personal, *dicom_file.FIELDS):
        tag = Tag(name)
        vr = pydicom.datadict.dictionary_VR(tag)
        if vr in {"PN", "LO", "SH", "DA", "ST", "LT", "CS", "DS", "IS"} and name not in kept:
            raw = (tag, vr, len(SECRET), SECRET.encode(), 0, False, True)
            ds._dict[tag] = pydicom.dataelem.RawDataElement(*raw)
            planted += 1
    ds.private_block(0x0011, SECRET, create=True).add_new(1, "LO", SECRET)
    ds.file_meta.SourceApplicationEntityTitle = SECRET
    ds.save_as(path)
    return planted


def said_by_reading(path: Path) -> str:
    """Everything that reading a file gives or says, as text; without the file's own path."""
    try:
        found = read_dicom(path)
    except DataError as error:
        return "".join(traceback.format_exception(error)).replace(str(path), "")
    return repr([getattr(found, field.name) for field in fields(found) if field.name != "image"])


def test_planted_names_never_come_out(
    tmp_path: Path, write_dicom: Writer, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    path = write_dicom(tmp_path / "a.dcm", breast())
    assert plant(path, set(NUMERIC)) > 25
    with caplog.at_level(logging.DEBUG):
        whole = said_by_reading(path)
    assert "left" in whole  # it was read
    out = capfd.readouterr()
    for text in (whole, out.out, out.err, caplog.text):
        assert SECRET not in text
    assert SECRET in repr(pydicom.dcmread(path))  # control: one that keeps all would say it


@pytest.mark.parametrize("field", NUMERIC)
def test_errors_name_the_field_at_fault_and_do_not_quote_it(
    tmp_path: Path, write_dicom: Writer, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), WindowCenter=2000, WindowWidth=3000)
    plant(path, set(dicom_file.FIELDS) - {field})
    with caplog.at_level(logging.DEBUG):
        said = said_by_reading(path)
    assert SECRET not in said + caplog.text
    assert "DataError: : field" in said
    assert field in said


def test_an_unknown_transfer_syntax_is_not_quoted(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast())
    known = b"1.2.840.10008.1.2.1\0"
    path.write_bytes(path.read_bytes().replace(known, SECRET.encode().ljust(20, b"\0"), 1))
    with pytest.raises(DataError, match="not a standard transfer syntax") as caught:
        read_dicom(path)
    assert SECRET not in str(caught.value)

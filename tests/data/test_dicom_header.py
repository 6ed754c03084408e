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
from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

Writer = Callable[..., Path]
SECRETS = ("Planted^Secret", "19491231")
DETECTOR, IMAGE, SCANNER = "ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"
FACTOR, KIND = "EstimatedRadiographicMagnificationFactor", "PixelSpacingCalibrationType"


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
    ({DETECTOR: [700, 700]}, None, "left out"),
    ({}, None, None),
])  # fmt: skip
def test_precedence_of_spacings(
    tmp_path: Path, write_dicom: Writer, given: dict[str, object], spacing: float | None,
    noted: str | None,
) -> None:  # fmt: skip
    read = read_dicom(write_dicom(tmp_path / "a.dcm", breast(), **given))
    assert read.spacing_mm == (None if spacing is None else pytest.approx(spacing))
    assert len(read.notes) == (noted is not None)
    assert noted is None or noted in read.notes[0]


@pytest.mark.parametrize("written", [b"0,07\\0,07", b"nan\\nan  "])
def test_a_spacing_that_is_no_number_is_unknown(
    tmp_path: Path, write_dicom: Writer, written: bytes
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), **{IMAGE: [0.07, 0.07]})
    path.write_bytes(path.read_bytes().replace(b"0.07\\0.07", written))
    read = read_dicom(path)
    assert read.spacing_mm is None
    assert read.notes == (f"{IMAGE} is not two equal plausible numbers and is left out",)


@pytest.mark.parametrize(("given", "shown", "said", "flipped"), [
    ({"ImageLaterality": "L"}, "left", "left", False),
    ({"ImageLaterality": "R"}, "left", "right", True),
    ({"Laterality": "L", "PatientOrientation": ["P", "L"]}, "right", "right", True),
    ({"PatientOrientation": ["A", "R"]}, "left", "left", None),
    ({}, "right", "unknown", None),
])  # fmt: skip
def test_the_chest_wall_is_checked_against_the_pixels(
    tmp_path: Path, write_dicom: Writer, given: dict[str, object], shown: str, said: str,
    flipped: bool | None,
) -> None:  # fmt: skip
    read = read_dicom(write_dicom(tmp_path / "a.dcm", breast(shown), **given))
    assert (read.chest_wall_said, read.chest_wall_seen, read.flipped) == (said, shown, flipped)
    contradicted = any("other edge" in note for note in read.notes)
    assert contradicted == (said not in ("unknown", shown))
    np.testing.assert_array_equal(read.image > 0.5, breast(shown) > 0)  # recorded, never flipped


def test_the_chest_wall_of_crops_and_margins(tmp_path: Path, write_dicom: Writer) -> None:
    noise = np.random.default_rng(0).integers(2000, 4000, (80, 60), dtype=np.uint16)
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    crop = read_dicom(write_dicom(tmp_path / "a.dcm", noise, ImageLaterality="L", **window))
    assert (crop.chest_wall_seen, crop.flipped) == ("unknown", False)
    padded = np.pad(breast("left"), ((0, 0), (60, 20)))
    assert read_dicom(write_dicom(tmp_path / "b.dcm", padded)).chest_wall_seen == "left"


@pytest.mark.parametrize(("given", "view", "side"), [
    ({"ViewPosition": "MLO", "ImageLaterality": "L", "Laterality": "R"}, "MLO", "L"),
    ({"ViewPosition": "XCCL", "Laterality": "R"}, "other", "R"),
    ({"PatientOrientation": "MLO"}, "MLO", "unknown"),
    ({"PatientOrientation": ["A", "R"]}, "unknown", "unknown"),
    ({"code": "399162004"}, "CC", "unknown"),
    ({"code": "R-10226", "ViewPosition": "LM"}, "LM", "unknown"),
    ({"code": "399099002"}, "other", "unknown"),
])  # fmt: skip
def test_view_and_side(
    tmp_path: Path, write_dicom: Writer, given: dict[str, object], view: str, side: str
) -> None:
    given = dict(given)
    if code := given.pop("code", None):
        item = Dataset()
        item.CodeValue = code
        given["ViewCodeSequence"] = Sequence([item])
    read = read_dicom(write_dicom(tmp_path / "a.dcm", breast(), **given))
    assert (read.view, read.side) == (view, side)
    contradicted = any("contradicts ImageLaterality" in note for note in read.notes)
    assert contradicted == ("ImageLaterality" in given)


@pytest.mark.parametrize(("given", "part", "doubtful"), [
    ({}, None, False),
    ({"BurnedInAnnotation": "YES"}, "may name the patient", False),
    ({"LossyImageCompression": "01"}, "LossyImageCompression", False),
    ({"PresentationIntentType": "FOR PROCESSING"}, "raw values", False),
    ({"PresentationLUTShape": "INVERSE"}, "contradicts PhotometricInterpretation", True),
    ({"PresentationLUTShape": "LIN OD"}, "is left out", False),
    ({"FieldOfViewHorizontalFlip": "YES"}, "mirrored", False),
    ({"WindowCenter": 60000, "WindowWidth": 10}, "one grey value", True),
    ({"Modality": "CT"}, "Modality is CT, not MG", True),
    ({"Modality": "Doe^Jane"}, "Modality is other, not MG", True),
    ({"PhotometricInterpretation": "MONOCHROME1"}, "background is bright", True),
])  # fmt: skip
def test_notes_and_doubts(
    tmp_path: Path, write_dicom: Writer, given: dict[str, object], part: str | None, doubtful: bool
) -> None:
    read = read_dicom(write_dicom(tmp_path / "a.dcm", breast(), **given))
    assert any(part in note for note in read.notes) if part else read.notes == ()
    assert read.doubtful == doubtful


# fields of numbers stop the reading: planted each by itself
NUMERIC = [
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PhotometricInterpretation",
]  # fmt: skip


def plant(path: Path, secret: str, kept: set[str]) -> int:
    """Write a secret into the text fields of a header; return how many took it."""
    ds = pydicom.dcmread(path)
    personal = (
        "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "OtherPatientIDs",
        "StudyDate", "InstitutionName", "ReferringPhysicianName", "OperatorsName",
        "AccessionNumber", "StudyDescription", "StationName", "ImageComments", "ProtocolName",
        "DeviceSerialNumber", "WindowCenterWidthExplanation",
    )  # fmt: skip
    planted = 0
    for name in (*personal, *dicom_file.FIELDS):
        tag = Tag(name)
        vr = pydicom.datadict.dictionary_VR(tag)
        if vr in {"PN", "LO", "SH", "DA", "ST", "LT", "CS", "DS", "IS"} and name not in kept:
            value = secret.encode() + b" " * (len(secret) % 2)
            raw = pydicom.dataelem.RawDataElement(tag, vr, len(value), value, 0, False, True)
            ds._dict[tag] = raw
            planted += 1
    ds.private_block(0x0011, secret, create=True).add_new(1, "LO", secret)
    ds.file_meta.SourceApplicationEntityTitle = secret[:16]
    ds.save_as(path)
    return planted


def said_by_reading(path: Path) -> str:
    """Everything that reading a file gives or says, as text; without the file's own path."""
    try:
        read = read_dicom(path)
    except DataError as error:
        return "".join(traceback.format_exception(error)).replace(str(path), "")
    return repr([getattr(read, field.name) for field in fields(read) if field.name != "image"])


@pytest.mark.parametrize("secret", SECRETS)
def test_planted_names_and_dates_never_come_out(
    tmp_path: Path, write_dicom: Writer, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture, secret: str,
) -> None:  # fmt: skip
    path = write_dicom(tmp_path / "a.dcm", breast())
    assert plant(path, secret, set(NUMERIC)) > 25
    with caplog.at_level(logging.DEBUG):
        whole = said_by_reading(path)
    assert "left" in whole  # it was read
    out = capfd.readouterr()
    for text in (whole, out.out, out.err, caplog.text):
        assert secret not in text
    assert secret in repr(pydicom.dcmread(path))  # control: one that keeps all would say it


@pytest.mark.parametrize("field", NUMERIC)
def test_errors_name_the_field_at_fault_and_do_not_quote_it(
    tmp_path: Path, write_dicom: Writer, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), WindowCenter=2000, WindowWidth=3000)
    plant(path, SECRETS[0], set(dicom_file.FIELDS) - {field})
    with caplog.at_level(logging.DEBUG):
        said = said_by_reading(path)
    assert SECRETS[0] not in said + caplog.text
    assert "DataError: : field" in said
    assert field in said


def test_an_unknown_transfer_syntax_is_not_quoted(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast())
    known = b"1.2.840.10008.1.2.1\0"
    path.write_bytes(path.read_bytes().replace(known, b"Planted^Secret".ljust(20, b"\0"), 1))
    with pytest.raises(DataError, match="not a standard transfer syntax") as caught:
        read_dicom(path)
    assert "Planted" not in str(caught.value)

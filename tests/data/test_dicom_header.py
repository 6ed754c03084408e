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

from mammostudy.data import dicom_file, dicom_header
from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

Writer = Callable[..., Path]
SECRETS = ("Planted^Secret", "19491231", "St. Nowhere Hospital", "MRN-4711")


def breast(side: str = "left", background: int = 0) -> np.ndarray:
    """A bright half disc at one edge: what a view shows of a breast."""
    y, x = np.mgrid[:120, :100]
    image = np.where(np.hypot((y - 60) / 55, x / 70) < 1, 3000, background).astype(np.uint16)
    return image if side == "left" else image[:, ::-1]


@pytest.mark.parametrize(
    ("given", "spacing", "source"),
    [
        ({"ImagerPixelSpacing": [0.07, 0.07], "PixelSpacing": [0.05, 0.05]}, 0.07, 0),
        ({"PixelSpacing": [0.05, 0.05], "NominalScannedPixelSpacing": [0.1, 0.1]}, 0.05, 1),
        ({"NominalScannedPixelSpacing": [0.0435, 0.0435]}, 0.0435, 2),
        ({"ImagerPixelSpacing": [0, 0], "PixelSpacing": [0.05, 0.05]}, 0.05, 1),
        ({"ImagerPixelSpacing": [0.07, 0.14], "PixelSpacing": [0.05, 0.05]}, 0.05, 1),
        ({"ImagerPixelSpacing": [0.07, 0.14]}, None, None),
        ({"ImagerPixelSpacing": [700, 700]}, None, None),
        ({}, None, None),
    ],
)
def test_precedence_of_spacings(
    tmp_path: Path,
    write_dicom: Writer,
    given: dict[str, object],
    spacing: float | None,
    source: int | None,
) -> None:
    read = read_dicom(write_dicom(tmp_path / "a.dcm", breast(), **given))
    assert read.spacing_mm == spacing
    assert read.spacing_from == (None if source is None else dicom_header.SPACINGS[source])
    left_out = any("left out" in note for note in read.notes)
    assert left_out == any(field[0] > 1 or field[0] != field[1] for field in given.values())


def test_a_spacing_that_is_no_number(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), ImagerPixelSpacing=[0.07, 0.07])
    path.write_bytes(path.read_bytes().replace(b"0.07\\0.07", b"0.07\\O.07"))
    with pytest.raises(DataError, match="ImagerPixelSpacing is not a number"):
        read_dicom(path)


@pytest.mark.parametrize(
    ("given", "shown", "said", "seen", "flipped"),
    [
        ({"ImageLaterality": "L"}, "left", "left", "left", False),
        ({"ImageLaterality": "R"}, "right", "right", "right", False),
        ({"ImageLaterality": "R"}, "left", "right", "left", True),
        ({"Laterality": "L"}, "right", "left", "right", True),
        ({"Laterality": "L", "PatientOrientation": ["P", "L"]}, "right", "right", "right", True),
        ({"Laterality": "R", "PatientOrientation": ["P", "L"]}, "right", "right", "right", False),
        ({"PatientOrientation": ["A", "R"]}, "left", "left", "left", None),
        ({}, "right", "unknown", "right", None),
    ],
)
def test_the_chest_wall_is_checked_against_the_pixels(
    tmp_path: Path,
    write_dicom: Writer,
    given: dict[str, object],
    shown: str,
    said: str,
    seen: str,
    flipped: bool | None,
) -> None:
    pixels = breast(shown)
    read = read_dicom(write_dicom(tmp_path / "a.dcm", pixels, **given))
    assert (read.chest_wall_said, read.chest_wall_seen) == (said, seen)
    assert (read.chest_wall, read.flipped) == (shown, flipped)
    contradicted = any("other edge" in note for note in read.notes)
    assert contradicted == (said not in ("unknown", seen))
    np.testing.assert_array_equal(read.image > 0.5, pixels > 0)  # recorded, never flipped


def test_the_chest_wall_of_a_crop_is_unknown(tmp_path: Path, write_dicom: Writer) -> None:
    noise = np.random.default_rng(0).integers(2000, 4000, (80, 60), dtype=np.uint16)
    read = read_dicom(write_dicom(tmp_path / "a.dcm", noise, ImageLaterality="L", WindowCenter=2048,
                                  WindowWidth=4096))  # fmt: skip
    assert (read.chest_wall_seen, read.chest_wall, read.flipped) == ("unknown", "left", False)


def test_margins_do_not_hide_the_chest_wall(tmp_path: Path, write_dicom: Writer) -> None:
    pixels = np.pad(breast("left"), ((0, 0), (60, 20)))
    assert read_dicom(write_dicom(tmp_path / "a.dcm", pixels)).chest_wall_seen == "left"


def test_sides_at_odds(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), ImageLaterality="L", Laterality="R")
    read = read_dicom(path)
    assert read.side == "L"
    assert any("contradicts ImageLaterality" in note for note in read.notes)


@pytest.mark.parametrize(
    ("code", "view"), [("399162004", "CC"), ("R-10226", "MLO"), ("399099002", "other")]
)
def test_the_view_from_its_code(tmp_path: Path, write_dicom: Writer, code: str, view: str) -> None:
    item = Dataset()
    item.CodeValue = code
    path = write_dicom(tmp_path / "a.dcm", breast(), ViewCodeSequence=Sequence([item]))
    assert read_dicom(path).view == view
    path = write_dicom(
        tmp_path / "b.dcm", breast(), ViewPosition="LM", ViewCodeSequence=Sequence([item])
    )
    assert read_dicom(path).view == "LM"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"BurnedInAnnotation": "YES"}, "may name the patient"),
        ({"LossyImageCompression": "01"}, "LossyImageCompression"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw values"),
        ({"PresentationLUTShape": "INVERSE"}, "contradicts PhotometricInterpretation"),
        ({"PresentationLUTShape": "LIN OD"}, "is left out"),
        ({"FieldOfViewHorizontalFlip": "YES"}, "mirrored"),
        ({"WindowCenter": 60000, "WindowWidth": 10}, "one grey value"),
    ],
)
def test_notes(tmp_path: Path, write_dicom: Writer, given: dict[str, object], part: str) -> None:
    assert read_dicom(write_dicom(tmp_path / "plain.dcm", breast())).notes == ()
    notes = read_dicom(write_dicom(tmp_path / "a.dcm", breast(), **given)).notes
    assert any(part in note for note in notes)


def test_burned_in_annotation_is_reported(tmp_path: Path, write_dicom: Writer) -> None:
    for said, reported in (("YES", "yes"), ("NO", "no"), ("", "unknown"), ("MAYBE", "unknown")):
        path = write_dicom(tmp_path / "a.dcm", breast(), BurnedInAnnotation=said)
        assert read_dicom(path).burned_in == reported


def test_a_wrong_inversion_is_noticed(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), PhotometricInterpretation="MONOCHROME1",
                       ImageLaterality="L")  # fmt: skip
    read = read_dicom(path)
    assert read.inverted
    assert any("background is bright" in note for note in read.notes)
    assert (read.chest_wall_seen, read.flipped) == ("unknown", False)
    path = write_dicom(tmp_path / "b.dcm", 4095 - breast(), ImageLaterality="L",
                       PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    assert read_dicom(path).notes == ()  # control: stored inverted, it is right


def plant(path: Path, secret: str) -> int:
    """Write a secret into every text field of a mammogram's header; return how many took it."""
    ds = pydicom.dcmread(path)
    personal = (
        "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "OtherPatientIDs",
        "PatientComments", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
        "InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "OperatorsName",
        "AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "StationName",
        "ImageComments", "ProtocolName", "DeviceSerialNumber", "WindowCenterWidthExplanation",
    )  # fmt: skip
    planted = 0
    for name in (*personal, *dicom_file.FIELDS):
        tag = Tag(name)
        vr = pydicom.datadict.dictionary_VR(tag)
        if vr not in {"PN", "LO", "SH", "DA", "ST", "LT", "CS", "DS", "IS"} or name in KEPT:
            continue
        text = secret.encode() + b" " * (len(secret) % 2)
        ds._dict[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(text), text, 0, False, True)
        planted += 1
    block = ds.private_block(0x0011, secret, create=True)
    block.add_new(1, "LO", secret)
    ds.file_meta.SourceApplicationEntityTitle = secret[:16]
    ds.file_meta.PrivateInformationCreatorUID = "1.2"
    ds.file_meta.PrivateInformation = secret.encode() + b"\0" * (len(secret) % 2)
    ds.save_as(path)
    return planted


KEPT = {"PhotometricInterpretation"}
# fields of numbers stop the reading: planted each by itself
NUMERIC = [
    "ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing", "NumberOfFrames",
    "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "PhotometricInterpretation",
]  # fmt: skip


def said_by(path: Path) -> str:
    """Everything that reading a file gives or says, as text; without the file's own path."""
    try:
        read = read_dicom(path)
    except DataError as error:
        return "".join(traceback.format_exception(error)).replace(str(path), "")
    values = [getattr(read, field.name) for field in fields(read) if field.name != "image"]
    return repr([*values, read.chest_wall, read.flipped])


@pytest.mark.parametrize("secret", SECRETS)
def test_planted_names_and_dates_never_come_out(
    tmp_path: Path,
    write_dicom: Writer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    secret: str,
) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast())
    assert not any(word in said_by(path) for word in SECRETS)
    monkeypatch.setitem(globals(), "KEPT", KEPT | set(NUMERIC))
    assert plant(path, secret) > 30
    with caplog.at_level(logging.DEBUG):
        whole = said_by(path)
    assert "left" in whole  # it was read
    out = capfd.readouterr()
    for text in (whole, out.out, out.err, caplog.text):
        assert secret not in text
    assert secret in repr(pydicom.dcmread(path))  # control: one that keeps all would say it


@pytest.mark.parametrize("field", NUMERIC)
@pytest.mark.parametrize("secret", SECRETS)
def test_errors_do_not_quote_the_field_at_fault(
    tmp_path: Path,
    write_dicom: Writer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    field: str,
    secret: str,
) -> None:
    given = {"WindowCenter": 2000, "WindowWidth": 3000}
    path = write_dicom(tmp_path / "a.dcm", breast(), **given)
    monkeypatch.setitem(globals(), "KEPT", set(dicom_file.FIELDS) - {field})
    plant(path, secret)
    with caplog.at_level(logging.DEBUG):
        assert secret not in said_by(path) + caplog.text
    if secret == SECRETS[0]:
        with pytest.raises(DataError, match=field):
            read_dicom(path)


def test_an_unknown_transfer_syntax_is_not_quoted(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast())
    known = b"1.2.840.10008.1.2.1\0"
    path.write_bytes(path.read_bytes().replace(known, b"Planted^Secret".ljust(20, b"\0"), 1))
    with pytest.raises(DataError, match="not a standard transfer syntax") as caught:
        read_dicom(path)
    assert "Planted" not in str(caught.value)


def test_only_the_fields_that_are_named_are_kept(tmp_path: Path, write_dicom: Writer) -> None:
    path = write_dicom(tmp_path / "a.dcm", breast(), PatientName=SECRETS[0], PatientID=SECRETS[3])
    header = dicom_file.read_header(path, path.read_bytes())
    kept = set(header.dir())
    assert not {"PatientName", "PatientID"} & kept
    assert kept <= {*dicom_file.FIELDS, "SpecificCharacterSet"}

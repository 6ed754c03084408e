"""Files of the archive: found under every folder above them, measured without decoding."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from mammostudy.data.sources import archive_dicoms
from mammostudy.data.sources.archive_dicoms import identify, index_files, look
from mammostudy.errors import DataError

UID = "1.3.6.1.4.1.9590.100.1.2.1"


def write(path: Path, **fields: object) -> Path:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = UID + ".1"
    data.PatientName, data.PatientID, data.SeriesInstanceUID = "Doe^Jane", "D1-0001", UID
    data.Rows, data.Columns, data.SamplesPerPixel = 30, 20, 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PhotometricInterpretation, data.Laterality = "MONOCHROME2", "L"
    data.PatientOrientation = "CC"
    for name, value in fields.items():
        setattr(data, name, value)
    data.PixelData = np.arange(600, dtype=np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def test_files_stand_under_the_name_of_every_folder_above_them(tmp_path: Path) -> None:
    one = write(tmp_path / "case" / "study" / f"MG_{UID}" / "b.DCM")
    two = write(tmp_path / "a.dcm")
    (tmp_path / "case" / "notes.txt").write_text("no image")
    index = index_files(tmp_path)
    assert index == {"": [two, one], "case": [one], "study": [one], UID: [one]}


def test_look_measures_and_hashes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", ImagerPixelSpacing=[0.1, 0.1])
    header = look(path)
    assert (header.height, header.width, header.spacing_mm) == (30, 20, 0.1)
    assert (header.view, header.side) == ("CC", "L")
    assert header.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "Doe" not in repr(header)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"Rows": 0}, "Rows"),
        ({"Rows": 65_535, "Columns": 65_535}, "Rows"),
        ({"Columns": 21}, "PixelData"),
        ({"NumberOfFrames": 3}, "NumberOfFrames"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"BitsAllocated": 12}, "PixelData"),
    ],
)
def test_what_is_no_mammogram_is_refused(
    tmp_path: Path, fields: dict[str, object], word: str
) -> None:
    path = write(tmp_path / "a.dcm", **fields)
    with pytest.raises(DataError, match=word) as caught:
        look(path)
    assert str(path) in str(caught.value)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 100, 140, 300, 600, 1500])
def test_truncated_files_are_refused(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "a.dcm")
    assert path.stat().st_size > 1500
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=str(path)):
        look(path)


def test_identify_reads_the_two_public_identifiers_and_fails_softly(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm")
    assert identify(path) == ("D1-0001", UID)
    path.write_bytes(path.read_bytes()[:200])
    assert identify(path)[1] == ""
    for content in (b"", b"no DICOM", b"\0" * 128 + b"DICM" + b"\xff" * 500):
        path.write_bytes(content)
        assert identify(path) == ("", "")
    assert identify(tmp_path / "absent.dcm") == ("", "")


def test_identify_does_not_inflate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deflated file of 64 KiB could fill 64 MiB, and a header of them any memory."""
    path = write(tmp_path / "a.dcm")
    content = path.read_bytes()
    plain, packed = str(ExplicitVRLittleEndian), str(DeflatedExplicitVRLittleEndian)
    start = content.index(plain.encode()) + len(plain) + 1
    rest = start + content[start:].index(b"\x08\x00\x16\x00")
    head = content[: start - len(plain) - 1 - 2] + b"\x16\x00" + packed.encode()
    group = bytearray(head + content[start:rest])
    length = int.from_bytes(group[140:144], "little") + 2
    group[140:144] = length.to_bytes(4, "little")
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(bytes(group) + squeeze.compress(content[rest:]) + squeeze.flush())
    assert identify(path) == ("", "")
    monkeypatch.setattr(archive_dicoms, "DeflatedExplicitVRLittleEndian", "absent")
    assert identify(path) == ("D1-0001", UID)  # control: the guard is what stops it


def test_a_field_that_cannot_be_converted_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.dcm")
    content = path.read_bytes()
    assert content.count(b"\xe0\x7f\x10\x00OW") == 1
    path.write_bytes(content.replace(b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x10\x00GB"))
    with pytest.raises(DataError, match="damaged"):
        look(path)
    monkeypatch.setattr(archive_dicoms, "FAILURES", ())
    with pytest.raises(NotImplementedError):  # control: the guard is what catches it
        look(path)


def test_a_syntax_that_dicom_does_not_know_is_an_error_of_ours(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"))
    with pytest.raises(DataError, match="TransferSyntaxUID"):
        look(path)

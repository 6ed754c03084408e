"""CMMD: the published table, layouts of its downloaders, and each known fault."""

from __future__ import annotations

import random
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import COLUMNS, validate
from mammostudy.data.sources import cmmd, csv_tables
from mammostudy.data.sources.cmmd import build_manifest, read_breasts, read_folder, subtype_counts
from mammostudy.data.tasks import require, tasks_of
from mammostudy.errors import DataError

MEBIBYTE = 2**20
HEADER = "ID1,LeftRight,Age,number,abnormality,classification,subtype\r\n"
LINES = (
    "D1-0001,R,44,2,calcification,Benign,\r\n"
    "D1-0002,L,40,2,mass,Malignant,\r\n"
    "D2-0003,L,61,2,both,Malignant,Luminal A\r\n"
    "D2-0003,R,61,2,mass,Malignant,triple negative\r\n"
    "D2-0004,L,50,2,mass,Malignant,HER2-enriched\r\n"
    "D2-0005,R,55,2,mass,Malignant,Luminal B\r\n"
)
GOOD = HEADER + LINES
IMAGES = [  # patient, side, view
    ("D1-0001", "R", "CC"), ("D1-0001", "R", "MLO"), ("D1-0002", "L", "CC"),
    ("D2-0003", "L", "MLO"), ("D2-0003", "R", "CC"), ("D2-0004", "L", "CC"),
]  # fmt: skip
VIEWS = {"CC": "399162004", "MLO": "399368009"}
OLD_VIEWS = {"CC": "R-10242", "MLO": "R-10226"}
LAYOUTS = ("client", "series", "cloud")
SHEET = "CMMD_clinicaldata_revision.xlsx"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def write_sheet(path: Path, rows: list[list[str]], **parts: str) -> Path:
    """Write a spreadsheet as office programs do: words shared, numbers in place, blanks left out.

    ``parts`` replaces ``strings`` or ``sheet``, the XML of a part.
    """
    words: list[str] = []
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = ""
        for letter, cell in zip("ABCDEFGH", row, strict=False):
            if cell.isdigit():
                cells += f'<c r="{letter}{number}"><v>{cell}</v></c>'
            elif cell:
                cells += f'<c r="{letter}{number}" t="s"><v>{len(words)}</v></c>'
                words.append(cell)
        lines.append(f'<row r="{number}">{cells}</row>')
    strings = "".join(f"<si><t>{word}</t></si>" for word in words)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "xl/sharedStrings.xml", parts.get("strings", f'<sst xmlns="{MAIN}">{strings}</sst>')
        )
        sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", parts.get("sheet", sheet))
    return path


def write_dicom(
    path: Path,
    patient: str,
    side: str,
    view: str,
    codes: dict[str, str] | None = None,
    **fields: object,
) -> Path:
    """Write a mammogram as CMMD has them: 8 bits, the view as a code and not in ViewPosition."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.3.6.1.4.1.14519.5.2.1"
    data.SeriesInstanceUID = f"1.3.6.1.4.1.14519.5.2.1.{int(patient[3:])}"
    data.PatientName = data.PatientID = patient
    data.Modality, data.ImageLaterality = "MG", side
    if view:
        code = Dataset()
        code.CodeValue = (VIEWS if codes is None else codes)[view]
        code.CodingSchemeDesignator, code.CodeMeaning = "SCT", "as published"
        data.ViewCodeSequence = [code]
    pixels = np.random.default_rng(list(f"{patient}{side}{view}{path.name}".encode())).integers(
        0, 255, (48, 40), dtype=np.uint8
    )
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 7, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.ImagerPixelSpacing = [0.094, 0.094]
    for name, value in fields.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def place_of(layout: str, patient: str, number: int) -> Path:
    series = f"1.3.6.1.4.1.14519.5.2.1.{int(patient[3:])}"
    if layout == "client":
        return Path(
            "CMMD", patient, "07-18-2010-NA-NA-79377", "1.000000-NA-70244", f"1-{number}.dcm"
        )
    if layout == "series":
        return Path(series, f"1-{number}.dcm")
    return Path("cmmd", patient, f"{series}.9", f"MG_{series}", f"{series}.{number}.dcm")


def write_all(folder: Path, layout: str = "client") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / cmmd.FILENAME).write_bytes(GOOD.encode())
    for number, (patient, side, view) in enumerate(IMAGES, start=1):
        codes = OLD_VIEWS if number % 2 else VIEWS
        write_dicom(folder / place_of(layout, patient, number), patient, side, view, codes)
    return folder


def test_the_published_table(real_data: Path) -> None:
    breasts = read_breasts(real_data / "cmmd-table")
    assert len(breasts) == 1872
    assert breasts["patient"].nunique() == 1775
    assert subtype_counts(breasts) == {
        "Luminal-A": 152, "Luminal-B": 376, "HER-2": 135, "Basal-like": 86
    }  # fmt: skip
    assert breasts["subtype"].notna().sum() == 749
    assert breasts["pathology"].value_counts().to_dict() == {"malignant": 1316, "benign": 556}
    raw = pd.read_csv(real_data / "cmmd-table" / cmmd.FILENAME)
    assert raw["subtype"].value_counts().to_dict() == {
        "Luminal B": 376, "Luminal A": 152, "HER2-enriched": 135, "triple negative": 86
    }  # fmt: skip
    assert breasts["subtype"].notna().tolist() == raw["subtype"].notna().tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_images(tmp_path: Path, layout: str) -> None:
    table, dropped = build_manifest(write_all(tmp_path, layout))
    rows = validate(table)
    assert tuple(rows.columns) == COLUMNS
    assert sorted(rows["case"]) == sorted("_".join(image) for image in IMAGES)
    assert dropped == {cmmd.NO_IMAGE: 1}
    rows = rows.set_index("case")
    assert rows.loc["D2-0003_L_MLO", "subtype"] == "Luminal-A"
    assert rows.loc["D2-0003_R_CC", "subtype"] == "Basal-like"
    assert rows.loc["D2-0004_L_CC", "subtype"] == "HER-2"
    assert rows["subtype"].isna().sum() == 3
    assert rows["pathology"].value_counts().to_dict() == {"malignant": 4, "benign": 2}
    assert rows["spacing_mm"].eq(0.094).all()
    assert set(rows["modality"]) == {"DM"}
    for name in ("x_min", "mask", "outline", "shape"):
        assert rows[name].isna().all()


def test_the_cohort_serves_subtypes_alone(tmp_path: Path, own_store: Path) -> None:
    write_all(tmp_path / "cmmd")
    cohort = load_cohort("cmmd", tmp_path)
    assert len(cohort.manifest) == len(IMAGES)
    assert tasks_of(cohort) == ["subtype"]
    for task in ("detection", "segmentation", "shape"):
        with pytest.raises(DataError, match=f"cmmd: cannot be used for {task}"):
            require(cohort, task)


def test_images_that_the_table_does_not_speak_of_are_dropped_by_reason(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "set")
    inside = folder / "CMMD" / "D1-0001" / "date"
    write_dicom(inside / "1-8.dcm", "D1-0001", "L", "CC")  # the healthy breast
    write_dicom(inside / "1-9.dcm", "D1-0001", "R", "CC", ImageLaterality="")
    write_dicom(folder / "CMMD" / "D1-0999" / "1-1.dcm", "D1-0999", "L", "CC")
    write_dicom(folder / "other" / "1-1.dcm", "D1-0001", "L", "CC", PatientID="Doe^Jane")
    (inside / "1-7.dcm").write_bytes(b"DICM" * 100)
    table, dropped = build_manifest(folder, tmp_path / "store")
    assert len(table) == len(IMAGES)
    assert dropped == {
        cmmd.OTHER_BREAST: 1, cmmd.NO_SIDE: 1, cmmd.NO_PATIENT: 2, cmmd.BAD_IMAGE: 1,
        cmmd.NO_IMAGE: 1,
    }  # fmt: skip
    text = (tmp_path / "store" / "dropped.csv").read_text()
    assert "Doe" not in text
    assert "CMMD/D1-0001/date/1-7.dcm" in text


def test_a_second_image_of_a_view_has_a_name_of_its_own(tmp_path: Path) -> None:
    folder = write_all(tmp_path)
    write_dicom(folder / "CMMD" / "D1-0001" / "z" / "1-9.dcm", "D1-0001", "R", "CC")
    write_dicom(folder / "CMMD" / "D1-0001" / "z" / "2-9.dcm", "D1-0001", "R", "")
    cases = validate(build_manifest(folder)[0])["case"]
    assert {"D1-0001_R_CC", "D1-0001_R_CC_2", "D1-0001_R_unknown"} <= set(cases)


def test_view_position_counts_where_it_is_given(tmp_path: Path) -> None:
    folder = write_all(tmp_path)
    path = folder / "CMMD" / "D1-0002" / "z" / "1-9.dcm"
    write_dicom(path, "D1-0002", "L", "CC", ViewPosition="MLO")
    assert "D1-0002_L_MLO" in set(build_manifest(folder)[0]["case"])


def test_a_folder_without_usable_files_says_so(tmp_path: Path) -> None:
    (tmp_path / cmmd.FILENAME).write_text(GOOD)
    with pytest.raises(DataError, match=r"holds no \.dcm file; download"):
        read_folder(tmp_path)
    write_dicom(tmp_path / "x.dcm", "D1-0999", "L", "CC")
    with pytest.raises(DataError, match="no image can be used: 1 file of no patient"):
        read_folder(tmp_path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clinicaldata_revision\.xlsx: missing; download"):
        read_breasts(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_breasts(tmp_path / "absent")


def test_the_published_spreadsheet_is_read_as_its_table(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / cmmd.FILENAME).write_text(GOOD)
    rows = [row.split(",") for row in GOOD.splitlines()]
    write_sheet(tmp_path / SHEET, rows)
    pd.testing.assert_frame_equal(read_breasts(tmp_path), read_breasts(tmp_path / "csv"))


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\r\n", "\n"),
        GOOD.replace(",", ";"),
        "\ufeff" + GOOD,
        GOOD + ",,,,,,\r\n\r\n",
        GOOD.replace("Luminal A", " Luminal A "),
        GOOD.replace("ID1", "id1"),
    ],
)
def test_spellings_that_spreadsheets_give_are_read_alike(tmp_path: Path, content: str) -> None:
    (tmp_path / cmmd.FILENAME).write_bytes(content.encode())
    breasts = read_breasts(tmp_path)
    assert len(breasts) == 6
    assert subtype_counts(breasts) == dict.fromkeys(
        ("Luminal-A", "Luminal-B", "HER-2", "Basal-like"), 1
    )


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    assert old in GOOD
    return lambda content: content.replace(old.encode(), new.encode(), 1)


MUTATIONS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "header alone": lambda content: HEADER.encode(),
    "no header": lambda content: LINES.encode(),
    "cut in a row": lambda content: content[:-15],
    "a cell less": replaced(",44", ""),
    "a cell more": replaced(",44", ",44,44"),
    "column missing": replaced("LeftRight", "Left"),
    "column twice": replaced("Age", "ID1"),
    "bytes, not text": lambda content: content + b"\xff",
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "a spreadsheet": lambda content: b"PK\x03\x04" + bytes(range(256)),
    "quote left open": replaced("Benign", '"Benign'),
    "patient of another set": replaced("D1-0001", "P_00001"),
    "patient that climbs": replaced("D1-0001", "../0001"),
    "patient empty": replaced("D1-0001", ""),
    "side": replaced(",R,", ",B,"),
    "abnormality": replaced("calcification", "calcium"),
    "classification": replaced("Benign", "Bengin"),
    "subtype": replaced("Luminal A", "Luminal C"),
    "subtype of a benign breast": replaced("Benign,", "Benign,Luminal A"),
    "breast twice": lambda content: content + b"D1-0001,R,44,2,mass,Benign,\r\n",
    "a cell of 200,000 letters": replaced("44", "4" * 200_000),
    "a million cells": replaced("44", "," * 1_000_000),
    "more lines than any table": lambda content: content + b"\n" * 30_000,
    "8 MiB": lambda content: content + b"\n" * 8 * MEBIBYTE,
}


def check_refused(folder: Path, content: bytes) -> None:
    path = folder / cmmd.FILENAME
    path.write_bytes(content)
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(DataError) as caught:
            read_breasts(folder)
        assert time.process_time() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 96 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, name: str) -> None:
    check_refused(tmp_path, MUTATIONS[name](GOOD.encode()))


@pytest.mark.parametrize(
    ("name", "module", "guard", "without"),
    [
        ("patient that climbs", cmmd, "_faults", lambda cells: []),
        ("subtype of a benign breast", cmmd, "_faults", lambda cells: []),
        ("more lines than any table", csv_tables, "MAXIMUM_LINES", 10**9),
    ],
)
def test_control_without_its_guard_the_check_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: object,
    guard: str,
    without: object,
) -> None:
    monkeypatch.setattr(module, guard, without)
    with pytest.raises(pytest.fail.Exception):
        check_refused(tmp_path, MUTATIONS[name](GOOD.encode()))


def test_what_is_read_of_a_table_with_flipped_bits_is_known_breasts(tmp_path: Path) -> None:
    """One flipped bit is refused, or makes another breast, side or patient of the same kind."""
    path = tmp_path / cmmd.FILENAME
    path.write_bytes(GOOD.encode())
    original = read_breasts(tmp_path)
    for seed in range(100):
        rng = random.Random(seed)
        content = bytearray(GOOD.encode())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(content))
        try:
            breasts = read_breasts(tmp_path)
        except DataError:
            continue
        assert len(breasts) == len(original)
        for name in ("pathology", "abnormality"):
            assert breasts[name].tolist() == original[name].tolist()
        assert breasts["subtype"].isna().tolist() == original["subtype"].isna().tolist()

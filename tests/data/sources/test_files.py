"""Files and tables of an owner's folder: described without decoding, read or refused."""

import hashlib
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from writers import item, write_dicom

from mammostudy.data.sources.files import Gathered, RejectedError, index_files, look, place
from mammostudy.data.tables import check, find_table, read_sheets, read_table
from mammostudy.errors import DataError
from mammostudy.paths import bounded
from mammostudy.runs.record import Record

PIXELS = np.arange(20 * 16, dtype=np.uint16).reshape(20, 16)


@pytest.fixture
def film(tmp_path):
    code = item(CodeValue="399368009", CodingSchemeDesignator="SCT", CodeMeaning="MLO")
    said = {"ImageLaterality": "L", "ViewCodeSequence": code, "ImagerPixelSpacing": [0.07, 0.07]}
    named = {"PatientID": "D1-0001", "PatientName": "Doe^Jane", "SeriesInstanceUID": "1.2.3"}
    return write_dicom(tmp_path / "a.dcm", PIXELS, **said, **named)


def test_look_tells_the_columns_of_a_manifest(tmp_path, film):
    digest = hashlib.sha256(film.read_bytes()).hexdigest()
    assert look(tmp_path, film) == {
        "image": "a.dcm", "height": 20, "width": 16, "spacing_mm": pytest.approx(0.07),
        "view": "MLO", "side": "L", "image_sha256": digest,
    }  # fmt: skip


@pytest.mark.parametrize("length", [0, 140, -100])
def test_truncated_files_are_refused(tmp_path, film, length):
    film.write_bytes(film.read_bytes()[:length])
    with pytest.raises(DataError, match=str(film)):
        look(tmp_path, film)


def test_files_stand_under_every_folder_above_them_and_links_lead_nowhere(tmp_path):
    folder = tmp_path / "set"
    deep = folder / "P1" / "MG_1.2.3" / "1-1.DCM"
    deep.parent.mkdir(parents=True)
    deep.touch()
    (folder / "loose.dcm").touch()
    (tmp_path / "secret.dcm").touch()
    (folder / "link.dcm").symlink_to(tmp_path / "secret.dcm")
    (folder / "up").symlink_to(tmp_path)
    for left in ("P1/MG_1.2.3/._1-1.dcm", "__MACOSX/1-1.dcm", ".Trashes/1-1.dcm"):
        (folder / left).parent.mkdir(exist_ok=True)
        (folder / left).touch()
    index = index_files(folder)
    assert index[""] == [deep, folder / "loose.dcm"]
    assert index["P1"] == index["1.2.3"] == [deep]
    with pytest.raises(DataError, match="leads out"):
        look(folder, folder / "link.dcm")


def test_a_set_of_which_nothing_is_left_says_why_with_counts(tmp_path):
    found = Gathered(tmp_path)
    for case in ("one", "two"):
        with found.sorting():
            raise RejectedError("mask not found", case, "a.dcm", "a.dcm: no mask; copy it")
    with pytest.raises(DataError, match=r"2 dropped: mask not found.*copy it"):
        found.result()
    found.rows.append({"case": "three"})
    assert found.result()[1] == {"mask not found": 2}  # control


def test_an_outline_is_boxed_cut_at_the_edge_or_refused():
    image = {"height": 40, "width": 30}
    points = np.array([[5, 6], [15, 6], [15, 20.25], [5, 20.25]])
    assert place(points, image, "x") == {
        "x_min": 5, "y_min": 6, "x_max": 16, "y_max": 21,
        "outline": "[[5, 6], [15, 6], [15, 20.25], [5, 20.25]]",
    }  # fmt: skip
    over = place(points + np.array([15, 0]), image, "x")  # its last column is 30, one beyond
    assert (over["x_min"], over["x_max"]) == (20, 30)
    for wrong, reason in (
        (points + np.array([18, 0]), "leaves the image"), (points[:2], "no area"),
        (points[:0], "no area"), (points[[0, 1, 0]], "no area"),
    ):  # fmt: skip
        with pytest.raises(RejectedError, match=reason):
            place(wrong, image, "x")


TEXT = "Image_name, Patient_ID ,Age\nP1_L_DM_CC ,1,45\n,,\n\nP2,2.5,\n"
CELLS = [["P1_L_DM_CC", "1", "45"], ["P2", "2.5", ""]]


@pytest.fixture
def book(tmp_path):
    cells = [["Image_name", " Patient_ID ", "Age"], ["P1_L_DM_CC ", 1, 45.0], [None] * 3,
             [None] * 3, ["P2", 2.5, None]]  # fmt: skip
    with pd.ExcelWriter(tmp_path / "b.xlsx") as writer:
        for title in ("all", "Mass_description "):
            pd.DataFrame(cells).to_excel(writer, sheet_name=title, header=False, index=False)
    return tmp_path / "b.xlsx"


def test_a_workbook_and_its_csv_are_one_table(book):
    path = book.with_suffix(".csv")
    path.write_text(TEXT, encoding="utf-8")
    for table in (read_table(path), read_table(book), read_sheets(book)["mass_description"]):
        assert table.columns.tolist() == ["image_name", "patient_id", "age"]
        assert table.to_numpy().tolist() == CELLS
        assert table.index[0] == 2
    assert read_table(book).index.tolist() == read_table(path).index.tolist() == [2, 5]


@pytest.mark.parametrize(("text", "cell"), [
    ("\ufeffa;b\r\n1,5;x\r\n", "1.5"), ('a,b\n"1,5",x', "1,5"), ('A,B\n"1,5","x\n"\n', "1,5"),
    ("sep=;\na;b\n1,5;x\n", "1.5"), ('"sep=|"\r\na|b\r\n2.0|x\r\n', "2"), ("a,b,,\n1.0,x,,\n", "1"),
    ("a,b\n1,x,,,\n", "1"), ("a,b,,c\n1,x,,\n,,,\n", "1"), ("a;b\n1,50;x\n", "1.50"),
    ("a,b\n1,x" + "," * 20_000, "1"), ("sep=,\na,b,c\n" + "1,x,\n" * 15 + "1,x\n" * 9, "1"),
])  # fmt: skip
def test_spellings_that_spreadsheets_give(tmp_path, text, cell):
    """Of the last one: in blocks of 16 rows, empty cells at the end are left out."""
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "t.csv", ("a", "b"), separators=";,", numbers=["a"])
    assert table[["a", "b"]].drop_duplicates().to_numpy().tolist() == [[cell, "x"]]


def test_tables_are_read_within_bounds(tmp_path, monkeypatch):
    fifo, null, long = (tmp_path / f"{name}.csv" for name in ("fifo", "null", "long"))
    os.mkfifo(fifo)
    null.symlink_to("/dev/zero")
    long.write_text("a\n" + "1\n" * 20_480)
    assert len(read_table(long)) == 20_480
    wide = pd.DataFrame([["a"], ["1"]]).reindex(columns=range(16_384), fill_value="far")
    wide.to_excel(tmp_path / "wide.xlsx", header=False, index=False)
    (tmp_path / "wide.csv").write_text(",".join(f"c{i}" for i in range(100_000)) + "\n1\n")
    monkeypatch.setattr("mammostudy.data.tables.MAX_CELLS", 20_480)
    for name in ("fifo.csv", "null.csv", "long.csv", "wide.csv", "wide.xlsx"):
        with pytest.raises(DataError, match=name) as caught:
            read_table(tmp_path / name)
        assert len(str(caught.value)) < 400


def test_a_long_cell_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1," + "x" * (1 << 20) + "\n")
    assert len(read_table(tmp_path / "t.csv")) == 1  # control
    (tmp_path / "t.csv").write_text("a,b\n1," + "x" * ((1 << 20) + 1) + "\n")
    with pytest.raises(DataError, match=r"t\.csv: .*field limit"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("name", "read"), [
    ("t.xlsx", lambda path: read_table(path)),
    ("arrays.npz", lambda path: Record(path.parent, {}).arrays()),
])  # fmt: skip
def test_a_small_archive_of_more_than_a_gibibyte_is_refused_in_a_line(tmp_path, name, read):
    path = tmp_path / name
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("bits.npy", "w", force_zip64=True) as part,
    ):
        for _ in range(65):
            part.write(bytes(1 << 24))
    assert path.stat().st_size < 1 << 23
    assert bounded(path, 1 << 31) == path  # control
    with pytest.raises(DataError, match=name) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("t.csv", b"", "a missing"), ("t.csv", b"a,b\n", "every row missing"),
    ("t.csv", b"a,a\n1,2\n", "twice"), ("t.csv", b"a,b\n1,2\n1\n", "row 3 "),
    ("t.csv", b'a,b\n1,"2\n', "CSV"), ("t.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-8"),
    ("t.csv", b"<html><body>Not found</body></html>", "a missing"),
    ("t.xlsx", b"", "workbook"), ("t.xlsx", b"PK\x03\x04" + bytes(range(256)), "workbook"),
    ("t.xlsx", b"a,b\n1,2\n", "workbook"), ("t.xlsx", None, "workbook"),
])  # fmt: skip
def test_what_is_no_table(book, name, content, words):
    path = book.with_name(name)
    path.write_bytes(book.read_bytes()[:-40] if content is None else content)
    with pytest.raises(DataError, match=rf"{name}: .*{words}") as caught:
        read_table(path, ("a",))
    assert "\n" not in str(caught.value)


def test_cells_at_fault_are_named_by_column_and_row(tmp_path):
    table = pd.DataFrame({"a": ["x", "y", "Doe"], "b": ["1"] * 3}, index=[2, 3, 5])
    path = tmp_path / "t.csv"
    check(path, table, {"a": "[a-zA-Z]+", "b": r"\d"})
    with pytest.raises(DataError, match=r"t\.csv: a: .*row 3, 5\); b: .*row 2, 3, 5\)") as caught:
        check(path, table, {"a": "x", "b": ""})
    assert "Doe" not in str(caught.value)
    many = pd.Series(True, index=range(2, 22))
    with pytest.raises(DataError, match=r"row 2, 3, 4 and 17 more"):
        check(path, table, {}, {"a": many})


def test_a_table_is_found_below_its_folder_and_must_be_one(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv: missing; download"):
        find_table(tmp_path / "absent", "a.csv")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.csv").touch()
    assert find_table(tmp_path, "x.csv", "one.csv").parent.name == "one"
    for name in ("._one.csv", "__MACOSX/one.csv", "~$one.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_table(tmp_path, "*one.csv").parent.name == "one"
    with pytest.raises(DataError, match="twice"):
        find_table(tmp_path, "*.csv")

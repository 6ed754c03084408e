"""Owners' tables: CSV and Excel give the same cells, and what is no table is one error."""

import pandas as pd
import pytest

from mammostudy.data.tables import check, find_table, read_sheets, read_table
from mammostudy.errors import DataError

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


@pytest.mark.parametrize("text", ["\ufeffa;b\r\n1,5;x\r\n", 'a,b\n"1,5",x', 'A,B\n"1,5","x\n"\n'])
def test_spellings_that_spreadsheets_give(tmp_path, text):
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "t.csv", ("a", "b"), separators=";,")
    assert table.to_dict("records") == [{"a": "1,5", "b": "x"}]


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
    with pytest.raises(DataError, match=r"row 2, 3, 4, 5, 6 and 15 more"):
        check(path, table, {}, {"a": many})


def test_a_table_is_found_below_its_folder_and_must_be_one(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv: missing; download"):
        find_table(tmp_path / "absent", "a.csv")
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{place}.csv").touch()
    assert find_table(tmp_path, "x.csv", "one.csv").parent.name == "one"
    with pytest.raises(DataError, match="twice"):
        find_table(tmp_path, "*.csv")

"""Workbooks as lines of text; whatever is no workbook is one error, soon and in little memory."""

from __future__ import annotations

import contextlib
import random
import re
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from mammostudy.data import workbooks
from mammostudy.data.sources.csv_tables import read_sheets, read_table
from mammostudy.data.workbooks import read_lines
from mammostudy.errors import DataError

SECONDS, MEMORY = 2.0, 96 * 2**20
SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    made = Workbook()
    first = made.active
    assert first is not None
    first.title = "all"
    for line in (["Image_name", " Patient_ID ", "Age"], ["P1_L_DM_CC ", 1, 45.0], [None] * 3,
                 ["P2", 2.5, None]):  # fmt: skip
        first.append(line)
    made.create_sheet("Mass_description ").append(["Image_name"])
    made.create_sheet("nothing")
    made.save(tmp_path / "b.xlsx")
    return tmp_path / "b.xlsx"


def test_lines_stand_where_they_are(book: Path) -> None:
    sheets = read_lines(book)
    assert list(sheets) == ["all", "Mass_description ", "nothing"]
    expected = [["Image_name", "Patient_ID", "Age"], ["P1_L_DM_CC", "1", "45"], [], ["P2", "2.5"]]
    assert sheets["all"] == expected
    assert sheets["nothing"] == []


def test_sheets_are_rows_by_column(book: Path) -> None:
    sheets = read_sheets(book)
    assert list(sheets) == ["all", "mass description", "nothing"]
    assert sheets["all"] == [
        (2, {"image name": "P1_L_DM_CC", "patient id": "1", "age": "45"}),
        (4, {"image name": "P2", "patient id": "2.5", "age": ""}),
    ]
    assert sheets["mass description"] == sheets["nothing"] == []


def test_the_first_sheet_is_a_table_as_its_csv_is(book: Path) -> None:
    rows = read_table(book, ("image name",))
    assert rows == read_sheets(book)["all"]
    text = "Image_name,Patient_ID,Age\nP1_L_DM_CC,1,45\n\nP2,2.5,\n"
    book.with_suffix(".csv").write_text(text)
    assert read_table(book.with_suffix(".csv"), ("image name",)) == rows
    with pytest.raises(DataError, match=r"b\.xlsx: column\(s\) side missing"):
        read_table(book, ("side",))


def test_a_line_longer_than_the_header_is_torn(book: Path) -> None:
    changed(book, SHEET, "</row></sheetData>", '<c r="F4"><v>7</v></c></row></sheetData>')
    with pytest.raises(DataError, match="line 4 has 6 cells, the header 3"):
        read_table(book, ())


def changed(book: Path, part: str, pattern: str, by: str) -> Path:
    """Replace text of one part of a workbook, once."""
    with zipfile.ZipFile(book) as parts:
        contents = {name: parts.read(name) for name in parts.namelist()}
    text, count = re.subn(pattern, by, contents[part].decode(), count=1)
    assert count == 1, f"{pattern} is not in {part}: {contents[part][:2000]!r}"
    contents[part] = text.encode()
    return rewritten(book, contents)


def rewritten(book: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as parts:
        for name, content in contents.items():
            parts.writestr(name, content)
    return book


def without(book: Path, *gone: str) -> Path:
    with zipfile.ZipFile(book) as parts:
        contents = {name: parts.read(name) for name in parts.namelist() if name not in gone}
    return rewritten(book, contents)


def shared(book: Path, strings: str) -> Path:
    """Take the first cell from a table of strings, as Excel writes all of them."""
    changed(book, SHEET, r'<c r="A1".*?</c>', '<c r="A1" t="s"><v>1</v></c>')
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/{STRINGS}" ContentType="{kind}"/></Types>'
    changed(book, "[Content_Types].xml", "</Types>", override)
    with zipfile.ZipFile(book, "a") as parts:
        parts.writestr(STRINGS, strings)
    return book


def test_strings_from_the_table_of_strings(book: Path) -> None:
    rich = "<si><r><t>Image</t></r><r><t>,name</t></r></si>"
    shared(book, f'<sst xmlns="{MAIN}"><si><t>x</t></si>{rich}</sst>')
    assert read_lines(book)["all"][0] == ["Image,name", "Patient_ID", "Age"]


def bomb(book: Path) -> Path:
    """A part of 17 MiB in a file of 30 KiB."""
    return changed(book, SHEET, "<sheetData>", "<sheetData>" + " " * (17 * 2**20))


def laughs(book: Path) -> Path:
    entities = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    return shared(book, f'{entities}<sst xmlns="{MAIN}"><si/><si><t>&b;</t></si></sst>')


def text(book: Path) -> Path:
    book.write_text("ID1,LeftRight\n")
    return book


def cut(book: Path) -> Path:
    book.write_bytes(book.read_bytes()[:-40])
    return book


def first_cell(by: str) -> Callable[[Path], Path]:
    """Put other cells into the place of the first."""
    return lambda book: changed(book, SHEET, r'<c r="A1".*?</c>', by)


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "bomb": bomb,
    "entities": laughs,
    "cut": cut,
    "no zip": text,
    "no sheet": lambda book: without(book, *(f"xl/worksheets/sheet{n}.xml" for n in (1, 2, 3))),
    "string not there": first_cell('<c r="A1" t="s"><v>99</v></c>'),
    "string of no number": first_cell('<c r="A1" t="s"><v>x</v></c>'),
    "cell far right": first_cell('<c r="ZZZZ1"><v>1</v></c>'),
    "cells without an end": lambda book: changed(
        book, SHEET, "</sheetData>", '<row r="9"><c r="A9"><v>1</v></c><row></sheetData>'
    ),
    "cell far down": lambda book: changed(
        book, SHEET, "</sheetData>", '<row r="20100"><c r="A20100"><v>1</v></c></row></sheetData>'
    ),
    "many wide lines": lambda book: changed(
        book, SHEET, "</sheetData>",
        "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(5, 40))
        + "</sheetData>",
    ),
}  # fmt: skip


def check_refused(path: Path) -> None:
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(DataError, match=path.name):
            read_lines(path)
        assert time.process_time() - started < SECONDS
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_workbook_is_refused_by_name(book: Path, name: str) -> None:
    check_refused(HOSTILE[name](book))


@pytest.mark.parametrize(
    ("name", "guard", "value"),
    [
        ("bomb", "MAXIMUM_UNPACKED", 2**40),
        ("entities", "FORBIDDEN", ()),
        ("cell far down", "MAXIMUM_LINES", 10**9),
        ("many wide lines", "MAXIMUM_CELLS", 10**9),
    ],
)
def test_control_without_its_guard_the_check_fails(
    book: Path, name: str, guard: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = HOSTILE[name](book)
    monkeypatch.setattr(workbooks, guard, value)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_refused(path)


def test_mutated_workbooks_are_one_error_or_a_table(book: Path) -> None:
    whole = book.read_bytes()
    refused = 0
    for seed in range(60):
        rng = random.Random(seed)
        place, data = rng.randrange(len(whole)), bytearray(whole)
        if seed % 3 == 0:
            del data[place:]
        elif seed % 3 == 1:
            data[place] ^= 1 << rng.randrange(8)
        else:
            data[place : place + 3] = b"\xff\x00\xff"
        book.write_bytes(data)
        with contextlib.suppress(DataError):  # any other error fails
            read_lines(book)
            continue
        refused += 1
    assert refused > 30


def test_no_file_and_a_large_one(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="missing or not a readable workbook"):
        read_lines(book.with_name("away.xlsx"))
    monkeypatch.setattr(workbooks, "MAXIMUM_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        read_lines(book)


def test_without_openpyxl_the_way_out_is_named(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'mammostudy\[excel\]'; or save each sheet"):
        read_lines(book)

"""Workbooks as tables; whatever is no workbook is one error."""

from __future__ import annotations

import contextlib
import sys
import time
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from mammostudy.data import workbooks
from mammostudy.data.workbooks import read_sheets
from mammostudy.errors import DataError


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


def test_cells_are_text_by_column(book: Path) -> None:
    sheets = read_sheets(book)
    assert list(sheets) == ["all", "mass description", "nothing"]
    assert sheets["all"] == [
        (2, {"image name": "P1_L_DM_CC", "patient id": "1", "age": "45"}),
        (4, {"image name": "P2", "patient id": "2.5", "age": ""}),
    ]
    assert sheets["mass description"] == sheets["nothing"] == []


def test_mutated_workbooks_are_one_error_or_a_table(book: Path) -> None:
    whole = book.read_bytes()
    refused = 0
    for step in range(0, len(whole), max(1, len(whole) // 60)):
        for content in (whole[:step], whole[:step] + b"\xff\x00\xff" + whole[step + 3 :]):
            book.write_bytes(content)
            with contextlib.suppress(DataError):
                read_sheets(book)
                continue
            refused += 1
    assert refused > 60


def test_a_bomb_is_refused_before_it_is_unpacked(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/more.xml", bytes(workbooks.MAXIMUM_UNPACKED))
    assert book.stat().st_size < 100_000
    with pytest.raises(DataError, match="unpacks to 6"):
        read_sheets(book)
    monkeypatch.setattr(workbooks, "MAXIMUM_UNPACKED", 2**40)
    assert "all" in read_sheets(book)  # control


def test_a_cell_far_out_is_no_table(book: Path) -> None:
    made = Workbook()
    sheet = made.active
    assert sheet is not None
    sheet["A1"], sheet["XFD1048576"] = "Image_name", "x"
    made.save(book)
    start = time.perf_counter()
    with pytest.raises(DataError, match="not a readable workbook"):
        read_sheets(book)
    assert time.perf_counter() - start < 2


def test_no_file_and_a_large_one(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="missing or no workbook"):
        read_sheets(book.with_name("away.xlsx"))
    monkeypatch.setattr(workbooks, "MAXIMUM_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        read_sheets(book)


def test_without_openpyxl_the_way_out_is_named(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'mammostudy\[excel\]'; or save each sheet"):
        read_sheets(book)

"""The first sheet of a spreadsheet (XLSX) as the text of a CSV table, read within bounds.

Enough of Office Open XML for a published table of words and numbers: shared and inline strings,
numbers as written; no formulas' evaluation, dates or merged cells.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from mammostudy.errors import DataError

MAXIMUM_BYTES: Final = 8 * 2**20  # of a part, unpacked; the published sheet's has some 0.6 MiB
MAXIMUM_COLUMNS: Final = 100
MAXIMUM_ROWS: Final = 20_000
FORBIDDEN: Final = (b"<!DOCTYPE", b"<!ENTITY", b"<\0!\0", b"\0<\0!")
"""Definitions of XML entities, in 8 and 16 bits: a few lines of them can fill the memory."""
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CELL: Final = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")
_FAILURES: Final = (
    zipfile.BadZipFile, zlib.error, ElementTree.ParseError, KeyError, IndexError, ValueError,
    NotImplementedError, RuntimeError, EOFError, OSError, OverflowError,
)  # fmt: skip


def sheet_as_csv(path: Path) -> str:
    """Return the first sheet of a spreadsheet as comma-separated text, a line a row.

    Args:
        path: the spreadsheet.

    Raises:
        DataError: the file is no spreadsheet, damaged, or beyond a bound.

    Source:
        ECMA-376 part 1, 18.3 and 18.4.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            strings = _strings(parts)
            sheets = sorted(
                name for name in parts.namelist() if re.fullmatch(r"xl/worksheets/\w+\.xml", name)
            )
            rows = _rows(_parsed(parts, sheets[0]), strings)
    except _FAILURES as error:
        msg = (
            f"{path}: not a readable spreadsheet ({type(error).__name__}); copy it anew, or save "
            "its sheet as CSV (UTF-8) under the same name"
        )
        raise DataError(msg) from None
    text = io.StringIO()
    width = len(rows.get(1, []))
    writer = csv.writer(text, lineterminator="\n")
    for number in range(1, max(rows, default=0) + 1):
        cells = rows.get(number, [])
        writer.writerow([*cells, *[""] * (width - len(cells))] if any(cells) else [])
    return text.getvalue()


def _parsed(parts: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """Parse one part, of bounded length and without definitions of entities.

    Raises:
        ValueError: it is longer, or holds such definitions.
    """
    with parts.open(name) as file:
        content = file.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES or any(mark in content for mark in FORBIDDEN):
        msg = "too long, or with definitions"
        raise ValueError(msg)
    return ElementTree.fromstring(content)


def _strings(parts: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in parts.namelist():
        return []
    root = _parsed(parts, "xl/sharedStrings.xml")
    return [_text(item) for item in root.iter(f"{_MAIN}si")]


def _text(item: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in item.iter(f"{_MAIN}t"))


def _rows(sheet: ElementTree.Element, strings: list[str]) -> dict[int, list[str]]:
    """Return the cells of each row that has any, from column A on.

    Raises:
        ValueError, IndexError: a cell has no place, or names a string that is not there.
    """
    rows: dict[int, list[str]] = {}
    for cell in sheet.iter(f"{_MAIN}c"):
        place = _CELL.fullmatch(cell.get("r", ""))
        if place is None:
            msg = "a cell without a place"
            raise ValueError(msg)
        column, number = _column(place[1]), int(place[2])
        if column >= MAXIMUM_COLUMNS or number > MAXIMUM_ROWS:
            msg = "a cell beyond the table"
            raise ValueError(msg)
        cells = rows.setdefault(number, [])
        cells += [""] * (column + 1 - len(cells))
        cells[column] = _value(cell, strings)
    return rows


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _value(cell: ElementTree.Element, strings: list[str]) -> str:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return _text(cell)
    value = cell.findtext(f"{_MAIN}v") or ""
    if kind == "s":
        index = int(value)
        if index < 0:
            msg = "a string of negative number"
            raise IndexError(msg)
        return strings[index]
    return value

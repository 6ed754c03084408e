"""Owners' tables, CSV or Excel, as text: one way to find, read and refuse them.

A table is a DataFrame of cells without space round them. Its index, ``row``, is the number of the
row as a spreadsheet counts (the header is row 1); rows without a word are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data.images import bytes_of
from mammostudy.errors import DataError, first
from mammostudy.paths import bounded, search

MAX_COLUMNS: Final = 256
MAX_CELLS: Final = 2_000_000
MAX_CELL: Final = 1 << 20  # letters: an outline of a hundred thousand points
MAX_UNPACKED: Final = 1 << 26  # bytes of a workbook's sheets
_BLOCK: Final = 16  # rows; Excel leaves out the empty cells at the end of all rows of a block


def column_name(text: str) -> str:
    """Return a column's name as it is compared: lower case, words joined by single underscores."""
    return "_".join(text.replace("_", " ").split()).lower()


def find_table(folder: Path, *patterns: str) -> Path:
    """Find a table in a folder or in a folder of it; an earlier pattern goes first."""
    for pattern in patterns:
        found = search(folder, pattern) or search(folder, f"*/{pattern}")
        if len(found) > 1:
            raise DataError(f"{found[0]} and {found[1]}: one table twice; keep one of them")
        if found:
            return found[0]
    raise DataError(f"{folder / patterns[0]}: missing; download it from the data set's page")


def read_table(
    path: Path, needed: Iterable[str] = (), separators: str = ",", numbers: Iterable[str] = ()
) -> pd.DataFrame:
    """Read a CSV table in UTF-8, or the first sheet of a workbook (``.xlsx``).

    Cells are parted by what a first line ``sep=`` says, or the first separator that the header
    holds. In columns of ``numbers`` 1.0 becomes 1, and 0,5 becomes 0.5 unless commas part cells.
    """
    separator = ","
    if path.suffix.lower() == ".xlsx":
        table = next(iter(read_sheets(path).values()))
    else:
        lines, separator = _read_csv(path, separators)
        table = _table(path, lines)
    absent = sorted(set(needed) - set(table.columns))
    if absent or table.empty:
        what = ", ".join(absent) or "every row"
        raise DataError(f"{path}: {what} missing; copy the table anew")
    for name in table.columns.intersection(list(numbers)):
        if separator != ",":
            table[name] = table[name].str.replace(r"^([+-]?\d+),(\d+)$", r"\1.\2", regex=True)
        table[name] = table[name].str.replace(r"^([+-]?\d+)\.0+$", r"\1", regex=True)
    return table


def read_sheets(path: Path) -> dict[str, pd.DataFrame]:
    """Read every sheet of a workbook, by its title as :func:`column_name` has it."""
    bytes_of(path, 1)
    try:
        import openpyxl

        book = openpyxl.load_workbook(bounded(path, MAX_UNPACKED), read_only=True, data_only=True)
        sheets = {}
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # some programs write wrong ones
            rows = sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True)
            cells = ([str("" if cell is None else cell) for cell in row] for row in rows)
            sheets[column_name(sheet.title)] = _lines(cells)
        book.close()
    except Exception as error:  # a damaged workbook fails in the parsers in many ways
        needs = ": pip install 'mammostudy[excel]'" if isinstance(error, ImportError) else ""
        fault = f"not a readable workbook, or too large ({type(error).__name__}{needs})"
        raise DataError(f"{path}: {fault}; copy it anew, or save the sheet as CSV") from None
    return {title: _table(path, lines) for title, lines in sheets.items()}


def _read_csv(path: Path, separators: str) -> tuple[list[list[str]], str]:
    """Return the cells of a CSV table, and what parts them."""
    header = bytes_of(path, 1 << 16).decode("utf-8-sig", "replace").split("\n")[0]
    said = re.match('"?sep=(.)', header, re.IGNORECASE)
    separator = said[1] if said else next(filter(header.count, separators), separators[0])
    csv.field_size_limit(MAX_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if said:
                file.readline()
            lines = _lines(csv.reader(file, delimiter=separator, strict=True))
    except (OSError, ValueError, TypeError, csv.Error) as error:
        fault = f"not a readable CSV table in UTF-8 ({error})"
        raise DataError(f"{path}: {fault}; copy it anew") from None
    lengths, width = pd.Series([len(line) for line in lines]), len(lines[0] if lines else ())
    uneven = lengths.groupby(lengths.index // _BLOCK).transform("nunique") > 1
    torn = lengths.index[(lengths > width) | ((lengths < width) & (lengths > 0) & uneven)]
    if len(torn):
        fault = "has not as many cells as the header; the table is damaged"
        raise DataError(f"{path}: row {first(torn + 1)} {fault}")
    return lines, separator


def _lines(rows: Iterable[list[str]]) -> list[list[str]]:
    """Return cells, but no empty ones behind the last column that has a name."""
    lines: list[list[str]] = []
    cells = width = 0
    for row in rows:
        line = [cell.strip() for cell in row]
        while len(line) > width and not line[-1]:
            line.pop()
        width = width or len(line)
        lines.append(line)
        cells += len(line)
        if len(line) > MAX_COLUMNS or cells > MAX_CELLS:
            raise ValueError(f"more than {MAX_COLUMNS} columns or {MAX_CELLS:,} cells")
    return lines


def _table(path: Path, lines: list[list[str]]) -> pd.DataFrame:
    """Name the columns by the first row, and leave out columns without a name and empty rows."""
    names = [column_name(cell) for cell in lines[0]] if lines else []
    index = pd.RangeIndex(2, 2 + len(lines[1:]), name="row")
    cells = pd.DataFrame(lines[1:], index, dtype=str).reindex(columns=range(len(names)))
    table = cells.fillna("").set_axis(names, axis=1).loc[:, [bool(name) for name in names]]
    if table.columns.has_duplicates:
        raise DataError(f"{path}: a column stands twice; copy the table anew")
    return table[(table != "").any(axis=1)]


def check(
    path: Path,
    table: pd.DataFrame,
    words: Mapping[str, str],
    faults: Mapping[str, pd.Series] | None = None,
) -> None:
    """Refuse a table with a cell that the pattern of its column does not match as a whole.

    ``faults`` are what else is wrong (column first), and for each row whether it is.
    """
    wrong = {
        f"{name}: not a word of this column": ~table[name].str.fullmatch(pattern, flags=re.ASCII)
        for name, pattern in words.items()
    }
    wrong |= faults or {}
    told = [f"{what} (row {first(rows.index[rows])})" for what, rows in wrong.items() if rows.any()]
    if told:
        raise DataError(f"{path}: {'; '.join(told)}; mend these cells or copy the table anew")

"""Excel workbooks as plain tables: a sheet a list of rows."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from mammostudy.data.sources.csv_tables import Row, column_name
from mammostudy.errors import DataError

MAXIMUM_BYTES: Final = 8 * 2**20
MAXIMUM_UNPACKED: Final = 64 * 2**20
MAXIMUM_CELLS: Final = 2_000_000  # of a sheet, empty ones between others counted


def read_sheets(path: Path) -> dict[str, list[Row]]:
    """Read the values of every sheet that has a header.

    Args:
        path: an ``.xlsx`` file.

    Returns:
        By the sheet's name (as :func:`~mammostudy.data.sources.csv_tables.column_name` has it):
        the row's number and its cells as text, by column name; empty rows are left out.

    Raises:
        DataError: the file is missing, too large or no workbook, or openpyxl is not installed.

    Source:
        openpyxl, values only.
    """
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError:
        msg = (
            f"{path}: openpyxl is needed to read a workbook: pip install 'mammostudy[excel]'; or "
            "save each sheet as a CSV file of the sheet's name beside it, and move it away"
        )
        raise DataError(msg) from None
    content = _content(path)
    try:
        book = load_workbook(BytesIO(content), read_only=True, data_only=True)
        sheets = {}
        for sheet in book.worksheets:
            sheets[column_name(sheet.title)] = _rows(sheet.iter_rows(values_only=True))
        return sheets
    except Exception as error:  # a damaged workbook fails in the reader's parsers in many ways
        msg = f"{path}: not a readable workbook ({type(error).__name__}); copy it anew"
        raise DataError(msg) from None


def _content(path: Path) -> bytes:
    """Return the file's bytes, where they are a workbook that is not too large unpacked."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            msg = f"{path}: larger than {MAXIMUM_BYTES // 2**20} MiB; copy the published file anew"
            raise DataError(msg)
        content = path.read_bytes()
        with zipfile.ZipFile(BytesIO(content)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        msg = f"{path}: missing or no workbook ({type(error).__name__}); copy it anew"
        raise DataError(msg) from None
    if unpacked > MAXIMUM_UNPACKED:
        msg = f"{path}: unpacks to {unpacked // 2**20} MiB, which no such table does; copy it anew"
        raise DataError(msg)
    return content


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _rows(lines: Iterator[tuple[object, ...]]) -> list[Row]:
    names = [column_name(_text(cell)) for cell in next(lines, ())]
    rows = []
    cells = 0
    for number, line in enumerate(lines, start=2):
        cells += len(line)
        if cells > MAXIMUM_CELLS:
            msg = f"more than {MAXIMUM_CELLS:,} cells"
            raise ValueError(msg)
        row = {name: _text(cell) for name, cell in zip(names, line, strict=False) if name}
        if any(row.values()):
            rows.append((number, {name: row.get(name, "") for name in names if name}))
    return rows

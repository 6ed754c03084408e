"""Excel workbooks as plain tables: a sheet a list of rows."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Final

from mammostudy.data.sources.csv_tables import Row, column_name
from mammostudy.errors import DataError

MAXIMUM_BYTES: Final = 8 * 2**20
MAXIMUM_UNPACKED: Final = 64 * 2**20
MAXIMUM_ROWS: Final = 50_000  # of a sheet
MAXIMUM_COLUMNS: Final = 200


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
            limits = {"max_row": MAXIMUM_ROWS, "max_col": MAXIMUM_COLUMNS, "values_only": True}
            lines = [[_text(cell) for cell in line] for line in sheet.iter_rows(**limits)]
            sheets[column_name(sheet.title)] = _rows(lines)
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


def _rows(lines: list[list[str]]) -> list[Row]:
    if not lines:
        return []
    names = [column_name(cell) for cell in lines[0]]
    return [
        (number, dict(zip(names, line, strict=True)))
        for number, line in enumerate(lines[1:], start=2)
        if any(line)
    ]

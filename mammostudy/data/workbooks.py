"""Excel workbooks as plain lines of text, read within bounds."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from mammostudy.errors import DataError

MAXIMUM_BYTES: Final = 8 * 2**20
MAXIMUM_UNPACKED: Final = 16 * 2**20  # of all parts; the published workbooks have some 4 MiB
MAXIMUM_LINES: Final = 20_000  # of a sheet, empty ones between others counted
MAXIMUM_CELLS: Final = 500_000  # of a sheet, empty ones between others counted
FORBIDDEN: Final = (b"<!DOCTYPE", b"<!ENTITY", b"<\0!\0", b"\0<\0!")
"""Definitions of XML entities, in 8 and 16 bits: a few lines of them can fill the memory."""
_FAILURES: Final = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError,
    ValueError,
)  # fmt: skip
Lines = list[list[str]]


def read_lines(path: Path) -> dict[str, Lines]:
    """Read every sheet of a workbook.

    Args:
        path: an ``.xlsx`` file.

    Returns:
        By the sheet's title, in their order: a list of cells a line, from the first line on, as
        text, without the empty cells at its end.

    Raises:
        DataError: the file is missing, too large, damaged or no workbook, or openpyxl is not
            installed.

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
            sheet.reset_dimensions()  # what it says of its size may be untrue
            sheets[str(sheet.title)] = _lines(sheet.iter_rows(values_only=True))
    except Exception as error:  # a damaged workbook fails in the reader's parsers in many ways
        raise _unreadable(path, type(error).__name__) from None
    if not sheets:
        raise _unreadable(path, "no sheet")
    return sheets


def _content(path: Path) -> bytes:
    """Return the file's bytes, where they are a workbook that is not too large unpacked."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            msg = f"{path}: larger than {MAXIMUM_BYTES // 2**20} MiB; copy the published file anew"
            raise DataError(msg)
        content = path.read_bytes()
        with zipfile.ZipFile(BytesIO(content)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
            if unpacked > MAXIMUM_UNPACKED:
                size = f"unpacks to {unpacked // 2**20} MiB"
                msg = f"{path}: {size}, which no such table does; copy it anew"
                raise DataError(msg)
            defines = any(
                mark in parts.read(part) for part in parts.infolist() for mark in FORBIDDEN
            )
    except _FAILURES as error:
        raise _unreadable(path, type(error).__name__) from None
    if defines:
        raise _unreadable(path, "definitions of entities")
    return content


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: missing or not a readable workbook ({why}); copy it anew, or save each of its "
        "sheets as CSV (UTF-8) under the sheet's name"
    )


def _lines(rows: Iterator[tuple[object, ...]]) -> Lines:
    lines: Lines = []
    cells = 0
    for row in rows:
        cells += len(row)
        if len(lines) >= MAXIMUM_LINES or cells > MAXIMUM_CELLS:
            msg = f"more than {MAXIMUM_LINES:,} lines or {MAXIMUM_CELLS:,} cells"
            raise ValueError(msg)
        line = [_text(cell) for cell in row]
        while line and not line[-1]:
            line.pop()
        lines.append(line)
    return lines


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()

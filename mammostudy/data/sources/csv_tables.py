"""Owners' tables, read with limits: what is cut, torn or no table at all is refused by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mammostudy.data.workbooks import Lines, read_lines
from mammostudy.errors import DataError

MAXIMUM_BYTES: Final = 4 * 2**20  # the largest published table here has 0.9 MiB
MAXIMUM_LINES: Final = 20_000  # the longest published table here has about 4,600
LISTED: Final = 5  # faults that a message quotes; it counts them all
Row = tuple[int, dict[str, str]]


def column_name(text: str) -> str:
    """A column's name as it is compared: lower case, words apart by single spaces."""
    return " ".join(text.replace("_", " ").split()).lower()


def find_table(folder: Path, name: str) -> Path:
    """Find a table in a folder or in a folder of it.

    Raises:
        DataError: the folder is missing, or the table is missing or stands there twice.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; name the folder that holds {name}"
        raise DataError(msg)
    if (folder / name).is_file():
        return folder / name
    found = sorted(path for path in folder.glob(f"*/{name}") if path.is_file())
    if not found:
        msg = f"{folder / name}: missing; download this table from the data set's page into it"
        raise DataError(msg)
    if len(found) > 1:
        msg = f"{found[0]} and {found[1]}: one table twice; keep one of them"
        raise DataError(msg)
    return found[0]


def read_table(path: Path, needed: Iterable[str], delimiters: str = ",") -> list[Row]:
    """Read a CSV table whose rows have one cell a column, or the first sheet of a spreadsheet.

    Args:
        path: the table, UTF-8 with or without a byte-order mark; a spreadsheet ends in ``.xlsx``.
        needed: names of columns, as :func:`column_name` gives them, that must be there.
        delimiters: characters that may part the cells; the first one that the header holds does.

    Returns:
        The rows that are not blank: number of the last line of each, and its cells without space
        round them, by column name.

    Raises:
        DataError: the file is missing, too large, not UTF-8, torn, or lacks a column or all rows.

    Source:
        Python's ``csv`` in its strict mode.
    """
    lines = _workbook(path) if path.suffix.lower() == ".xlsx" else _csv(path, delimiters)
    names = [column_name(cell) for cell in next(lines, (1, []))[1]]
    _check_names(path, names, needed)
    rows: list[Row] = []
    for number, cells in lines:
        if number > MAXIMUM_LINES:
            msg = f"{path}: more than {MAXIMUM_LINES:,} lines, so not the published table"
            raise DataError(f"{msg}; copy it anew")
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            msg = (
                f"{path}: line {number} has {len(cells)} cells, the header {len(names)}; the table "
                "is cut or damaged, copy it anew"
            )
            raise DataError(msg)
        rows.append((number, dict(zip(names, (cell.strip() for cell in cells), strict=True))))
    if not rows:
        msg = f"{path}: the table has no rows; copy it anew"
        raise DataError(msg)
    return rows


def read_sheets(path: Path) -> dict[str, list[Row]]:
    """Read every sheet of a workbook.

    Args:
        path: an ``.xlsx`` file.

    Returns:
        By the sheet's name (as :func:`column_name` has it): the rows that are not blank, as of
        :func:`read_table`, whatever their number of cells; cells without a column are left out.

    Raises:
        DataError: the file is missing, too large or no workbook, or openpyxl is not installed.
    """
    return {column_name(title): _named(lines) for title, lines in read_lines(path).items()}


def _named(lines: Lines) -> list[Row]:
    names = [column_name(cell) for cell in lines[0]] if lines else []
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        padded = [*line, *[""] * (len(names) - len(line))]
        row = {name: cell for name, cell in zip(names, padded, strict=False) if name}
        if any(row.values()):
            rows.append((number, row))
    return rows


def _workbook(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of the first sheet, short ones filled up to the length of its header."""
    lines = next(iter(read_lines(path).values()))
    width = len(lines[0]) if lines else 0
    for number, line in enumerate(lines, start=1):
        yield number, [*line, *[""] * (width - len(line))]


def _csv(path: Path, delimiters: str) -> Iterator[tuple[int, list[str]]]:
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = next((one for one in delimiters if one in first), delimiters[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        msg = f"{path}: line {reader.line_num}: not a readable CSV table ({error}); copy it anew"
        raise DataError(msg) from error


def refuse(path: Path, faults: Sequence[str]) -> None:
    """Raise one message for all faults of a table, where there are any.

    Raises:
        DataError: quoting the first :data:`LISTED` faults and counting them all.
    """
    if faults:
        more = f"\n  and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        listed = "\n  ".join(faults[:LISTED])
        msg = f"{path}: {len(faults)} fault(s) in the table; copy it anew:\n  {listed}{more}"
        raise DataError(msg)


def quoted(cell: str) -> str:
    """A cell for a message: at most 40 characters, unprintable ones escaped."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            msg = f"{path}: missing; download this table from the data set's page"
            raise DataError(msg)
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        raise DataError(msg) from error
    if len(content) > MAXIMUM_BYTES:
        msg = (
            f"{path}: larger than {MAXIMUM_BYTES // 2**20} MiB, so not the published table; "
            "copy it anew"
        )
        raise DataError(msg)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is not UTF-8; save the table as UTF-8 or copy it anew"
        raise DataError(msg) from error


def _check_names(path: Path, names: list[str], needed: Iterable[str]) -> None:
    if absent := sorted(set(needed) - set(names)):
        msg = f"{path}: column(s) {', '.join(absent)} missing; copy the table anew"
        raise DataError(msg)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"{path}: column {quoted(twice)} stands twice; copy the table anew"
        raise DataError(msg)

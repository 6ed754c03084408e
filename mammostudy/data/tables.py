"""Owners' tables, CSV or Excel, as text: one way to find, read and refuse them.

A table is a DataFrame of cells without space round them. Its index is the number of the row as a
spreadsheet counts (the header is row 1); rows without a word are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mammostudy.errors import DataError


def column_name(text: str) -> str:
    """Return a column's name as it is compared: lower case, words joined by single underscores."""
    return "_".join(text.replace("_", " ").split()).lower()


def find_table(folder: Path, *patterns: str) -> Path:
    """Find a table in a folder or in a folder of it; an earlier pattern goes first."""
    for pattern in patterns:
        found = sorted(folder.glob(pattern)) or sorted(folder.glob(f"*/{pattern}"))
        if len(found) > 1:
            raise DataError(f"{found[0]} and {found[1]}: one table twice; keep one of them")
        if found:
            return found[0]
    raise DataError(f"{folder / patterns[0]}: missing; download it from the data set's page")


def read_table(path: Path, needed: Iterable[str] = (), separators: str = ",") -> pd.DataFrame:
    """Read a CSV table in UTF-8, or the first sheet of a workbook (``.xlsx``).

    Cells are parted by the first of the separators that the header holds.
    """
    if path.suffix.lower() == ".xlsx":
        table = next(iter(read_sheets(path).values()))
    else:
        table = _table(path, _read_csv(path, separators))
    absent = sorted(set(needed) - set(table.columns))
    if absent or table.empty:
        what = ", ".join(absent) or "every row"
        raise DataError(f"{path}: {what} missing; copy the table anew")
    return table


def read_sheets(path: Path) -> dict[str, pd.DataFrame]:
    """Read every sheet of a workbook, by its title as :func:`column_name` has it."""
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=str, keep_default_na=False)
    except Exception as error:  # a damaged workbook fails in the parsers in many ways
        needs = ": pip install 'mammostudy[excel]'" if isinstance(error, ImportError) else ""
        fault = f"missing or not a readable workbook ({type(error).__name__}{needs})"
        raise DataError(f"{path}: {fault}; copy it anew") from None
    return {column_name(title): _table(path, sheet) for title, sheet in sheets.items()}


def _read_csv(path: Path, separators: str) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            separator = next((one for one in separators if one in header), separators[0])
            lines = list(csv.reader(file, delimiter=separator, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        fault = f"missing or not a readable CSV table in UTF-8 ({error})"
        raise DataError(f"{path}: {fault}; copy it anew") from None
    torn = [row for row, line in enumerate(lines, 1) if line and len(line) != len(lines[0])]
    if torn:
        fault = "has not as many cells as the header; the table is damaged"
        raise DataError(f"{path}: row {_some(torn)} {fault}")
    return pd.DataFrame(lines, dtype=str).fillna("")


def _table(path: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Name the columns by the first row, and leave out columns without a name and empty rows."""
    cells = cells.apply(lambda column: column.str.strip())
    names = [column_name(cell) for cell in cells.iloc[0]] if len(cells) else []
    table = cells.set_axis(names, axis=1).set_axis(cells.index + 1).iloc[1:]
    table = table.loc[:, [bool(name) for name in names]]
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
    told = [f"{what} (row {_some(rows.index[rows])})" for what, rows in wrong.items() if rows.any()]
    if told:
        raise DataError(f"{path}: {'; '.join(told)}; mend these cells or copy the table anew")


def _some(rows: Iterable[object]) -> str:
    """Name the first rows, and count the others."""
    numbers = [str(row) for row in rows]
    return ", ".join(numbers[:5]) + (f" and {len(numbers) - 5} more" if numbers[5:] else "")

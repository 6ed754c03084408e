"""Owners' tables, CSV or Excel, as text: one way to find, read and refuse them.

A table is a DataFrame of cells without space round them. Its index is the number of the row as a
spreadsheet counts (the header is row 1); rows without a word are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
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
            msg = f"{found[0]} and {found[1]}: one table twice; keep one of them"
            raise DataError(msg)
        if found:
            return found[0]
    msg = f"{folder / patterns[0]}: missing; download this table from the data set's page"
    raise DataError(msg)


def read_table(path: Path, needed: Iterable[str] = (), separators: str = ",") -> pd.DataFrame:
    """Read a CSV table in UTF-8, or the first sheet of a workbook (``.xlsx``).

    Cells are parted by the first of the separators that the header holds; the columns needed are
    named as by :func:`column_name`.
    """
    if path.suffix.lower() == ".xlsx":
        table = next(iter(read_sheets(path).values()))
    else:
        table = _table(path, _csv_lines(path, separators))
    absent = sorted(set(needed) - set(table.columns))
    if absent or table.empty:
        msg = f"{path}: {', '.join(absent) or 'every row'} missing; copy the table anew"
        raise DataError(msg)
    return table


def read_sheets(path: Path) -> dict[str, pd.DataFrame]:
    """Read every sheet of a workbook, by its title as :func:`column_name` has it."""
    try:
        sheets = pd.read_excel(
            path, sheet_name=None, header=None, dtype=str, keep_default_na=False, engine="openpyxl"
        )
    except ImportError:
        msg = f"{path}: openpyxl is needed to read a workbook: pip install 'mammostudy[excel]'"
        raise DataError(msg) from None
    except Exception as error:  # a damaged workbook fails in the parsers in many ways
        kind = type(error).__name__
        msg = f"{path}: missing or not a readable workbook ({kind}); copy it anew"
        raise DataError(msg) from None
    lines = {column_name(title): sheet.to_numpy().tolist() for title, sheet in sheets.items()}
    return {title: _table(path, sheet) for title, sheet in lines.items()}


def _csv_lines(path: Path, separators: str) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            separator = next((one for one in separators if one in header), separators[0])
            lines = list(csv.reader(file, delimiter=separator, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        msg = f"{path}: missing or not a readable CSV table in UTF-8 ({error}); copy it anew"
        raise DataError(msg) from None
    torn = [row for row, line in enumerate(lines, 1) if line and len(line) != len(lines[0])]
    if torn:
        msg = f"{path}: row {_some(torn)} has not as many cells as the header; the table is damaged"
        raise DataError(msg)
    return lines


def _table(path: Path, lines: Sequence[Sequence[str]]) -> pd.DataFrame:
    names = [column_name(cell) for cell in lines[0]] if lines else []
    kept = [place for place, name in enumerate(names) if name]
    if len({names[place] for place in kept}) != len(kept):
        msg = f"{path}: a column stands twice; copy the table anew"
        raise DataError(msg)
    rows = {
        number: [line[place].strip() for place in kept]
        for number, line in enumerate(lines[1:], start=2)
        if any(cell.strip() for cell in line)
    }
    columns = [names[place] for place in kept]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=str)


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
        msg = f"{path}: {'; '.join(told)}; mend these cells or copy the table anew"
        raise DataError(msg)


def _some(rows: Iterable[object]) -> str:
    """Name the first rows, and count the others."""
    numbers = [str(row) for row in rows]
    return ", ".join(numbers[:5]) + (f" and {len(numbers) - 5} more" if numbers[5:] else "")

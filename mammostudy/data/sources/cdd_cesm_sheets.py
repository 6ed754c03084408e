"""CDD-CESM's radiology tables: what each image shows.

The workbook's sheet ``all`` gives the pathology of every image; each further sheet lists the images
of one kind of finding. Saved as CSV files of the sheets' names they are read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammostudy.data.sources.csv_tables import Row, column_name, read_sheets, read_table
from mammostudy.errors import DataError

WORKBOOK: Final = "Radiology*annotations*.xlsx"
ALL: Final = "all"
MASSES: Final = ("mass description", "mass enhancement description")
SHAPES: Final = {"irregular": "irregular", "oval": "oval", "round": "round", "rounded": "round"}
"""Words of the column ``Mass shape``; several in one cell are a compound shape: no label."""
_PATHOLOGY: Final = {"benign": "benign", "malignant": "malignant", "normal": "unknown"}


@dataclass(frozen=True)
class Findings:
    """What the tables say of an image.

    Attributes:
        pathology: benign, malignant or unknown (normal).
        mass: whether it is said to hold a mass.
        shape: the shape of its masses where a single one is given and it has no other finding.
    """

    pathology: str
    mass: bool
    shape: str | None


def read_findings(folder: Path) -> dict[str, Findings]:
    """Read the tables of a folder, by name of the image.

    Raises:
        DataError: a table or column is missing, or a pathology is no word of the tables.
    """
    path, sheets = _sheets(folder)
    missing = [name for name in (ALL, *MASSES) if not sheets.get(name)]
    if missing:
        msg = (
            f"{path}: sheet(s) {', '.join(missing)} missing or empty; copy the workbook anew, or "
            "save each of its sheets as a CSV file of the sheet's name"
        )
        raise DataError(msg)
    shapes: dict[str, set[str]] = {}
    other: set[str] = set()
    for name, rows in sheets.items():
        if name in MASSES:
            for _, row in rows:
                cell = _cell(path, name, row, "shape")
                shapes.setdefault(_image(path, name, row), set()).update(_words(cell))
        elif name != ALL:
            other |= {_image(path, name, row) for _, row in rows if _is_listed(row)}
    return {
        image: Findings(pathology, image in shapes, _single(shapes.get(image), image in other))
        for image, pathology in _pathologies(path, sheets[ALL]).items()
    }


def _sheets(folder: Path) -> tuple[Path, dict[str, list[Row]]]:
    books = sorted(folder.glob(WORKBOOK)) or sorted(folder.glob(f"*/{WORKBOOK}"))
    if books:
        return books[0], read_sheets(books[0])
    tables = [path for path in sorted(folder.glob("*.csv")) if "segmentation" not in path.name]
    named = {_sheet_name(path): path for path in tables}
    if ALL not in named:
        msg = f"{folder / WORKBOOK}: missing; download the annotations from the data set's page"
        raise DataError(msg)
    return folder, {name: read_table(path, ()) for name, path in named.items()}


def _sheet_name(path: Path) -> str:
    """``all`` for ``Radiology-manual-annotations.csv`` too: Excel saves the first sheet so."""
    name = column_name(path.stem)
    return ALL if re.fullmatch(r"radiology.manual.annotations", name) else name


def _is_listed(row: dict[str, str]) -> bool:
    return any("image" in name and cell for name, cell in row.items())


def _cell(path: Path, sheet: str, row: dict[str, str], word: str) -> str:
    """Return the first cell whose column's name holds a word."""
    for name, cell in row.items():
        if word in name:
            return cell
    msg = f"{path}: sheet {sheet}: no column with {word!r} in its name; copy the table anew"
    raise DataError(msg)


def _image(path: Path, sheet: str, row: dict[str, str]) -> str:
    name = _cell(path, sheet, row, "image")
    return re.sub(r"\s*\.jpe?g$", "", name, flags=re.IGNORECASE).strip()


def _words(cell: str) -> set[str]:
    return {word for word in re.split(r"[^a-z]+", cell.lower()) if word}


def _single(words: set[str] | None, other: bool) -> str | None:
    found = {SHAPES.get(word) for word in words or ()}
    return found.pop() if len(found) == 1 and not other else None


def _pathologies(path: Path, rows: list[Row]) -> dict[str, str]:
    found = {}
    for number, row in rows:
        word = _cell(path, ALL, row, "pathology").lower()
        if not (image := _image(path, ALL, row)):
            continue
        if word not in _PATHOLOGY:
            msg = (
                f"{path}: sheet {ALL}, row {number}, pathology: {word[:40]!r} is not one of "
                f"{', '.join(_PATHOLOGY)}; copy the table anew"
            )
            raise DataError(msg)
        found[image] = _PATHOLOGY[word]
    return found

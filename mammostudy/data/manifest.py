"""The manifest: all the study needs to know of a cohort, a row a mass or a view without one."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa

from mammostudy.data.images import MAX_PIXELS
from mammostudy.data.tables import read_table
from mammostudy.errors import DataError, first, grouped
from mammostudy.paths import write_atomically

SHAPES: Final = ("irregular", "lobular", "oval", "round")
SUBTYPES: Final = ("Luminal-A", "Luminal-B", "HER-2", "Basal-like")
VIEWS: Final = ("CC", "MLO", "ML", "LM", "other", "unknown")
WORDS: Final = {
    "view": VIEWS,
    "side": ("L", "R", "unknown"),
    "modality": ("DM", "CM", "SFM"),
    "shape": SHAPES,
    "pathology": ("benign", "malignant", "unknown"),
    "subtype": SUBTYPES,
    "part": ("train", "test", "other"),
    "density": ("1", "2", "3", "4"),
}
BOX: Final = ("x_min", "y_min", "x_max", "y_max")
FILENAME: Final = "manifest.csv"
Fault = tuple[int | None, str]  # row (from 0; None: the whole table), `column: what is wrong`


def _is_polygon(text: object) -> bool:
    """Whether a cell is a JSON list of at least three ``[x, y]`` points."""
    try:
        points = np.array(json.loads(str(text)), dtype=float)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return len(points) >= 3 and points.shape[1:] == (2,) and bool(np.isfinite(points).all())


def _words(column: str, nullable: bool = False, required: bool = True) -> pa.Column:
    check = pa.Check.isin(WORDS[column], error=f"not one of {', '.join(WORDS[column])}")
    return pa.Column(str, check, nullable=nullable, required=required)


_GIVEN: Final = pa.Check.str_length(min_value=1, error="empty")
_POSITIVE: Final = pa.Check.gt(0, error="must be above 0")
_INSIDE: Final = pa.Check.str_matches(
    r"(?!/)(?!(.*/)?\.\.(/|$))[^\\]*$",
    error="must be a path inside the cohort folder, its parts joined by / and by no backslash",
)
_SPACING: Final = pa.Check.in_range(0.005, 10, error="must be from 0.005 to 10 mm")
_SIDE: Final = pa.Column("Int64", pa.Check.ge(0, error="must not be negative"), nullable=True)
_POLYGON: Final = pa.Check(
    _is_polygon, element_wise=True, error="must be a JSON list of three or more [x, y] points"
)
_SHA256: Final = pa.Check.str_matches(r"^[0-9a-f]{64}$", error="must be a SHA-256 in hex")

SCHEMA: Final = pa.DataFrameSchema(
    {
        "case": pa.Column(str, _GIVEN),
        "patient": pa.Column(str, _GIVEN),
        "site": pa.Column(str),
        "image": pa.Column(str, _INSIDE),
        "height": pa.Column(int, _POSITIVE),
        "width": pa.Column(int, _POSITIVE),
        "view": _words("view"),
        "side": _words("side"),
        "modality": _words("modality"),
        **dict.fromkeys(BOX, _SIDE),
        "mask": pa.Column(str, _INSIDE, nullable=True),
        "mask_label": pa.Column("Int64", _POSITIVE, nullable=True),
        "outline": pa.Column(str, _POLYGON, nullable=True),
        "spacing_mm": pa.Column(float, _SPACING, nullable=True),
        "shape": _words("shape", nullable=True),
        "pathology": _words("pathology"),
        "subtype": _words("subtype", nullable=True),
        "image_sha256": pa.Column(str, _SHA256),
        "part": _words("part", nullable=True, required=False),  # of a split by the owners
        "density": _words("density", nullable=True, required=False),  # BI-RADS a to d
    },
    strict=True,
    coerce=True,
)
COLUMNS: Final = tuple(name for name, column in SCHEMA.columns.items() if column.required)
OPTIONAL: Final = ("part", "density")
"""Columns that a manifest has only where they are filled, and their content in its hash."""
_OF_IMAGE: Final = ("patient", "height", "width", "image_sha256", "density")


def find_faults(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Fault]]:
    """Return a manifest with the schema's types, and its faults."""
    table = table.reset_index(drop=True).copy()
    for column in {"mask", "outline", "shape", "subtype", *OPTIONAL} & set(table.columns):
        table[column] = table[column].astype(object).where(table[column].notna(), None)
    faults: list[Fault] = []
    try:
        table = SCHEMA.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        faults += _of_cells(error.failure_cases)
    if set(COLUMNS) <= set(table.columns):
        faults += _of_rows(table)
    return table, sorted(faults, key=lambda fault: -1 if fault[0] is None else fault[0])


def _of_cells(failures: pd.DataFrame) -> Iterator[Fault]:
    """Yield pandera's failures: the first one of each cell, and columns missing or strange."""
    cells = failures[failures["index"].notna()].drop_duplicates(["column", "index"])
    names = ["index", "column", "failure_case", "check"]
    for row, column, cell, check in cells[names].itertuples(index=False):
        said = str(check)
        if said == "not_nullable":
            said = "must not be empty"
        elif said.startswith(("coerce_dtype", "dtype")):
            said = "must be a whole number" if "int" in said.lower() else "must be a number"
        yield int(row), f"{column}: {str(cell)[:100]!r} {said}"
    whole = failures[failures["index"].isna()]
    words = {"column_in_dataframe": "missing", "column_in_schema": "not of the manifest"}
    for check, said in words.items():
        if len(named := whole["failure_case"][whole["check"] == check]):
            yield None, f"column {first(named, len(SCHEMA.columns))}: {said}"
    echoed = whole["check"].isin(list(words)) | whole["column"].isin(cells["column"])
    for case in whole[~echoed].to_dict("records"):
        yield None, f"{case['column']}: {case['check']} ({case['failure_case']})"


def _of_rows(table: pd.DataFrame) -> Iterator[Fault]:
    """Yield faults that need more than one cell; cells that are no numbers are passed over."""
    numbers = {
        name: pd.to_numeric(table[name].astype(object), errors="coerce").astype(float)
        for name in (*BOX, "height", "width")
    }
    x_min, y_min, x_max, y_max, height, width = numbers.values()
    given, truth = table[list(BOX)].notna(), table[["mask", "mask_label", "outline"]].notna()
    some, whole = given.any(axis=1), given.all(axis=1)
    box, size = "the box {x_min},{y_min},{x_max},{y_max}", "the image of {width}x{height} pixels"
    rules = {
        "case: {case!r} stands twice; give every mass its own": table["case"].dropna().duplicated(),
        "x_min: a mask or outline without a box": ~some & truth.any(axis=1),
        "x_min: the box is given in part": some & ~whole,
        "mask: give a mask or an outline, not both": truth["mask"] & truth["outline"],
        "mask_label: a label without a mask": truth["mask_label"] & ~truth["mask"],
        f"x_max: {box} is empty": (x_min >= x_max) | (y_min >= y_max),
        f"x_max: {box} lies outside {size}": (x_max > width) | (y_max > height),
        f"height: {size} is larger than any mammogram": height * width > MAX_PIXELS,
    }
    for column in table.columns.intersection([*_OF_IMAGE, "part"]):
        of = "patient" if column == "part" else "image"
        cells = numbers.get(column, table[column])
        said = cells.groupby(table[of]).transform("first")
        differs = cells.notna() & said.notna() & (cells != said)
        rules[f"{column}: {{{column}}} is not what an earlier row says of the same {of}"] = differs
    for fault, failed in rules.items():
        for row in table.loc[failed.index[failed]].reset_index().to_dict("records"):
            yield int(row["index"]), fault.format_map(row)


def validate(table: pd.DataFrame, name: str = "manifest") -> pd.DataFrame:
    """Return a manifest with the schema's types; DataError lists all faults by row and column."""
    rows: dict[int | None, Hashable] = {None: 1}  # as a spreadsheet counts them
    rows |= enumerate(table.index if table.index.name == "row" else range(2, 2 + len(table)))
    table, faults = find_faults(table)
    if faults:
        listed = "\n  ".join(grouped((f"row {rows[row]}", said) for row, said in faults))
        fault = f"{len(faults):,} fault(s) in the manifest; mend the cells"
        raise DataError(f"{name}: {fault}:\n  {listed}")
    filled = [name for name in OPTIONAL if name in table and table[name].notna().any()]
    return table[[*COLUMNS, *filled]]


def read_manifest(path: Path) -> pd.DataFrame:
    """Read and validate a manifest file, once a process and state of the file."""
    if not path.exists():
        raise DataError(f"{path}: missing; `mammostudy data template` begins a table of your own")
    found = path.stat()
    return _read(path, (found.st_ino, found.st_size, found.st_mtime_ns)).copy()


@lru_cache(maxsize=8)
def _read(path: Path, _state: tuple[int, int, int]) -> pd.DataFrame:
    numbers = (*BOX, "height", "width", "mask_label", "spacing_mm", "density")
    table = read_table(path, separators=",;\t", numbers=numbers)
    return validate(table.where(table != "").astype(object), str(path))


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Validate a manifest and write it in one move, so that no half of it is ever seen."""
    checked = validate(table, str(path))
    write_atomically(path, lambda partial: checked.to_csv(partial, index=False))

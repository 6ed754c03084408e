"""The manifest: one table, a row a mass, that says all the study needs to know of a cohort.

A view without a mass is a row whose box, mask and outline are empty.
The schema is pandera's; a table is validated as a whole, so that one message lists every fault.
"""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pandera.errors
import pandera.pandas as pa

from mammostudy.data.cache import write_atomically
from mammostudy.errors import DataError

SHAPES: Final = ("irregular", "lobular", "oval", "round")
SUBTYPES: Final = ("Luminal-A", "Luminal-B", "HER-2", "Basal-like")
VIEWS: Final = ("CC", "MLO", "ML", "LM", "other", "unknown")
BOX: Final = ("x_min", "y_min", "x_max", "y_max")
FILENAME: Final = "manifest.csv"
_QUOTE: Final = reprlib.Repr()
_QUOTE.maxstring = _QUOTE.maxother = 100


def _outline_is_polygon(text: object) -> bool:
    """Whether a cell is a JSON list of at least three ``[x, y]`` points."""
    try:
        points = json.loads(str(text))
        return len(points) >= 3 and all(
            isinstance(point, list) and len(point) == 2 and all(math.isfinite(v) for v in point)
            for point in points
        )
    except (TypeError, ValueError, RecursionError):
        return False


def _inside_folder(text: object) -> bool:
    path = Path(str(text))
    return not path.is_absolute() and ".." not in path.parts


def _column(dtype: object, *checks: pa.Check, nullable: bool = False) -> pa.Column:
    return pa.Column(dtype, checks=list(checks), nullable=nullable, coerce=True)


def _words(*values: str) -> pa.Check:
    return pa.Check.isin(values, error=f"not one of {', '.join(values)}")


def _relative() -> pa.Check:
    return pa.Check(
        _inside_folder, element_wise=True, error="must be a path inside the cohort folder"
    )


_POSITIVE = pa.Check.gt(0, error="must be above 0")
_NOT_NEGATIVE = pa.Check.ge(0, error="must not be negative")

SCHEMA: Final = pa.DataFrameSchema(
    {
        "case": _column(str, pa.Check.str_length(min_value=1, error="empty")),
        "patient": _column(str, pa.Check.str_length(min_value=1, error="empty")),
        "site": _column(str),
        "image": _column(str, _relative()),
        "height": _column(int, _POSITIVE),
        "width": _column(int, _POSITIVE),
        "view": _column(str, _words(*VIEWS)),
        "side": _column(str, _words("L", "R", "unknown")),
        "modality": _column(str, _words("DM", "CM", "SFM")),
        **{name: _column("Int64", _NOT_NEGATIVE, nullable=True) for name in BOX},
        "mask": _column(str, _relative(), nullable=True),
        "mask_label": _column("Int64", _POSITIVE, nullable=True),
        "outline": _column(
            str,
            pa.Check(
                _outline_is_polygon,
                element_wise=True,
                error="must be a JSON list of three or more [x, y] points",
            ),
            nullable=True,
        ),
        "spacing_mm": _column(float, _POSITIVE, nullable=True),
        "shape": _column(str, _words(*SHAPES), nullable=True),
        "pathology": _column(str, _words("benign", "malignant", "unknown")),
        "subtype": _column(str, _words(*SUBTYPES), nullable=True),
        "image_sha256": _column(
            str, pa.Check.str_matches(r"^[0-9a-f]{64}$", error="must be a SHA-256 in hex")
        ),
    },
    strict=True,
)
COLUMNS: Final = tuple(SCHEMA.columns)
_OF_THE_IMAGE: Final = ("patient", "height", "width", "image_sha256")


def _schema_faults(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Coerce the columns and collect what pandera finds, as ``row, column: fault``."""
    try:
        return SCHEMA.validate(table, lazy=True), []
    except pandera.errors.SchemaErrors as error:
        return table, _listed(error.failure_cases.to_dict("records"))


def _listed(failures: list[dict[Any, Any]]) -> list[str]:
    """Put pandera's failures into words, one a cell."""
    faults: dict[tuple[object, object], str] = {}
    columns_with_cells = {case["column"] for case in failures if not pd.isna(case["index"])}
    for case in failures:
        row, column, check = case["index"], case["column"], str(case["check"])
        if check == "column_in_dataframe":
            faults[case["failure_case"], None] = f"column {case['failure_case']}: missing"
        elif check == "column_in_schema":
            faults[case["failure_case"], None] = (
                f"column {case['failure_case']}: not a column of the manifest"
            )
        elif pd.isna(row):
            if column not in columns_with_cells:  # else an echo of a cell's fault
                faults[column, None] = f"column {column}: {check} ({case['failure_case']})"
        else:
            faults.setdefault((column, row), f"row {int(row) + 2}, {column}: {_fault(check, case)}")
    return list(faults.values())


def _fault(check: str, case: dict[Any, Any]) -> str:
    if check == "not_nullable":
        return "must not be empty"
    if check.startswith(("coerce_dtype", "dtype")):
        kind = "a whole number" if "int" in check.lower() else "a number"
        return f"{_QUOTE.repr(case['failure_case'])} must be {kind}"
    return f"{_QUOTE.repr(case['failure_case'])} {check}"


def _row_faults(table: pd.DataFrame) -> list[str]:
    """Faults that need more than one cell: boxes, truth columns, duplicates.

    The table may have faults of single cells too; cells that are no numbers are passed over.
    """
    if not set(COLUMNS) <= set(table.columns):
        return []
    faults = [
        f"row {row + 2}, case: {table['case'][row]!r} stands twice; give every mass its own"
        for row in table.index[table["case"].duplicated() & table["case"].notna()]
    ]
    given = table[list(BOX)].notna()
    numbers = _numbers(table)
    for row in table.index:
        if not given.loc[row].any():
            if table.loc[row, ["mask", "mask_label", "outline"]].notna().any():
                faults.append(f"row {row + 2}, x_min: a mask or outline without a box")
            continue
        if not given.loc[row].all():
            missing = [name for name in BOX if not given.loc[row, name]]
            faults.append(f"row {row + 2}, {missing[0]}: the box is given in part")
            continue
        if pd.isna(table["mask"][row]) == pd.isna(table["outline"][row]):
            faults.append(f"row {row + 2}, mask: a mass needs a mask or an outline, and not both")
        if numbers.loc[row].notna().all():
            faults += [f"row {row + 2}, {fault}" for fault in _box_faults(numbers.loc[row])]
    return faults + _disagreements(table)


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return box, height and width as floats, NaN where a cell is empty or no finite number."""
    names = (*BOX, "height", "width")
    cells = {name: table[name].astype(object).where(table[name].notna(), None) for name in names}
    numbers = pd.DataFrame(
        {name: pd.to_numeric(cell, errors="coerce").astype(float) for name, cell in cells.items()}
    )
    return numbers.where(numbers.abs() < math.inf)


def _disagreements(table: pd.DataFrame) -> list[str]:
    """Rows of one image that do not agree about the image."""
    faults = []
    facts = table[["image", *_OF_THE_IMAGE]].assign(**_numbers(table)[["height", "width"]])
    for _, rows in facts.groupby("image", sort=False):
        for column in _OF_THE_IMAGE:
            said = rows[column].dropna()
            differs = said.index[said != said.iloc[0]] if len(said) else []
            if len(differs):
                faults.append(
                    f"row {differs[0] + 2}, {column}: {table[column][differs[0]]} is not what "
                    f"row {said.index[0] + 2} says of the same image"
                )
    return faults


def _box_faults(row: pd.Series) -> list[str]:
    x_min, y_min, x_max, y_max = (int(row[name]) for name in BOX)
    faults = []
    if x_min >= x_max or y_min >= y_max:
        faults.append(f"x_max: the box {x_min},{y_min},{x_max},{y_max} is empty")
    if x_max > row["width"] or y_max > row["height"]:
        faults.append(
            f"x_max: the box {x_min},{y_min},{x_max},{y_max} lies outside "
            f"the image of {int(row['width'])}x{int(row['height'])} pixels"
        )
    return faults


def find_faults(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a manifest with the schema's types, and its faults.

    A fault of a row starts with ``row N,`` (2 is the first, as a spreadsheet counts).
    """
    table = table.reset_index(drop=True).copy()
    for column in ("mask", "outline", "shape", "subtype"):
        if column in table:
            table[column] = table[column].astype(object).where(table[column].notna(), None)
    table, faults = _schema_faults(table)
    return table, faults + _row_faults(table)


def validate(table: pd.DataFrame, name: str = "manifest") -> pd.DataFrame:
    """Check a manifest as a whole and return it with the schema's types.

    Args:
        table: the manifest; row 2 of a message is its first row, as a spreadsheet counts.
        name: what to call it in the message (a path or a cohort).

    Returns:
        A copy with the columns of :data:`COLUMNS`, their types and a plain index.

    Raises:
        DataError: with every fault of the table, each with its row and column.
    """
    table, faults = find_faults(table)
    if faults:
        listed = "\n  ".join(faults)
        msg = f"{name}: {len(faults)} fault(s) in the manifest; mend these cells:\n  {listed}"
        raise DataError(msg)
    return table[list(COLUMNS)]


def read_manifest(path: Path) -> pd.DataFrame:
    """Read and validate a manifest file.

    Raises:
        DataError: the file is missing, not a CSV table, or has faults (all of them listed).
    """
    names = ("case", "patient", "site", "image", "mask", "outline", "image_sha256")
    text = dict.fromkeys(names, str)
    try:
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        msg = f"{path}: missing; a cohort's folder needs this table, a row a mass"
        raise DataError(msg) from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        msg = f"{path}: not a readable CSV table ({error}); save it as comma-separated UTF-8"
        raise DataError(msg) from error
    return validate(table, str(path))


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Validate a manifest and write it in one move, so that no half of it is ever seen.

    Raises:
        DataError: the table has faults, or the folder cannot be written; nothing is written.
    """
    checked = validate(table, str(path))
    try:
        write_atomically(path, lambda partial: checked.to_csv(partial, index=False))
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror}); check the folder and the disk"
        raise DataError(msg) from error


def content_hash(table: pd.DataFrame) -> str:
    """Hash what a manifest says, images' content included (SHA-256, first 16 hex digits)."""
    text = table.sort_values("case")[list(COLUMNS)].to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe_schema() -> dict[str, dict[str, object]]:
    """Return the schema as plain values: type, whether it may be empty, and its rules, by column.

    ``data_manifests/manifest_schema.json`` holds it for readers without Python; a test compares.
    """
    return {
        name: {
            "type": _type_word(str(column.dtype)),
            "may_be_empty": column.nullable,
            "rules": [str(check.error) for check in column.checks if check.error != "empty"],
        }
        for name, column in SCHEMA.columns.items()
    }


def _type_word(dtype: str) -> str:
    word = dtype.lower()
    return "integer" if "int" in word else "number" if "float" in word else "text"

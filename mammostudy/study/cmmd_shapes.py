"""The second-hand table of CMMD: shape by subtype of 186 breasts, as counts.

The shapes were read off file names of a repository that sorted TOMPEI-CMMD masses into folders,
and joined with CMMD's clinical table by patient and side: a lead, not ground truth. Only the
aggregate is committed (``results/cmmd-shape-second-hand/table.json``): no row of the data.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mammostudy.data.cache import write_atomically
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root, results_root

VERSION: Final = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

NAME: Final = "cmmd-shape-second-hand"
FILE: Final = "tompei_cmmd_mass_shape_subset.csv"
BREAST: Final = ["ID1", "LeftRight"]
SUBTYPES: Final = {
    "Luminal A": "Luminal-A",
    "Luminal B": "Luminal-B",
    "HER2-enriched": "HER-2",
    "triple negative": "triple negative",
}
SHAPES: Final = {
    "irregular": "irregular",
    "lobular": "lobular",
    "polygonal": "polygonal",
    "round_oval": "round or oval",
}
_COLUMNS: Final = [*BREAST, "mass_shape", "classification", "subtype"]
FURTHER: Final = "further lesions of a breast already counted"
UNKNOWN: Final = "breasts without a row in the clinical table"
BENIGN: Final = "benign breasts (no subtype)"
UNTYPED: Final = "malignant breasts without a subtype"
TWO_SUBTYPES: Final = "breasts with two subtypes"
TWO_SHAPES: Final = "breasts with two shapes"


def cmmd_table(path: Path) -> pd.DataFrame:
    """Count breasts by subtype (rows) and shape (columns), each breast once.

    Args:
        path: the data set's CSV: a row a lesion with ``ID1`` (patient), ``LeftRight``,
            ``mass_shape``, ``classification`` and ``subtype``.

    Returns:
        Whole counts. ``attrs`` holds ``lesions``, ``breasts``, ``patients`` (of the file),
        ``patients_counted`` (of the table) and ``dropped``: lesions (the first reason) or breasts
        left out, by reason.

    Raises:
        DataError: a column is missing, or a shape or subtype has an unknown name.
    """
    lesions = _read(path)
    by_breast = lesions.groupby(BREAST, sort=True)
    breasts = by_breast[["mass_shape", "subtype", "classification"]].agg(_distinct).reset_index()
    reasons = breasts.apply(_reason, axis=1)
    kept = breasts[reasons == ""]
    table = pd.crosstab(
        kept["subtype"].str[0].map(SUBTYPES), kept["mass_shape"].str[0].map(SHAPES)
    ).reindex(index=list(SUBTYPES.values()), columns=list(SHAPES.values()), fill_value=0)
    table = table.rename_axis(index="subtype", columns="shape")
    dropped = {FURTHER: len(lesions) - len(breasts)}
    named = (UNKNOWN, BENIGN, UNTYPED, TWO_SUBTYPES, TWO_SHAPES)
    table.attrs = {
        "lesions": len(lesions),
        "breasts": len(breasts),
        "patients": int(lesions["ID1"].nunique()),
        "patients_counted": int(kept["ID1"].nunique()),
        "dropped": dropped | {reason: int((reasons == reason).sum()) for reason in named},
    }
    return table


def _read(path: Path) -> pd.DataFrame:
    lesions = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in _COLUMNS if name not in lesions]:
        msg = f"{path}: column {missing[0]!r} is missing; is this the table named in its README?"
        raise DataError(msg)
    for column, known in (("mass_shape", SHAPES), ("subtype", {**SUBTYPES, "": ""})):
        if unknown := sorted(set(lesions[column]) - set(known)):
            names = ", ".join(name for name in known if name)
            msg = f"{path}: {column} {unknown[0]!r} is unknown; known: {names}"
            raise DataError(msg)
    return lesions


def _distinct(values: pd.Series) -> tuple[str, ...]:
    """Return the different values of a breast's lesions, empty ones left out."""
    return tuple(sorted({str(value) for value in values if value}))


def _reason(breast: pd.Series) -> str:
    """Say why a breast is left out; nothing where it counts."""
    if not breast["classification"]:
        return UNKNOWN
    if not breast["subtype"]:
        return BENIGN if breast["classification"] == ("Benign",) else UNTYPED
    if len(breast["subtype"]) > 1:
        return TWO_SUBTYPES
    return TWO_SHAPES if len(breast["mass_shape"]) > 1 else ""


def aggregate(path: Path) -> dict[str, Any]:
    """Return what is committed: the counts, what was left out, and the hash of the input file."""
    table = cmmd_table(path)
    return {
        "version": VERSION,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **{str(name): value for name, value in table.attrs.items()},
        "counted": int(table.to_numpy().sum()),
        "subtypes": list(table.index),
        "shapes": list(table.columns),
        "counts": table.to_numpy().tolist(),
    }


def committed() -> Path:
    """Return where the aggregate is committed."""
    return results_root() / NAME / "table.json"


def source() -> Path | None:
    """Return the CSV where ``MAMMOSTUDY_DATA`` holds it, else None."""
    root = data_root()
    path = root / NAME / FILE if root else None
    return path if path and path.is_file() else None


def read_aggregate() -> dict[str, Any]:
    """Read the committed aggregate.

    Raises:
        DataError: it is missing or is not what :func:`aggregate` makes.
    """
    path = committed()
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shape = (len(content["subtypes"]), len(content["shapes"]))
        table = table_of(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: missing or damaged; run python -m mammostudy.study.subtype_tables"
        raise DataError(msg) from error
    if table.shape != shape or int(table.to_numpy().sum()) != content["counted"]:
        msg = f"{path}: its counts do not sum to `counted`; write it again from the CSV"
        raise DataError(msg)
    return content


def table_of(content: dict[str, Any]) -> pd.DataFrame:
    """Return an aggregate's counts, subtype by shape."""
    table = pd.DataFrame(content["counts"], content["subtypes"], content["shapes"])
    return table.rename_axis(index="subtype", columns="shape")


def write_aggregate() -> Path:
    """Aggregate the CSV below ``MAMMOSTUDY_DATA`` and write the file to commit.

    Raises:
        MissingDataError: the CSV is not there.
        DataError: as :func:`cmmd_table`.
    """
    path = source()
    if path is None:
        msg = f"{NAME}/{FILE} is not at hand: set MAMMOSTUDY_DATA to the folder that holds {NAME}/"
        raise MissingDataError(msg)
    text = json.dumps(aggregate(path), indent=1) + "\n"
    target = committed()
    write_atomically(target, lambda partial: partial.write_text(text, encoding="utf-8"))
    return target


def check() -> str:
    """Compare the committed aggregate with the CSV.

    Returns:
        ``same``, ``differs`` (another file or other counts), or ``not at hand``.
    """
    path = source()
    if path is None:
        return "not at hand"
    return "same" if aggregate(path) == read_aggregate() else "differs"

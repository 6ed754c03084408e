"""The four case tables of CBIS-DDSM: masses, shapes, patients and the official split.

The split was drawn for masses and for calcifications apart, so a patient can sit in the training
part of one table and in the test part of the other. The rule here is :data:`SPLIT_RULE`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data.sources.csv_tables import find_table, quoted, read_table, refuse
from mammostudy.errors import DataError

PARTS: Final = ("train", "test")
KINDS: Final = ("mass", "calcification")
FILENAMES: Final = {
    ("mass", "train"): "mass_case_description_train_set.csv",
    ("mass", "test"): "mass_case_description_test_set.csv",
    ("calcification", "train"): "calc_case_description_train_set.csv",
    ("calcification", "test"): "calc_case_description_test_set.csv",
}
PUBLISHED_ROWS: Final = {("mass", "train"): 1318, ("mass", "test"): 378}
SPLIT_RULE: Final = (
    "a patient belongs to the part of the official split in which most of its masses lie (for a "
    "patient without masses: most of its calcifications), and to the test part where both hold as "
    "many; all its other rows follow"
)
SHAPE_MAPPING: Final = {
    "IRREGULAR": "irregular", "LOBULATED": "lobular", "OVAL": "oval", "ROUND": "round",
}  # fmt: skip
OTHER_SHAPES: Final = (
    "ARCHITECTURAL_DISTORTION", "ASYMMETRIC_BREAST_TISSUE", "FOCAL_ASYMMETRIC_DENSITY",
    "LYMPH_NODE",
)  # fmt: skip
COMPOUND: Final = "shape left empty: several words (compound)"
OTHER_SHAPE: Final = "shape left empty: none of the four shapes"
NO_SHAPE: Final = "shape left empty: not given"
PATHOLOGIES: Final = {
    "MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign",
}  # fmt: skip
_SIDES: Final = {"LEFT": "L", "RIGHT": "R"}
_PATHS: Final = {
    "image": "image file path", "crop": "cropped image file path", "mask": "roi mask file path",
}  # fmt: skip
_NEEDED: Final = {
    "patient id", "breast density", "left or right breast", "image view", "abnormality id",
    "abnormality type", "pathology", *_PATHS.values(),
}  # fmt: skip
_OF_MASSES: Final = ("mass shape", "mass margins", "assessment", "subtlety")
_VOCABULARY: Final = {
    "patient id": r"P_\d{5}", "breast density": "[0-4]?", "left or right breast": "LEFT|RIGHT",
    "image view": "CC|MLO", "abnormality id": r"[1-9]\d?", "assessment": "[0-6]?",
    "subtlety": "[0-5]?", "pathology": "|".join(PATHOLOGIES),
}  # fmt: skip
_UID: Final = r"[0-9]+(?:\.[0-9]+)+"
_FILE: Final = re.compile(rf"([\w-]+)/{_UID}/{_UID}/\w+\.dcm", re.ASCII)
_CASE: Final = re.compile(r"Mass-(Training|Test)_(P_\d{5})_(LEFT|RIGHT)_(CC|MLO)_\d{1,2}")


@dataclass(frozen=True)
class CbisTables:
    """The four tables.

    Attributes:
        masses: a row a mass, indexed by ``case`` (``Mass-Training_P_00001_LEFT_CC_1``): patient,
            part (train, test), side (L, R), view, density, shape_words, margins, assessment,
            pathology, subtlety, and the paths of the table ``image``, ``crop`` and ``mask``.
        calcifications: the same columns, ``shape_words`` and what follows of masses alone empty.
    """

    masses: pd.DataFrame
    calcifications: pd.DataFrame


def read_tables(folder: Path) -> CbisTables:
    """Read the four case tables from a folder, or from a folder of it (as ``csv/``).

    Raises:
        DataError: a table is missing, cut or damaged, or a row of it cannot be (a word out of the
            vocabulary, a path that leads elsewhere or to another case, a case twice).
    """
    rows: dict[str, list[dict[str, object]]] = {kind: [] for kind in KINDS}
    for (kind, part), name in FILENAMES.items():
        path = find_table(folder, name)
        rows[kind] += _read(path, kind, part)
    masses, calcifications = (pd.DataFrame(rows[kind]).set_index("case") for kind in KINDS)
    return CbisTables(masses, calcifications)


def _read(path: Path, kind: str, part: str) -> list[dict[str, object]]:
    needed = _NEEDED | set(_OF_MASSES if kind == "mass" else ())
    rows: list[dict[str, object]] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for line, cells in read_table(path, needed):
        case = _case(cells, kind, part)
        found = _cell_faults(cells, kind)
        if not found:
            found = _path_faults(cells, case)
        if not found and case in seen:
            found = [f"abnormality id: {case} stands in line {seen[case]} too"]
        faults += [f"line {line}, {fault}" for fault in found]
        seen[case] = line
        if not found:
            rows.append(_row(cells, case, part))
    refuse(path, faults)
    return rows


def _case(cells: dict[str, str], kind: str, part: str) -> str:
    names = ("patient id", "left or right breast", "image view", "abnormality id")
    start = f"{'Mass' if kind == 'mass' else 'Calc'}-{'Training' if part == 'train' else 'Test'}"
    return "_".join([start, *(cells[name] for name in names)])


def _cell_faults(cells: dict[str, str], kind: str) -> list[str]:
    faults = [
        f"{name}: {quoted(cells[name])} is not of this column"
        for name, pattern in _VOCABULARY.items()
        if not re.fullmatch(pattern, cells.get(name, ""), re.ASCII)
        and not (kind != "mass" and name in _OF_MASSES)
    ]
    if cells["abnormality type"] != kind:
        faults.append(f"abnormality type: {quoted(cells['abnormality type'])} is not {kind}")
    if kind == "mass":
        known = {*SHAPE_MAPPING, *OTHER_SHAPES}
        words = _words(cells["mass shape"])
        faults += [
            f"mass shape: {quoted(word)} is no known word" for word in words if word not in known
        ]
    return faults


def _path_faults(cells: dict[str, str], case: str) -> list[str]:
    """Paths that leave the folder, are no paths of the archive, or belong to another case."""
    image = case.rpartition("_")[0]
    faults = []
    for name in _PATHS.values():
        match = _FILE.fullmatch(cells[name])
        if match is None:
            faults.append(f"{name}: {quoted(cells[name])} is no CASE/STUDY/SERIES/FILE.dcm")
        elif match[1] != (image if name == _PATHS["image"] else case):
            faults.append(f"{name}: {quoted(match[1])} is the folder of another case than {case}")
    return faults


def _words(cell: str) -> list[str]:
    return [] if cell in ("", "N/A") else cell.split("-")


def _row(cells: dict[str, str], case: str, part: str) -> dict[str, object]:
    return {
        "case": case,
        "patient": cells["patient id"],
        "part": part,
        "side": _SIDES[cells["left or right breast"]],
        "view": cells["image view"],
        "density": cells["breast density"],
        "shape_words": cells.get("mass shape", ""),
        "margins": cells.get("mass margins", ""),
        "assessment": cells.get("assessment", ""),
        "pathology": PATHOLOGIES[cells["pathology"]],
        "subtlety": cells.get("subtlety", ""),
        **{key: cells[name] for key, name in _PATHS.items()},
    }


def shape_of(cell: str) -> tuple[str | None, str | None]:
    """Map a cell of ``mass shape`` to one of the four shapes.

    Only a single word counts (LOBULATED is lobular). The others leave the shape empty and keep the
    mass, which can still be segmented.

    Returns:
        The shape or None, and why it is None (:data:`COMPOUND`, :data:`OTHER_SHAPE`,
        :data:`NO_SHAPE`).
    """
    words = _words(cell)
    if len(words) != 1:
        return None, COMPOUND if words else NO_SHAPE
    shape = SHAPE_MAPPING.get(words[0])
    return shape, None if shape else OTHER_SHAPE


def patients(tables: CbisTables) -> pd.DataFrame:
    """Count every patient's rows by table, and give its side of the split by :data:`SPLIT_RULE`.

    Returns:
        Indexed by patient: mass_train, mass_test, calcification_train, calcification_test (rows),
        both_kinds (in mass and calcification tables), both_parts (in train and test tables), part.
    """
    kinds = dict(zip(KINDS, (tables.masses, tables.calcifications), strict=True))
    counts = {
        f"{kind}_{part}": rows.loc[rows["part"] == part, "patient"].value_counts()
        for kind, rows in kinds.items()
        for part in PARTS
    }
    table = pd.DataFrame(counts).fillna(0).astype(int).rename_axis("patient").sort_index()
    of_masses = table["mass_train"] + table["mass_test"] > 0
    in_train = table["mass_train"] > table["mass_test"]
    calcified = table["calcification_train"] > table["calcification_test"]
    table["both_kinds"] = of_masses & (
        table["calcification_train"] + table["calcification_test"] > 0
    )
    trained = table["mass_train"] + table["calcification_train"] > 0
    tested = table["mass_test"] + table["calcification_test"] > 0
    table["both_parts"] = trained & tested
    table["part"] = in_train.where(of_masses, calcified).map({True: "train", False: "test"})
    return table


def moved(tables: CbisTables) -> dict[str, int]:
    """Count the rows whose patient lies in the other part by :data:`SPLIT_RULE`, by kind."""
    part = patients(tables)["part"]
    kinds = zip(KINDS, (tables.masses, tables.calcifications), strict=True)
    return {kind: int((rows["part"] != rows["patient"].map(part)).sum()) for kind, rows in kinds}


def official_part(manifest: pd.DataFrame) -> pd.Series:
    """Return the part of the official split that each row of a CBIS-DDSM manifest belongs to.

    Read off the case names, which are the owners'. No patient stands in two parts: one whose
    masses lie in both goes where most of them lie, and to test where both hold as many
    (:data:`SPLIT_RULE`; among the published masses there is no such patient).

    Args:
        manifest: rows with the columns ``case`` and ``patient``.

    Returns:
        ``train`` or ``test``, with the manifest's index.

    Raises:
        DataError: a case is not named as CBIS-DDSM names it.
    """
    names = [_CASE.fullmatch(str(case)) for case in manifest["case"]]
    for case, name in zip(manifest["case"], names, strict=True):
        if name is None:
            msg = (
                f"case {quoted(str(case))}: not a mass of CBIS-DDSM (Mass-Training_P_00001_LEFT_"
                "CC_1), so without an official part; use a split by patient"
            )
            raise DataError(msg)
    trained = [name is not None and name[1] == "Training" for name in names]
    share = pd.Series(trained, index=manifest.index, dtype=float)
    most = share.groupby(manifest["patient"]).transform("mean") > 0.5
    return most.map({True: "train", False: "test"}).rename("part")

"""CMMD: digital mammograms with molecular subtypes by breast (Cui et al. 2021, CC BY 4.0).

Reads ``CMMD_clinicaldata_revision.xlsx`` (or the same sheet saved as CSV) and the DICOM files of
the patients in whatever layout the archive's downloaders give them. The set says which breast holds
which disease and not where: there are no boxes, masks or shapes, so it serves subtypes alone. Known
faults and what is done about them:

- the table lists the diseased breasts, the files show others too: those are dropped;
- some files are laid out by series alone: their patient is then read from the header, where the
  set's public pseudonyms stand;
- the view stands in ViewCodeSequence and not in ViewPosition: both are read;
- the triple-negative type is taken for Basal-like, as the paper's fourth type; the two overlap in
  most tumours and not in all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data.manifest import COLUMNS, SUBTYPES
from mammostudy.data.sources.archive_dicoms import Header, identify, index_files, look
from mammostudy.data.sources.csv_tables import find_table, quoted, read_table, refuse
from mammostudy.errors import DataError

TITLE: Final = "CMMD"
VERSION: Final = 1  # recipe version: raised when other rows come of the same files
TASKS: Final = {"subtype": ("image", "subtype")}
SITE: Final = "cmmd"
FILENAME: Final = "CMMD_clinicaldata_revision.csv"
SUBTYPE_MAPPING: Final = {
    "Luminal A": "Luminal-A", "Luminal B": "Luminal-B", "HER2-enriched": "HER-2",
    "triple negative": "Basal-like",
}  # fmt: skip
NO_PATIENT: Final = "file of no patient of the table"
OTHER_BREAST: Final = "image of a breast that the table does not list"
NO_SIDE: Final = "image whose side is unknown"
BAD_IMAGE: Final = "image damaged"
NO_IMAGE: Final = "breast without an image"
REJECTED: Final = ("case", "file", "reason", "message")
_PATIENT: Final = re.compile(r"D[12]-\d{4}", re.ASCII)
_VOCABULARY: Final = {
    "id1": _PATIENT.pattern, "leftright": "L|R", "abnormality": "calcification|mass|both",
    "classification": "Benign|Malignant", "subtype": "|".join(["", *SUBTYPE_MAPPING]),
}  # fmt: skip


def read_breasts(folder: Path) -> pd.DataFrame:
    """Read the clinical table from a folder, or from a folder of it.

    Returns:
        A row a breast, indexed by ``breast`` (``D1-0001_R``): patient, side, abnormality
        (calcification, mass, both), pathology, subtype (missing where it was not determined).

    Raises:
        DataError: the table is missing, cut or damaged, or a row of it cannot be (a word out of
            the vocabulary, a breast twice, a subtype of a benign breast).
    """
    path = _table(folder)
    rows: list[dict[str, object]] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for line, cells in read_table(path, _VOCABULARY, delimiters=",;"):
        breast = f"{cells['id1']}_{cells['leftright']}"
        found = _faults(cells)
        if not found and breast in seen:
            found = [f"ID1: {breast} stands in line {seen[breast]} too"]
        faults += [f"line {line}, {fault}" for fault in found]
        seen[breast] = line
        if not found:
            rows.append(_breast(breast, cells))
    refuse(path, faults)
    return pd.DataFrame(rows).set_index("breast")


def _table(folder: Path) -> Path:
    """Find the table, as CSV or, where there is none, as the spreadsheet that was published."""
    try:
        return find_table(folder, FILENAME)
    except DataError:
        sheet = Path(FILENAME).with_suffix(".xlsx").name
        if not folder.is_dir() or list(folder.glob(f"*/{FILENAME}")):
            raise
        try:
            return find_table(folder, sheet)
        except DataError:
            msg = f"{folder / sheet}: missing; download this table from the data set's page into it"
            raise DataError(msg) from None


def _faults(cells: dict[str, str]) -> list[str]:
    faults = [
        f"{name}: {quoted(cells[name])} is not of this column"
        for name, pattern in _VOCABULARY.items()
        if not re.fullmatch(pattern, cells[name], re.ASCII)
    ]
    if not faults and cells["subtype"] and cells["classification"] == "Benign":
        faults = [f"subtype: {quoted(cells['subtype'])} of a benign breast"]
    return faults


def _breast(breast: str, cells: dict[str, str]) -> dict[str, object]:
    return {
        "breast": breast,
        "patient": cells["id1"],
        "side": cells["leftright"],
        "abnormality": cells["abnormality"],
        "pathology": cells["classification"].lower(),
        "subtype": SUBTYPE_MAPPING.get(cells["subtype"]),
    }


def subtype_counts(breasts: pd.DataFrame) -> dict[str, int]:
    """Count the breasts of each subtype, in the study's order."""
    counts = breasts["subtype"].value_counts()
    return {subtype: int(counts.get(subtype, 0)) for subtype in SUBTYPES}


def read_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the mammograms of a folder whose breast the table lists.

    Args:
        folder: holds the clinical table and, anywhere below it, the DICOM files.

    Returns:
        The manifest's rows (not yet validated), a row an image, without boxes; and a row for each
        file or breast left out: case (a breast, where it is known), file, reason, message.

    Raises:
        DataError: the table is missing or damaged, or no image is left.
    """
    breasts = read_breasts(folder)
    rows: list[dict[str, object]] = []
    rejected: list[dict[str, object]] = []
    names: Counter[str] = Counter()
    for path, patient in _files(folder, set(breasts["patient"])):
        place = path.relative_to(folder).as_posix()
        breast, header, reason, message = _placed(path, patient, breasts)
        if header is None:
            rejected.append({"case": breast, "file": place, "reason": reason, "message": message})
            continue
        case = f"{breast}_{header.view}"
        names[case] += 1
        case += f"_{names[case]}" if names[case] > 1 else ""
        rows.append(_row(case, place, header, breasts.loc[[breast]].iloc[0]))
    if not rows:
        raise _nothing(folder, rejected)
    shown = {str(row["case"]).split("_")[0] + f"_{row['side']}" for row in rows}
    for breast in breasts.index.difference(sorted(shown)):
        rejected.append({"case": breast, "file": "", "reason": NO_IMAGE, "message": ""})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table, pd.DataFrame(rejected, columns=list(REJECTED))


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the mammograms of CMMD.

    Args:
        folder: holds the clinical table and, anywhere below it, the DICOM files.
        store: where ``dropped.csv`` is written, a line a file or breast left out, with the reason.

    Returns:
        The manifest (not yet validated; boxes, masks and shapes are empty because the set has
        none, not because the images show no mass), and what was dropped, by reason.

    Raises:
        DataError: the table is missing or damaged, or no image is left.
    """
    table, rejected = read_folder(folder)
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
        rejected.to_csv(store / "dropped.csv", index=False)
    return table, {str(k): int(n) for k, n in rejected["reason"].value_counts().items()}


def _files(folder: Path, patients: set[str]) -> Iterator[tuple[Path, str | None]]:
    """Give every DICOM file with its patient, by a folder's name or by the header, or None."""
    for path in index_files(folder).get("", []):
        parts = path.relative_to(folder).parts
        patient = next((part for part in parts if _PATIENT.fullmatch(part)), None)
        patient = patient or identify(path)[0].strip()
        yield path, patient if patient in patients else None


def _placed(
    path: Path, patient: str | None, breasts: pd.DataFrame
) -> tuple[str | None, Header | None, str, str]:
    """Return the breast that a file shows with its header, or why it is left out."""
    if patient is None:
        return None, None, NO_PATIENT, ""
    try:
        header = look(path)
    except DataError as error:
        return None, None, BAD_IMAGE, str(error)
    if header.side == "unknown":
        return None, None, NO_SIDE, ""
    breast = f"{patient}_{header.side}"
    if breast not in breasts.index:
        return breast, None, OTHER_BREAST, ""
    return breast, header, "", ""


def _row(case: str, place: str, header: Header, breast: pd.Series) -> dict[str, object]:
    return {
        "case": case,
        "patient": breast["patient"],
        "site": SITE,
        "image": place,
        "height": header.height,
        "width": header.width,
        "view": header.view,
        "side": breast["side"],
        "modality": "DM",
        "spacing_mm": header.spacing_mm,
        "pathology": breast["pathology"],
        "subtype": breast["subtype"],
        "image_sha256": header.sha256,
    }


def _nothing(folder: Path, rejected: list[dict[str, object]]) -> DataError:
    if not rejected:
        hint = "holds no .dcm file; download the DICOM files of CMMD from the archive into it"
        return DataError(f"{folder}: {hint}")
    counts = Counter(str(one["reason"]) for one in rejected)
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    first = rejected[0]
    hint = f"{listed}; {first['message'] or 'download the files that the table names'}"
    return DataError(f"{folder / str(first['file'])}: no image can be used: {hint}")

"""CMMD: digital mammograms with molecular subtypes by breast (Cui et al. 2021, CC BY 4.0).

Reads ``CMMD_clinicaldata_revision.xlsx`` (or that sheet as CSV) and the DICOM files in whatever
layout the archive's downloaders give them. The set says which breast holds which disease and not
where, so it serves subtypes alone. ``data_manifests/cmmd.yaml`` tells its faults.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import pandas as pd
from pydicom import dcmread

from mammostudy.data.dicom_file import guarded
from mammostudy.data.sources.files import Gathered, RejectedError, Row, index_files, look
from mammostudy.data.tables import check, find_table, read_table
from mammostudy.errors import DataError

TABLES: Final = ("CMMD_clinicaldata_revision.csv", "CMMD_clinicaldata_revision.xlsx")
SUBTYPES: Final = {
    "Luminal A": "Luminal-A", "Luminal B": "Luminal-B", "HER2-enriched": "HER-2",
    "triple negative": "Basal-like",
}  # fmt: skip
_PATIENT: Final = r"D[12]-\d{4}"
_WORDS: Final = {
    "id1": _PATIENT, "leftright": "L|R", "abnormality": "calcification|mass|both",
    "classification": "Benign|Malignant", "subtype": "|".join(["", *SUBTYPES]), "number": r"\d*",
}  # fmt: skip


def read_breasts(folder: Path) -> pd.DataFrame:
    """Read the clinical table of a folder, or of one in it: a row a breast (``D1-0001_R``)."""
    path = find_table(folder, *TABLES)
    table = read_table(path, _WORDS, separators=",;")
    breast = table["id1"] + "_" + table["leftright"]
    benign = table["classification"] == "Benign"
    faults = {
        "id1, leftright: a breast twice": breast.duplicated(),
        "subtype: of a benign breast": benign & (table["subtype"] != ""),
    }
    check(path, table, _WORDS, faults)
    columns = {
        "breast": breast, "patient": table["id1"], "side": table["leftright"],
        "images": pd.to_numeric(table["number"]), "abnormality": table["abnormality"],
        "pathology": table["classification"].str.lower(),
        "subtype": table["subtype"].map(SUBTYPES).astype(object),
    }  # fmt: skip
    return pd.DataFrame(columns).set_index("breast")


def build_manifest(folder: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the mammograms whose breast the table lists; the set has no boxes, masks or shapes."""
    breasts = read_breasts(folder)
    found = Gathered(folder)
    cases: Counter[str] = Counter()
    for path in index_files(folder).get("", []):
        with found.sorting():
            row = _row(path, folder, breasts)
            case = f"{row['patient']}_{row['side']}_{row['view']}"
            cases[case] += 1
            row["case"] = case if cases[case] == 1 else f"{case}_{cases[case]}"
            found.rows.append(row)
    absent = set(breasts.index) - {f"{row['patient']}_{row['side']}" for row in found.rows}
    for breast in sorted(absent):
        with found.sorting():
            raise RejectedError("breast without an image", breast)
    return found.result()


def _row(path: Path, folder: Path, breasts: pd.DataFrame) -> Row:
    """Return the row of a file."""
    file = path.relative_to(folder).as_posix()
    named = (part for part in file.split("/") if re.fullmatch(_PATIENT, part, re.ASCII))
    patient = next(named, "")
    if not patient:  # the header has the set's public pseudonym
        with suppress(DataError), guarded(path, "no DICOM file"):
            header = dcmread(path, specific_tags=["PatientID"], stop_before_pixels=True)
            patient = str(header.get("PatientID", "")).strip()
    if patient not in breasts["patient"].array:
        raise RejectedError("file of no patient of the table", "", file)
    try:
        image = look(folder, path)
    except DataError as error:
        raise RejectedError("image damaged", "", file, str(error)) from None
    if image["side"] == "unknown":
        raise RejectedError("image whose side is unknown", "", file)
    breast = f"{patient}_{image['side']}"
    if breast not in breasts.index:
        raise RejectedError("image of a breast that the table does not list", breast, file)
    said = {name: breasts[name][breast] for name in ("pathology", "subtype")}
    return image | said | {"patient": patient, "site": "cmmd", "modality": "DM"}

"""A private cohort: a folder of mammograms, masks and one table, ``cohort.csv``.

Patients stand in the manifest by pseudonym only, and so do the names of files
(:mod:`mammostudy.data.private`); cases are named after the patient's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data import manifest, row_files
from mammostudy.data.manifest import BOX, WORDS
from mammostudy.data.private import PRIVATE_TABLE, SUFFIXES, hidden_name, pseudonym, without
from mammostudy.data.sources.files import Row, look
from mammostudy.data.tables import read_table
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of

GUIDE_FILE: Final = "cohort-guide.md"
FREE: Final = ("", "none")  # of the column mask: a view without a mass
COLUMNS: Final = {
    "image": "path of the mammogram inside this folder: DICOM, PNG, JPEG or TIFF",
    "mask": "path of a mask, PNG, TIFF or DICOM, white where the mass is; empty: no mass in view",
    "mask_label": "the grey value of this mass where one file holds several; else empty",
    "patient": "any name or number, the same for all images of a patient; kept as a keyed hash",
    "site": "a letter or number for the hospital or scanner, not its name; empty: one site",
    "view": f"{', '.join(WORDS['view'])}; empty: as the DICOM file says",
    "side": "L, R or unknown; empty: as the DICOM file says",
    "modality": "DM (digital), CM (contrast-enhanced) or SFM (film); empty: DM",
    "spacing_mm": "millimetres a pixel; empty: as the DICOM file says, never guessed",
    "shape": f"{', '.join(WORDS['shape'])}, or empty",
    "pathology": "benign, malignant or unknown; empty: unknown",
    "subtype": f"{', '.join(WORDS['subtype'])}, or empty",
}


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read a private cohort; an error lists every fault of the table and its files at once."""
    table = read_table(folder / PRIVATE_TABLE, ("image", "mask", "patient"), ",;\t")
    known = f"no column of the table; use {', '.join(COLUMNS)}"
    faults = [f"row 1, {name}: {known}" for name in table.columns.difference(list(COLUMNS))]
    table = table.reindex(columns=list(COLUMNS), fill_value="")
    again = table.duplicated(["image", "mask", "mask_label"])
    rows: list[Row] = []
    for (number, cells), twice in zip(table.iterrows(), again, strict=True):
        row: Row = dict.fromkeys(("pathology", "view", "side"), "unknown")
        row |= {"site": cells["site"] or "own", "modality": "DM"}
        found = [*_image(folder, cells, row), *_words(cells, row), *_truth(folder, cells, row)]
        if twice:
            found.append("image: the same image and mask as in a row above")
        for fault in found:  # named by its row and column, not by its files
            for name in filter(None, (cells["image"], cells["mask"])):
                fault = without(fault, name, hidden_name(name))
            faults.append(f"row {number}, {fault}")
        rows.append(row)
    if faults:
        listed = "\n  ".join([f"{len(faults)} fault(s); mend them:", *faults])
        raise DataError(f"{folder / PRIVATE_TABLE}: {listed}")
    count: Counter[str] = Counter()
    for row in rows:  # a case is pseudonym, side, view and a number
        stem = f"{row['patient']}_{row['side']}_{row['view']}"
        count[stem] += 1
        row["case"] = f"{stem}_{count[stem]}"
    return pd.DataFrame(rows, columns=list(manifest.COLUMNS)), {}


def _image(folder: Path, cells: pd.Series, row: Row) -> Iterator[str]:
    """Put the patient and what the image's file says into a row; yield what is wrong with them."""
    if cells["patient"]:
        row["patient"] = pseudonym(cells["patient"])
    else:
        yield "patient: empty; name the patient, or the split cannot be by patient"
    try:
        seen = look(folder, row_files.inside(folder, cells["image"], "image"))
        row |= seen | {"image": hidden_name(cells["image"])}
    except DataError as error:
        yield f"image: {error}"


def _words(cells: pd.Series, row: Row) -> Iterator[str]:
    """Put cells of a fixed vocabulary and the spacing into a row; yield what is wrong with them."""
    for column, words in WORDS.items():
        if not (cell := cells[column]):
            continue
        word = {word.lower(): word for word in words}.get(cell.lower())
        said = row[column] if column in ("view", "side") else "unknown"
        if word is None:
            yield f"{column}: {cell[:40]!r} is not one of {', '.join(words)}"
        elif said not in ("unknown", "other", word):
            yield f"{column}: {word}, but the header of {row['image']} says {said}"
        else:
            row[column] = word
    if cell := cells["spacing_mm"]:
        row["spacing_mm"] = pd.to_numeric(cell.replace(",", "."), errors="coerce")
        if not 0.005 <= row["spacing_mm"] <= 2:
            yield f"spacing_mm: {cell[:40]!r} is no millimetres a pixel (0.005 to 2)"


def _truth(folder: Path, cells: pd.Series, row: Row) -> Iterator[str]:
    """Put mask, label and the box of the mask into a row; yield what is wrong with them."""
    label = cells["mask_label"]
    if cells["mask"].lower() in FREE:
        for column in ("mask_label", "shape", "subtype"):
            if cells[column]:
                yield f"{column}: given, but the row has no mask; add the mask or empty it"
        return
    row["mask"], row["mask_label"] = hidden_name(cells["mask"]), None
    if label:
        if not re.fullmatch("[1-9][0-9]{0,4}", label) or int(label) > 65_535:
            yield f"mask_label: {label[:40]!r} is no grey value from 1 to 65535"
            return
        row["mask_label"] = int(label)
    if "height" not in row:
        return  # the image is at fault, and told already
    said = row | {"mask": cells["mask"], "case": cells["image"]}
    try:
        row |= dict(zip(BOX, box_of(row_files.read_mask(folder, pd.Series(said))), strict=True))
    except DataError as error:
        yield f"mask: {error}"


def guide() -> str:
    """Return the guide to ``cohort.csv``, Markdown."""
    text = Path(__file__).with_name("cohort_guide.md").read_text(encoding="utf-8")
    return text.format(columns="\n".join(f"| `{name}` | {of} |" for name, of in COLUMNS.items()))


def write_template(folder: Path) -> tuple[Path, int]:
    """Write ``cohort.csv`` and its guide into a folder, a row for each image found there.

    A picture in a folder whose name starts with ``mask`` is a mask; it is put beside the image
    of the same name. The rest is left to fill in. Return the table's path and the images in it.
    """
    path = folder / PRIVATE_TABLE
    if path.exists():
        raise DataError(f"{path}: exists already and is not replaced; move it away")
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    names = [path.relative_to(folder) for path in found]
    drawn = [n for n in names if any(p.lower().startswith("mask") for p in n.parts[:-1])]
    masks = {name.stem.lower(): name.as_posix() for name in drawn}
    images = [name for name in names if name not in drawn]
    rows = [{"image": i.as_posix(), "mask": masks.get(i.stem.lower(), "")} for i in images]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    try:
        table.to_csv(path, index=False)
        (folder / GUIDE_FILE).write_text(guide(), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); check the disk") from None
    return path, len(images)

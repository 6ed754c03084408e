"""A private cohort: a folder of mammograms, masks and one table, ``cohort.csv``.

Patients stand in the manifest by pseudonym only, and so do the names of files
(:mod:`mammostudy.data.private`); cases are named after the patient's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data import manifest, row_files
from mammostudy.data.manifest import BOX, OPTIONAL, WORDS
from mammostudy.data.private import PRIVATE_TABLE, SUFFIXES, hidden_name, pseudonym, without
from mammostudy.data.sources.files import Row, look
from mammostudy.data.tables import read_table
from mammostudy.errors import DataError, grouped
from mammostudy.imaging.contours import box_of
from mammostudy.paths import search

GUIDE_FILE: Final = "cohort-guide.md"
FREE: Final = ("", "none")  # of the column mask: a box alone, or a view without a mass
_WORD: Final = "(?:masks?|segm?|segmentations?|gt|rois?|labels?|annotations?)"
_OF_MASK: Final = re.compile(
    rf"^{_WORD}(?:[ _.-]+|\d*$)|[ _.(-]+{_WORD}[ _.-]*\d{{0,3}}\)?$", re.IGNORECASE
)
COLUMNS: Final = (
    "image", "mask", "mask_label", *BOX, "patient", "site", "view", "side", "modality",
    "spacing_mm", "shape", "pathology", "subtype", *OPTIONAL,
)  # fmt: skip


def build_manifest(folder: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read a private cohort; an error lists every fault of the table and its files at once."""
    path, numbers = folder / PRIVATE_TABLE, (*BOX, "mask_label", "spacing_mm", "density")
    table = read_table(path, ("image", "patient"), ",;\t", numbers)
    known = f"no column of the table; use {', '.join(COLUMNS)}"
    faults = [("row 1", f"{name!r}: {known}") for name in table.columns.difference(list(COLUMNS))]
    table = table.reindex(columns=list(COLUMNS), fill_value="")
    again = table.duplicated(["image", "mask", "mask_label", *BOX])
    rows: list[Row] = []
    for (number, cells), twice in zip(table.iterrows(), again, strict=True):
        row: Row = dict.fromkeys(("pathology", "view", "side"), "unknown")
        row |= {"site": cells["site"] or "own", "modality": "DM"}
        odd = [name for name in ("image", "mask") if "\\" in cells[name]]
        found = [f"{name}: the path holds a backslash; join its parts by /" for name in odd]
        if not odd:
            found = [*_image(folder, cells, row), *_words(cells, row), *_truth(folder, cells, row)]
        if twice:
            found.append("image: the same image, mask and box as in a row above")
        for fault in found:  # named by its row and column, not by its files
            for column in ("image", "mask"):
                fault = without(fault, cells[column], f"(the {column} of this row)")
            faults.append((f"row {number}", fault))
        rows.append(row)
    if faults:
        listed = "\n  ".join([f"{len(faults):,} fault(s); mend them:", *grouped(faults)])
        raise DataError(f"{path}: {listed}")
    whole = pd.DataFrame(rows, table.index, columns=[*manifest.COLUMNS, *OPTIONAL])
    stem = whole["patient"] + "_" + whole["side"] + "_" + whole["view"]  # and a number: the case
    whole["case"] = stem + "_" + (whole.groupby(stem).cumcount() + 1).astype(str)
    return manifest.validate(whole, str(path)), {}


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
            yield f"{column}: {word}, but the header of its image says {said}"
        else:
            row[column] = word
    if cell := cells["spacing_mm"]:
        row["spacing_mm"] = pd.to_numeric(cell.replace(",", "."), errors="coerce")
        if not 0.005 <= row["spacing_mm"] <= 2:
            yield f"spacing_mm: {cell[:40]!r} is no millimetres a pixel (0.005 to 2)"


def _truth(folder: Path, cells: pd.Series, row: Row) -> Iterator[str]:
    """Put mask, label and box, else that of the mask, into a row; yield what is wrong with them."""
    label = cells["mask_label"]
    row |= {name: cells[name] or None for name in BOX}
    boxed = any(row[name] for name in BOX)
    if cells["mask"].lower() in FREE:
        for column in ("mask_label", *(() if boxed else ("shape", "subtype"))):
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
        found = dict(zip(BOX, box_of(row_files.read_mask(folder, pd.Series(said))), strict=True))
        row |= {} if boxed else found
    except DataError as error:
        yield f"mask: {error}"


def write_template(folder: Path) -> tuple[Path, int, int]:
    """Write ``cohort.csv`` and its guide into a folder, a row for each image and mask found there.

    Which pictures are masks, and of what, is told by names as the guide says. The rest is left to
    fill in. Return the table's path, the images in it, and the masks that no image was found for.
    """
    path = folder / PRIVATE_TABLE
    if path.exists():
        raise DataError(f"{path}: exists already and is not replaced; move it away")
    found = [each for each in search(folder, "**/*") if each.suffix.lower() in SUFFIXES]
    drawn = _masks(names := [each.relative_to(folder) for each in found if each.is_file()])
    masks: dict[Path, list[str]] = {name: [] for name in names if name not in drawn}
    named: dict[str, list[Path]] = {}
    for image in masks:
        for key in (image.stem.lower(), f"{image.parent}/"):
            named.setdefault(key, []).append(image)
    for mask, key in drawn.items():
        near = named.get(key or f"{mask.parent}/", [])
        apart = [len({*image.parts[:-1]} ^ {*mask.parts[:-1]}) for image in near]
        if apart.count(min(apart, default=0)) == 1:  # else it may be of several
            masks[near[apart.index(min(apart))]].append(mask.as_posix())
    rows = [{"image": i.as_posix(), "mask": m} for i, own in masks.items() for m in own or [""]]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    try:
        table.to_csv(path, index=False)
        guide = Path(__file__).with_name("cohort_guide.md").read_text(encoding="utf-8")
        guide = guide.format(**{name: ", ".join(words) for name, words in WORDS.items()})
        (folder / GUIDE_FILE).write_text(guide, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); check the disk") from None
    return path, len(masks), len(drawn) - int((table["mask"] != "").sum())


def _masks(names: list[Path]) -> dict[Path, str]:
    """Return which pictures are masks, and the name of the mammogram that each is named after."""
    keys = {name: _OF_MASK.sub("", name.stem).lower() for name in names}
    plain = {key for name, key in keys.items() if key == name.stem.lower()}
    return {
        name: key
        for name, key in keys.items()
        if any(part.lower().startswith("mask") for part in name.parts[:-1])
        or (key != name.stem.lower() and (key in plain or "mask" in name.stem.lower()))
    }

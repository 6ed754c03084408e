"""CBIS-DDSM: masses on scanned films with outlines of a lesion each (Lee et al. 2017, CC BY 3.0).

Reads the four case tables (:mod:`~mammostudy.data.sources.cbis_tables`) and the DICOM files of the
masses in whatever layout the archive's downloaders give them
(:mod:`~mammostudy.data.sources.archive_dicoms`). Known faults of the set and what is done about
them:

- paths with a line end in them, and crop and mask paths that are swapped: files are found under
  both paths, and the mask is the one of two values (:mod:`~mammostudy.data.sources.cbis_masks`);
- masks of another size than their image: kept where they differ by scale alone (same aspect within
  1 %), else the row is dropped;
- compound shapes: the mass is kept and its shape left empty;
- patients in the training part of one table and the test part of another: kept on the side of
  their masses (:func:`~mammostudy.data.sources.cbis_tables.official_part`).

Nothing is said of the pixel spacing in the archive's files, so it stays unknown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import pandas as pd

from mammostudy.data.manifest import BOX, COLUMNS
from mammostudy.data.sources.archive_dicoms import Header, identify, index_files, look
from mammostudy.data.sources.cbis_masks import find_mask
from mammostudy.data.sources.cbis_tables import moved, official_part, read_tables, shape_of
from mammostudy.errors import DataError

__all__ = ["TITLE", "VERSION", "build_manifest", "official_part", "read_folder"]

TITLE: Final = "CBIS-DDSM"
VERSION: Final = 1  # recipe version: raised when other rows come of the same files
SITE: Final = "cbis-ddsm"
NO_IMAGE: Final = "image not found"
SEVERAL_IMAGES: Final = "several files for one image"
BAD_IMAGE: Final = "image damaged"
MOVED: Final = "official split: mass of a patient who is kept in the other part"
ASIDE: Final = (
    "official split: calcification of a patient whose masses are in the other part (calcifications "
    "are not read)"
)
REJECTED: Final = ("case", "file", "reason", "message")


@dataclass
class _Files:
    """The DICOM files of a folder, and what their headers say, each read once."""

    folder: Path
    headers: dict[Path, Header | DataError] = field(default_factory=dict)

    @cached_property
    def by_folder(self) -> dict[str, list[Path]]:
        return index_files(self.folder)

    @cached_property
    def by_series(self) -> dict[str, list[Path]]:
        """Files that stand in no folder named after a case or series, by their header."""
        index: dict[str, list[Path]] = {}
        for path in self.by_folder.get("", []):
            index.setdefault(identify(path)[1], []).append(path)
        return index

    def of(self, table_path: str) -> list[Path]:
        """Find the files that a path of the tables may mean, nearest first."""
        case, _, series, _ = table_path.split("/")
        exact = self.folder / table_path
        if exact in self.by_folder.get(series, []):
            return [exact]
        return (
            self.by_folder.get(series) or self.by_folder.get(case) or self.by_series.get(series, [])
        )

    def look(self, path: Path) -> Header:
        if path not in self.headers:
            try:
                self.headers[path] = look(path)
            except DataError as error:
                self.headers[path] = error
        found = self.headers[path]
        if isinstance(found, DataError):
            raise found
        return found


def read_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the masses of a folder whose files can be used.

    Args:
        folder: holds the four case tables and, anywhere below it, the DICOM files.

    Returns:
        The manifest's rows (not yet validated); and a row for each mass left out: case, file
        (where it was looked for, from the folder), reason, message.

    Raises:
        DataError: a table is missing or damaged, or no mass is left.
    """
    masses = read_tables(folder).masses
    files = _Files(folder)
    rows: list[dict[str, object]] = []
    rejected: list[dict[str, object]] = []
    for case, mass in masses.iterrows():
        row, fault = _row(str(case), mass, files)
        if fault is None:
            rows.append(row)
        else:
            rejected.append({"case": case} | fault)
    if not rows:
        raise _nothing(folder, files, rejected)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table, pd.DataFrame(rejected, columns=list(REJECTED))


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the masses of CBIS-DDSM.

    Args:
        folder: holds the four case tables and, anywhere below it, the DICOM files.
        store: where ``dropped.csv`` is written, a line a mass left out, with file and reason.

    Returns:
        The manifest (not yet validated), and what was dropped or left empty, by reason: masses
        without usable files, shapes left empty, and rows that the official split would put on the
        other side of their patient (:data:`~mammostudy.data.sources.cbis_tables.SPLIT_RULE`).

    Raises:
        DataError: a table is missing or damaged, or no mass is left.
    """
    table, rejected = read_folder(folder)
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
        rejected.to_csv(store / "dropped.csv", index=False)
    tables = read_tables(folder)
    dropped = Counter(rejected["reason"].astype(str))
    kept = tables.masses.loc[table["case"], "shape_words"]
    dropped.update(reason for _, reason in map(shape_of, kept) if reason)
    elsewhere = moved(tables)
    dropped.update({MOVED: elsewhere["mass"], ASIDE: elsewhere["calcification"]})
    return table, {reason: count for reason, count in dropped.items() if count}


def _row(
    case: str, mass: pd.Series, files: _Files
) -> tuple[dict[str, object], dict[str, object] | None]:
    """Return a manifest's row, or the fault for which there is none."""
    images = files.of(mass["image"])
    if len(images) != 1:
        reason = SEVERAL_IMAGES if images else NO_IMAGE
        return {}, {"file": mass["image"], "reason": reason, "message": ""}
    try:
        image = files.look(images[0])
    except DataError as error:
        return {}, {"file": _place(images[0], files), "reason": BAD_IMAGE, "message": str(error)}
    candidates = [path for key in ("mask", "crop") for path in files.of(mass[key])]
    candidates = [path for path in dict.fromkeys(candidates) if path != images[0]]
    mask, box, reason, message = find_mask(candidates, (image.height, image.width), files.look)
    if mask is None or box is None:
        where = _place(candidates[0], files) if candidates else mass["mask"]
        return {}, {"file": where, "reason": reason, "message": message}
    shape, _ = shape_of(mass["shape_words"])
    return {
        "case": case,
        "patient": mass["patient"],
        "site": SITE,
        "image": _place(images[0], files),
        "height": image.height,
        "width": image.width,
        "view": mass["view"],
        "side": mass["side"],
        "modality": "SFM",
        **dict(zip(BOX, box, strict=True)),
        "mask": _place(mask, files),
        "spacing_mm": image.spacing_mm,
        "shape": shape,
        "pathology": mass["pathology"],
        "image_sha256": image.sha256,
    }, None


def _place(path: Path, files: _Files) -> str:
    return path.relative_to(files.folder).as_posix()


def _nothing(folder: Path, files: _Files, rejected: list[dict[str, object]]) -> DataError:
    """Say why no mass is left, and what to do."""
    first = rejected[0]
    if not files.by_folder:
        hint = "the folder holds no .dcm file; download the DICOM files from the archive into it"
        if any(folder.glob("jpeg/*")):
            hint += " (copies as JPEG have lost bits and sizes, and are not read)"
    else:
        counts = Counter(str(one["reason"]) for one in rejected)
        listed = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        hint = f"{listed}; {first['message'] or 'download the files of these masses'}"
    return DataError(f"{folder / str(first['file'])}: no mass can be used: {hint}")

"""Whether what a manifest says is true of the files behind it, row by row.

Every check names the cases that fail it; :mod:`mammostudy.data.building` puts them into quarantine,
or, where asked to be strict, refuses the cohort.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mammostudy.data import likeness, manifest, row_files
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of

CHECKS: Final = {
    "vocabulary": "a cell of another type, word or range than the manifest's, or a row twice",
    "path": "a path that leads out of the cohort's folder",
    "unreadable": "an image or mask that is missing, truncated, damaged or changed",
    "not a mammogram": "a picture in colour, of a few grey levels, or of another modality",
    "size": "an image of another size than its row says, or a mask of another aspect",
    "empty": "a mask without a pixel",
    "components": "a mask of several parts",
    "border": "a mask that touches the border of its image",
    "box": "a box that is not that of its mask",
    "duplicate": "an image file that another row has under another name",
    "near-duplicate": "an image that looks like another one (perceptual hash and correlation)",
}
MIRRORED: Final = "the image is mirrored against the usual hanging; boxes and masks are in its grid"
SPECK: Final = 0.01  # share of the largest part from which on another part counts
TOLERANCE: Final = 0.02  # share of its longer side by which a box may miss its mask, 1 px at least
FITTING: Final = ("MG", "CR", "DX", "OT", "unknown")  # films digitised anew say CR, DX or OT
LEVELS: Final = 16  # grey levels below which a picture is a mask or a drawing
COLOURED: Final = 4.0  # of 255, mean difference of the brightest and the darkest channel


@dataclass(frozen=True)
class Fault:
    """A check that a row fails."""

    case: str  # the row's name
    check: str  # a name of CHECKS
    reason: str  # what is wrong with which file or field


class Examined(NamedTuple):
    """What is found in the files of a cohort."""

    faults: list[Fault]  # in the order of the manifest
    notes: dict[str, tuple[str, ...]]  # no faults, but to be known (burned-in text), by image


def clean_table(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[Fault]]:
    """Take the rows with faults of their own out of a manifest that is not yet validated.

    Returns the validated manifest of the other rows, and a fault for each row taken out. A column
    at fault as a whole, or no row left, raises DataError under the name.
    """
    faults: list[Fault] = []
    while True:
        table = table.reset_index(drop=True)
        found = manifest.find_faults(table)[1]
        by_row = {row: said[0] for row, said in found.items() if row is not None}
        if not by_row:
            return manifest.validate(table, name), faults
        faults += [
            Fault(str(table["case"][row]), "vocabulary", reason)
            for row, reason in sorted(by_row.items())
        ]
        table = table.drop(index=list(by_row))
        if table.empty:
            listed = "\n  ".join(f"{fault.case}: {fault.reason}" for fault in faults[:20])
            msg = f"{name}: no row of the manifest can be used; mend these cells:\n  {listed}"
            raise DataError(msg)


def examine(cohort: Cohort, *, progress: bool = False) -> Examined:
    """Read every file of a cohort with images once; its cache is neither used nor filled."""
    faults: list[Fault] = []
    notes: dict[str, tuple[str, ...]] = {}
    seen: list[tuple[pd.Series, likeness.Look]] = []
    groups = cohort.manifest.groupby("image", sort=False)
    for _, rows in tqdm(groups, "checking", disable=not progress or None):
        first = rows.iloc[0]
        found, look = _of_image(cohort.root, first, notes)
        if look is not None and not found:
            seen.append((first, look))
        for _, row in rows.iterrows():
            drawn = _of_mask(cohort.root, row) if pd.notna(row["x_min"]) else ()
            faults += [Fault(str(row["case"]), *fault) for fault in (*found, *drawn)]
    faults += _duplicates(cohort.manifest, seen)
    order = {case: number for number, case in enumerate(cohort.manifest["case"])}
    return Examined(sorted(faults, key=lambda fault: order[fault.case]), notes)


def _fault_of(error: DataError) -> tuple[str, str]:
    return getattr(error, "check", "unreadable"), str(error)


def _of_image(
    root: Path, row: pd.Series, notes: dict[str, tuple[str, ...]]
) -> tuple[list[tuple[str, str]], likeness.Look | None]:
    """Return an image's faults as check and reason, and how it looks; add to the notes."""
    shown = root / str(row["image"])
    try:
        pixels, read = row_files.read_pixels(root, row)
    except DataError as error:
        return [_fault_of(error)], None
    if said := (*read.notes, *((MIRRORED,) if read.flipped else ())):
        notes[str(row["image"])] = said
    faults = []
    try:
        row_files.check_size(shown, row, pixels.shape)
    except DataError as error:
        faults.append(_fault_of(error))
    path = row_files.inside(root, str(row["image"]))
    if why := why_no_mammogram(path, pixels, read.modality):
        faults.append(("not a mammogram", f"{shown}: {why}"))
    return faults, likeness.look(pixels)


def why_no_mammogram(path: Path, pixels: NDArray[np.uint16], modality: str) -> str | None:
    """Return why a file, decoded to uint16 ``(h, w)``, cannot be a mammogram; None if it may."""
    levels = int(np.count_nonzero(np.bincount(pixels.ravel())))
    if levels < LEVELS:
        return f"holds {levels} grey level(s); a mammogram holds many: is it a mask?"
    if modality not in FITTING:
        return f"field Modality is {modality!r}; a mammogram's is MG"
    small = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    if small is not None:  # a picture, no DICOM
        spread = small.max(axis=2).astype(np.float32) - small.min(axis=2)
        if float(spread.mean()) > COLOURED:
            return "is a picture in colour; a mammogram is grey"
    return None


def _of_mask(root: Path, row: pd.Series) -> Iterator[tuple[str, str]]:
    """Yield check and reason of what is wrong with the truth of a mass."""
    try:
        mask = row_files.read_mask(root, row)
    except DataError as error:
        yield _fault_of(error)
        return
    place = root / str(row["mask"]) if pd.notna(row["mask"]) else root
    x_min, y_min, x_max, y_max = drawn = box_of(mask)
    height, width = mask.shape
    if min(x_min, y_min, width - x_max, height - y_max) <= 0:
        yield "border", f"{place}: the mask touches the border of the {width}x{height} image"
    parts = _parts(mask[y_min:y_max, x_min:x_max])
    if parts > 1:
        yield "components", f"{place}: the mask has {parts} parts; a row is one mass"
    said = box_of_row(row)
    allowed = max(1.0, TOLERANCE * max(x_max - x_min, y_max - y_min))
    if max(abs(a - b) for a, b in zip(said, drawn, strict=True)) > allowed:
        yield "box", f"{place}: the box {said} of the row is not that of the mask, {drawn}"


def _parts(mask: NDArray[np.bool_]) -> int:
    """Count the connected parts of a mask that are no specks."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    return int((areas >= SPECK * areas.max()).sum())


def _duplicates(
    table: pd.DataFrame, seen: list[tuple[pd.Series, likeness.Look]]
) -> Iterator[Fault]:
    """Yield a fault for each row of an image that an earlier row shows under another name."""
    again: dict[str, tuple[str, str]] = {}
    first_of: dict[str, pd.Series] = {}
    for row, _ in seen:
        first = first_of.setdefault(str(row["image_sha256"]), row)
        if first is not row:
            reason = f"{row['image']}: the file is {first['image']} again ({_whose(first, row)})"
            again[str(row["image"])] = ("duplicate", reason)
    for one, other, correlation in likeness.alike([look for _, look in seen]):
        first, row = seen[one][0], seen[other][0]
        reason = (
            f"{row['image']}: looks like {first['image']} ({_whose(first, row)}; correlation "
            f"{correlation:.4f})"
        )
        again.setdefault(str(row["image"]), ("near-duplicate", reason))
    for _, row in table[table["image"].isin(again)].iterrows():
        yield Fault(str(row["case"]), *again[str(row["image"])])


def _whose(first: pd.Series, row: pd.Series) -> str:
    if first["patient"] == row["patient"]:
        return f"both of patient {row['patient']}"
    return f"across patients {first['patient']} and {row['patient']}"

"""Whether what a manifest says is true of the files behind it, row by row.

Every check names the cases that fail it; :mod:`mammostudy.data.building` puts them into quarantine,
or, where asked to be strict, refuses the cohort.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mammostudy.data import likeness, manifest, row_files
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.mammogram import why_no_mammogram
from mammostudy.data.private_files import hiding
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of

VERSION: Final = 1  # raised by hand when a check is added or its bound moves
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
SPECK: Final = 0.01  # share of the largest part from which on another part counts
TOLERANCE: Final = 0.02  # share of its longer side by which a box may miss its mask, 1 px at least


@dataclass(frozen=True)
class Fault:
    """A check that a row fails.

    Attributes:
        case: the row's name.
        check: a name of :data:`CHECKS`.
        reason: what is wrong with which file or field.
    """

    case: str
    check: str
    reason: str


def clean_table(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[Fault]]:
    """Take the rows with faults of their own out of a manifest.

    Args:
        table: a manifest, not yet validated.
        name: what to call it in the message.

    Returns:
        The validated manifest of the other rows, and a fault for each row taken out.

    Raises:
        DataError: a column is at fault as a whole, or no row is left.
    """
    table = table.reset_index(drop=True)
    faults: list[Fault] = []
    while True:
        _, found = manifest.find_faults(table)
        by_row = {int(m[1]) - 2: text for text in found if (m := re.match(r"row (\d+), ", text))}
        if not by_row:
            return manifest.validate(table, name), faults
        for row, text in sorted(by_row.items()):
            reason = text.split(", ", 1)[1]
            faults.append(Fault(str(table["case"][row]), "vocabulary", reason))
        if len(by_row) == len(table):
            listed = "\n  ".join(f"{fault.case}: {fault.reason}" for fault in faults[:20])
            msg = f"{name}: no row of the manifest can be used; mend these cells:\n  {listed}"
            raise DataError(msg)
        table = table.drop(index=list(by_row)).reset_index(drop=True)


def examine(
    cohort: Cohort, *, progress: bool = False, notes: dict[str, tuple[str, ...]] | None = None
) -> list[Fault]:
    """Read every file of a cohort once and return all faults, in the order of the manifest.

    Args:
        cohort: with images; its cache is neither used nor filled.
        progress: show a bar.
        notes: filled with what a reader should know of an image without its being a fault, such as
            annotation that is burned in or a mirrored image, by name of the image.
    """
    faults: list[Fault] = []
    looks: list[likeness.Look] = []
    seen: list[pd.Series] = []
    groups = cohort.manifest.groupby("image", sort=False)
    for _, rows in tqdm(groups, "checking", disable=None if progress else True):
        pixels, found, said = _image(cohort, rows.iloc[0])
        if notes is not None and said:
            notes[str(rows.iloc[0]["image"])] = said
        if pixels is not None and not found:
            looks.append(likeness.look(pixels))
            seen.append(rows.iloc[0])
        for _, row in rows.iterrows():
            faults += [Fault(str(row["case"]), check, reason) for check, reason in found]
            if pd.notna(row["x_min"]):
                faults += [Fault(str(row["case"]), *fault) for fault in _mask(cohort, row)]
    faults += _duplicates(cohort.manifest, seen, looks)
    order = {case: number for number, case in enumerate(cohort.manifest["case"])}
    return sorted(faults, key=lambda fault: order[fault.case])


def _image(
    cohort: Cohort, row: pd.Series
) -> tuple[NDArray[np.uint16] | None, list[tuple[str, str]], tuple[str, ...]]:
    """Return an image where it decodes, its faults as check and reason, and its notes."""
    name = str(row["image"])
    try:
        with hiding(cohort.root, name):
            path = row_files.inside(cohort.root, name, f"image of case {row['case']}")
    except DataError as error:
        return None, [("path", str(error))], ()
    try:
        pixels, notes = row_files.read_noted(cohort.root, row)
    except DataError as error:
        return None, [("unreadable", str(error))], ()
    faults = []
    try:
        row_files.check_size(cohort.root / name, row, pixels.shape)
    except DataError as error:
        faults.append(("size", str(error)))
    if why := why_no_mammogram(path, pixels):
        faults.append(("not a mammogram", f"{cohort.root / name}: {why}"))
    return pixels, faults, notes


def _mask(cohort: Cohort, row: pd.Series) -> Iterator[tuple[str, str]]:
    """Yield check and reason of what is wrong with the truth of a mass."""
    place = str(cohort.root)
    if pd.notna(row["mask"]):
        place = str(cohort.root / str(row["mask"]))
        try:
            with hiding(cohort.root, str(row["mask"])):
                row_files.inside(cohort.root, str(row["mask"]), f"mask of case {row['case']}")
        except DataError as error:
            yield "path", str(error)
            return
    try:
        mask = row_files.read_mask(cohort.root, row)
    except row_files.EmptyMaskError as error:
        yield "empty", str(error)
        return
    except row_files.SizeError as error:
        yield "size", str(error)
        return
    except DataError as error:
        yield "unreadable", str(error)
        return
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
    table: pd.DataFrame, seen: list[pd.Series], looks: list[likeness.Look]
) -> Iterator[Fault]:
    """Yield a fault for each row of an image that an earlier row shows under another name."""
    again: dict[str, tuple[str, str]] = {}
    first_of: dict[str, pd.Series] = {}
    for row in seen:
        first = first_of.setdefault(str(row["image_sha256"]), row)
        if first is not row:
            reason = f"{row['image']}: the file is {first['image']} again ({_whose(first, row)})"
            again[str(row["image"])] = ("duplicate", reason)
    for one, other, correlation in likeness.alike(looks):
        first, row = seen[one], seen[other]
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

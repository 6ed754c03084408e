"""Whether what a manifest says is true of its files, and which images are the same picture.

Faults are a table, a row each: case, image, check (of :data:`CHECKS`) and reason.

Source:
    Difference hash: Krawetz, "Kind of like that" (2013); here 16 x 16 gradients of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mammostudy.data import manifest, row_files
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
FAULTS: Final = ("case", "image", "check", "reason")
MIRRORED: Final = "the image is mirrored against the usual hanging; boxes and masks are in its grid"
SPECK: Final = 0.01  # share of the largest part from which on another part counts
TOLERANCE: Final = 0.02  # share of its longer side by which a box may miss its mask, 1 px at least
FITTING: Final = ("MG", "CR", "DX", "OT", "unknown")  # films digitised anew say CR, DX or OT
LEVELS: Final = 16  # grey levels below which a picture is a mask or a drawing
COLOURED: Final = 4.0  # of 255, mean difference of the brightest and the darkest channel
HASH_SIDE: Final = 16
MAXIMUM_DISTANCE: Final = 26  # of 256 bits: one in ten
THUMBNAIL: Final = 64  # px
CORRELATION: Final = 0.995  # of two thumbnails, from which on they count as one image
_BLOCK: Final = 1024  # images compared at once
Found = Iterator[tuple[str, str]]
"""Check and reason of each fault."""


class Examined(NamedTuple):
    """What is found in the files of a cohort."""

    faults: pd.DataFrame  # columns FAULTS, in the order of the manifest
    notes: pd.DataFrame  # image and note: no faults, but to be known (burned-in text)


class Look(NamedTuple):
    """What is kept of an image to compare it."""

    bits: NDArray[np.bool_]  # (256,), the difference hash
    thumbnail: NDArray[np.float32]  # (4096,) of zero mean and unit length


def clean_table(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the rows with faults of their own out of a manifest that is not yet validated.

    Returns the validated manifest of the other rows, and a fault for each row taken out. A column
    at fault as a whole, or no row left, raises DataError under the name.
    """
    faults: list[tuple[str, str, str, str]] = []
    while not table.empty:
        table = table.reset_index(drop=True)
        found = manifest.find_faults(table)[1]
        rows = sorted(row for row in found if row is not None)
        if not rows:
            break
        for row in rows:
            case, image = str(table["case"][row]), str(table["image"][row])
            faults.append((case, image, "vocabulary", found[row][0]))
        table = table.drop(index=rows)
    if table.empty:
        listed = "\n  ".join(f"{case}: {reason}" for case, _, _, reason in faults[:20])
        msg = f"{name}: no row of the manifest can be used; mend these cells:\n  {listed}"
        raise DataError(msg)
    return manifest.validate(table, name), pd.DataFrame(faults, columns=list(FAULTS))


def examine(cohort: Cohort, *, progress: bool = False) -> Examined:
    """Read every file of a cohort with images once; its cache is neither used nor filled."""
    faults: list[tuple[str, str, str, str]] = []
    notes: list[tuple[str, str]] = []
    seen: list[tuple[pd.Series, Look]] = []
    groups = cohort.manifest.groupby("image", sort=False)
    for image, rows in tqdm(groups, "checking", disable=not progress or None):
        found: list[tuple[str, str]] = []
        try:
            pixels, read = row_files.read_pixels(cohort.root, rows.iloc[0])
            said = (*read.notes, *((MIRRORED,) if read.flipped else ()))
            notes += [(str(image), note) for note in said]
            found += _of_image(cohort.root, rows.iloc[0], pixels, read.modality)
            if not found:
                seen.append((rows.iloc[0], look(pixels)))
        except DataError as error:
            found.append(_fault_of(error))
        for _, row in rows.iterrows():
            drawn = _of_mask(cohort.root, row) if pd.notna(row["x_min"]) else ()
            faults += [(row["case"], str(image), *fault) for fault in (*found, *drawn)]
    again = _duplicates(seen)
    twice = cohort.manifest[cohort.manifest["image"].isin(again)]
    faults += [(row["case"], row["image"], *again[row["image"]]) for _, row in twice.iterrows()]
    order = dict(zip(cohort.manifest["case"], range(len(cohort.manifest)), strict=True))
    table = pd.DataFrame(faults, columns=list(FAULTS))
    table = table.sort_values("case", key=lambda cases: cases.map(order), kind="stable")
    return Examined(table.reset_index(drop=True), pd.DataFrame(notes, columns=["image", "note"]))


def _fault_of(error: DataError) -> tuple[str, str]:
    return getattr(error, "check", "unreadable"), str(error)


def _of_image(root: Path, row: pd.Series, pixels: NDArray[np.uint16], modality: str) -> Found:
    """Yield what is wrong with an image that can be read."""
    shown = root / str(row["image"])
    try:
        row_files.check_size(shown, row, pixels.shape)
    except DataError as error:
        yield _fault_of(error)
    path = row_files.inside(root, str(row["image"]))
    if why := why_no_mammogram(path, pixels, modality):
        yield "not a mammogram", f"{shown}: {why}"


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


def _of_mask(root: Path, row: pd.Series) -> Found:
    """Yield what is wrong with the truth of a mass."""
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
    body = mask[y_min:y_max, x_min:x_max].astype(np.uint8)
    areas = cv2.connectedComponentsWithStats(body, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    parts = int((areas >= SPECK * areas.max()).sum())
    if parts > 1:
        yield "components", f"{place}: the mask has {parts} parts; a row is one mass"
    said = box_of_row(row)
    allowed = max(1.0, TOLERANCE * max(x_max - x_min, y_max - y_min))
    if max(abs(a - b) for a, b in zip(said, drawn, strict=True)) > allowed:
        yield "box", f"{place}: the box {said} of the row is not that of the mask, {drawn}"


def _duplicates(seen: list[tuple[pd.Series, Look]]) -> dict[str, tuple[str, str]]:
    """Return the images that an earlier row shows under another name, each with its fault."""
    again: dict[str, tuple[str, str]] = {}
    first_of: dict[str, pd.Series] = {}
    for row, _ in seen:
        first = first_of.setdefault(str(row["image_sha256"]), row)
        if first is not row:
            reason = f"{row['image']}: the file is {first['image']} again ({_whose(first, row)})"
            again[str(row["image"])] = ("duplicate", reason)
    for one, other, correlation in alike([look for _, look in seen]):
        first, row = seen[one][0], seen[other][0]
        reason = (
            f"{row['image']}: looks like {first['image']} ({_whose(first, row)}; correlation "
            f"{correlation:.4f})"
        )
        again.setdefault(str(row["image"]), ("near-duplicate", reason))
    return again


def _whose(first: pd.Series, row: pd.Series) -> str:
    if first["patient"] == row["patient"]:
        return f"both of patient {row['patient']}"
    return f"across patients {first['patient']} and {row['patient']}"


def thumbnail(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a small copy of an image, float32 ``(4096,)`` of zero mean and unit length.

    A dot product of two is their correlation.
    """
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    centred = small - small.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9), dtype=np.float32)


def look(image: NDArray[np.generic]) -> Look:
    """Return the difference hash and the thumbnail of a grey image ``(h, w)``."""
    pixels = np.asarray(image, dtype=np.float32)
    wide = cv2.resize(pixels, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return Look(np.asarray(wide[:, 1:] > wide[:, :-1]).ravel(), thumbnail(pixels))


def alike(looks: Sequence[Look]) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of near-duplicates: first, later one, and their correlation.

    At most :data:`MAXIMUM_DISTANCE` bits of their hashes differ, and their thumbnails correlate
    above :data:`CORRELATION`.
    """
    if not looks:
        return
    signs = np.stack([np.where(one.bits, 1, -1) for one in looks]).astype(np.float32)
    least = signs.shape[1] - 2 * MAXIMUM_DISTANCE  # dot product of two hashes that near
    for start in range(0, len(looks), _BLOCK):
        near = signs[start : start + _BLOCK] @ signs.T >= least
        for row, first in np.argwhere(near):
            later = row + start
            correlation = float(looks[first].thumbnail @ looks[later].thumbnail)
            if first < later and correlation > CORRELATION:
                yield int(first), int(later), correlation

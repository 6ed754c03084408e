"""Whether what a manifest says is true of its files, and which images are the same picture.

Faults are a table, a row each: case, image, check (of :data:`CHECKS`) and reason. The perceptual
hash is the difference hash of 16 x 16 gradients (Krawetz, "Kind of like that", 2013).
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


class Look(NamedTuple):
    """What is kept of an image to compare it."""

    bits: NDArray[np.bool_]  # (256,), the difference hash
    thumbnail: NDArray[np.float32]  # (4096,) of zero mean and unit length


def clean_table(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the valid rows of a manifest, and a fault for each other; refuse one without any."""
    faults: list[tuple[str, str, str, str]] = []
    while not table.empty:
        table = table.reset_index(drop=True)
        found = dict(reversed(manifest.find_faults(table)[1]))  # the first fault of each row
        rows = sorted(row for row in found if row is not None)
        if not rows:
            break
        for row, (case, image) in table.loc[rows, ["case", "image"]].iterrows():
            faults.append((str(case), str(image), "vocabulary", found[int(str(row))]))
        table = table.drop(index=rows)
    if table.empty:
        listed = "\n  ".join(f"{case}: {reason}" for case, _, _, reason in faults[:20])
        raise DataError(f"{name}: no row of the manifest can be used; mend the cells:\n  {listed}")
    return manifest.validate(table, name), pd.DataFrame(faults, columns=list(FAULTS))


def examine(cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every file of a cohort once, past the cache; return faults, and notes (image, note)."""
    faults: list[tuple[str, str, str, str]] = []
    notes: list[tuple[str, str]] = []
    seen: list[tuple[pd.Series, Look]] = []
    groups = cohort.manifest.groupby("image", sort=False)
    for image, rows in tqdm(groups, "checking", disable=None):
        found: list[tuple[str, str]] = []
        shown, first = cohort.root / str(image), rows.iloc[0]
        try:
            pixels, read = row_files.read_pixels(cohort.root, first)
            said = (*read.notes, *((MIRRORED,) if read.flipped else ()))
            notes += [(str(image), note) for note in said]
            row_files.check_size(shown, first, pixels.shape)
            path = row_files.inside(cohort.root, str(image))
            if why := why_no_mammogram(path, pixels, read.modality):
                raise row_files.FileError(f"{shown}: {why}", "not a mammogram")
            seen.append((first, look(pixels)))
        except DataError as error:
            found.append(_fault_of(error))
        for _, row in rows.iterrows():
            drawn = _of_mask(cohort.root, row) if pd.notna(row["x_min"]) else ()
            faults += [(row["case"], str(image), *fault) for fault in (*found, *drawn)]
    for image, fault in _duplicates(seen).items():
        faults += [(case, image, *fault) for case in groups.get_group(image)["case"]]
    order = {case: place for place, case in enumerate(cohort.manifest["case"])}
    faults.sort(key=lambda fault: order[fault[0]])
    table = pd.DataFrame(faults, columns=list(FAULTS))
    return table, pd.DataFrame(notes, columns=["image", "note"])


def _fault_of(error: DataError) -> tuple[str, str]:
    return getattr(error, "check", "unreadable"), str(error)


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
    for one, other, correlation in alike([look for _, look in seen]):
        first, row = seen[one][0], seen[other][0]
        whose = f"across patients {first['patient']} and {row['patient']}"
        if first["patient"] == row["patient"]:
            whose = f"both of patient {row['patient']}"
        check, what = "near-duplicate", f"looks like {first['image']} ({correlation:.4f}"
        if first["image_sha256"] == row["image_sha256"]:
            check, what = "duplicate", f"the file is {first['image']} again (the same bytes"
        again.setdefault(str(row["image"]), (check, f"{row['image']}: {what}; {whose})"))
    return again


def thumbnail(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a small copy, float32 ``(4096,)``; the dot product of two is their correlation."""
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    centred = small - small.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9), dtype=np.float32)


def look(image: NDArray[np.generic]) -> Look:
    """Return the difference hash and the thumbnail of a grey image ``(h, w)``."""
    pixels = np.asarray(image, dtype=np.float32)
    wide = cv2.resize(pixels, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return Look(np.asarray(wide[:, 1:] > wide[:, :-1]).ravel(), thumbnail(pixels))


def alike(looks: Sequence[Look]) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of near-duplicates by hash and correlation: first, later one, correlation."""
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

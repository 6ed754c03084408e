"""Whether a manifest is true of its files, and images are the same picture."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mammostudy.data import manifest, row_files
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.dicom import Mammogram
from mammostudy.data.dicom_file import quiet
from mammostudy.data.images import COLOURED
from mammostudy.data.private import doubted_patients, named
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of
from mammostudy.settings import workers

CHECKS: Final = {
    "dropped": "what the reader of the data set leaves out",
    "vocabulary": "a cell of another type, word or range than the manifest's, or a row twice",
    "path": "a path that leads out of the cohort's folder",
    "unreadable": "an image or mask that is missing, truncated, damaged or changed",
    "not a mammogram": "a picture in colour, of a few grey levels, or of another modality",
    "size": "an image of another size than its row says, or a mask of another aspect",
    "empty": "a mask without a pixel",
    "components": "a mask of several parts",
    "border": "a mask that touches opposite borders of its image",
    "box": "a box that is not that of its mask",
    "duplicate": "an image file that another row has under another name",
    "near-duplicate": "an image that looks like another one (correlation of thumbnails)",
}
FAULTS: Final = ("case", "image", "check", "reason")  # columns of a table of them
CUT: Final = "a mass is cut by an edge of the image, as at the chest wall; it is kept"
MIRRORED: Final = "the image is mirrored against the usual hanging; boxes and masks are in its grid"
SPECK: Final = 0.01  # share of the largest part from which on another part counts
TOLERANCE: Final = 0.02  # share of its longer side by which a box may miss its mask, 1 px at least
FITTING: Final = ("MG", "CR", "DX", "OT", "SC", "unknown")  # films digitised anew say these
LEVELS: Final = 16  # grey levels below which a picture is a mask or a drawing
THUMBNAIL: Final = 64  # px
CORRELATION: Final = 0.995  # of two thumbnails, from which on they count as one image
_BLOCK: Final = 256  # images compared at once
_ROUNDING: Final = 1e-4  # of sums of products
_CELL: Final = 8  # px, side of the squares by which most pairs are told apart
_ROW: Final = 1 << 15  # pixels that take as long to read as a row takes beside them
_ALONE: Final = 1 << 30  # pixels that are read before other processes would have begun
Picture = NDArray[np.float32]  # (4096,), a thumbnail of zero mean and unit length
Why = tuple[str, str]  # the check that fails, and the reason
Examined = tuple[list[tuple[str, Why]], list[str], Picture | None]
Pool = Callable[[Any, Sequence[Any], int], Generator[tuple[Any, Any], None, None]] | None


def clean_table(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the valid rows of a manifest, perhaps none, and a fault for each other."""
    faults: list[tuple[str, str, str, str]] = []
    while not table.empty:
        table = table.reset_index(drop=True)
        found = dict(reversed(manifest.find_faults(table)[1]))  # the first fault of each row
        rows = sorted(row for row in found if row is not None)
        if not rows:
            break
        for row, case, image in table.loc[rows, ["case", "image"]].itertuples():
            faults.append((str(case), str(image), "vocabulary", found[row]))
        table = table.drop(index=rows)
    return manifest.validate(table, name), pd.DataFrame(faults, columns=list(FAULTS))


def examine(cohort: Cohort, pool: Pool = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every file of a cohort once, past the cache; return faults, and notes (image, note).

    What takes long is shared by the processes of a pool (``runs.workers.side_by_side``).
    """
    groups: dict[str, list[Any]] = {}
    for row in cohort.manifest.astype(object).to_dict("records"):
        groups.setdefault(str(row["image"]), []).append(row)
    items = [(cohort.root, rows) for rows in groups.values()]
    pixels = sum(_ROW * len(rows) + rows[0]["height"] * rows[0]["width"] for _, rows in items)
    done: Any = ((item, _examined(*item)) for item in items)
    if pool is not None and pixels > _ALONE and workers() > 1:
        done = pool(_examined, items, workers())
    read: dict[str, Examined] = {}
    with closing(done):
        for (_, rows), result in tqdm(done, "checking", len(items), disable=None):
            if isinstance(result, Exception):
                raise result
            read[str(rows[0]["image"])] = result
    found = {image: read[image] for image in groups}
    faults = [(case, image, *why) for image, (whys, _, _) in found.items() for case, why in whys]
    notes = doubted_patients(cohort.root, cohort.manifest)
    notes += [(image, note) for image, (_, noted, _) in found.items() for note in noted]
    pictures = {image: picture for image, (*_, picture) in found.items() if picture is not None}
    firsts = [groups[image][0] for image in pictures]
    for image, why in _duplicates(cohort.root, firsts, list(pictures.values())).items():
        faults += [(row["case"], image, *why) for row in groups[image]]
    return pd.DataFrame(faults, columns=[*FAULTS]), pd.DataFrame(notes, columns=["image", "note"])


@quiet()
def _examined(root: Path, rows: list[Any]) -> Examined:
    """Return the faults of an image and its masses, notes, and a thumbnail where it can be one."""
    first, picture = rows[0], None
    found: list[Why] = []
    noted: list[str] = []
    try:
        pixels, read = row_files.read_pixels(root, first)
        noted += [*read.notes, *((MIRRORED,) if read.flipped else ())]
        path = root / named(root, str(first["image"]))[1]
        row_files.check_size(path, first, pixels.shape)
        if why := why_no_mammogram(pixels, read):
            raise row_files.FileError(f"{path}: {why}", "not a mammogram")
        picture = thumbnail(pixels)
    except DataError as error:
        found.append((getattr(error, "check", "unreadable"), str(error)))
    faults = []
    for row in rows:
        given = pd.notna(row["mask"]) or pd.notna(row["outline"])
        drawn = _of_mask(root, row, noted) if given else ()
        faults += [(row["case"], fault) for fault in (*found, *drawn)]
    return faults, list(dict.fromkeys(noted)), picture


def why_no_mammogram(pixels: NDArray[np.uint16], read: Mammogram) -> str | None:
    """Return why a file, decoded to uint16 ``(h, w)``, cannot be a mammogram; None if it may."""
    flat = pixels.ravel()
    levels = len(set(flat[:: 1 + flat.size // 512].tolist()))  # of some pixels first: it is quick
    if levels < LEVELS:
        levels = int(np.count_nonzero(np.bincount(flat)))
    if levels < LEVELS:
        return f"holds {levels} grey level(s); a mammogram holds many: is it a mask?"
    if read.modality not in FITTING:
        return f"field Modality is {read.modality!r}; a mammogram's is MG"
    return f"is {COLOURED}" if COLOURED in read.notes else None


def _of_mask(root: Path, row: pd.Series, notes: list[str]) -> Iterator[Why]:
    """Yield what is wrong with the truth of a mass; note what is not."""
    try:
        mask = row_files.read_mask(root, row, notes)
    except DataError as error:
        yield getattr(error, "check", "unreadable"), str(error)
        return
    x_min, y_min, x_max, y_max = drawn = box_of(mask)
    height, width = mask.shape
    place = f"{root}/{named(root, row['mask'])[1]}" if pd.notna(row["mask"]) else root
    if (x_min == 0 and x_max == width) or (y_min == 0 and y_max == height):
        yield "border", f"{place}: the mask reaches across the {width}x{height} image"
    elif min(x_min, y_min, width - x_max, height - y_max) == 0:
        notes.append(CUT)
    body = mask[y_min:y_max, x_min:x_max].astype(np.uint8)
    areas = cv2.connectedComponentsWithStats(body, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    parts = int((areas >= SPECK * areas.max()).sum())
    if parts > 1:
        yield "components", f"{place}: the mask has {parts} parts; a row is one mass"
    said = box_of_row(row)
    allowed = max(1.0, TOLERANCE * max(x_max - x_min, y_max - y_min))
    if max(abs(a - b) for a, b in zip(said, drawn, strict=True)) > allowed:
        yield "box", f"{place}: the box {said} of the row is not that of the mask, {drawn}"


def _duplicates(root: Path, rows: Sequence[Any], pictures: list[Picture]) -> dict[str, Why]:
    """Return the images that an earlier row shows under another name, each with its fault."""
    again: dict[str, Why] = {}
    for other, earlier_ones, correlations in alike(pictures):
        first, row, correlation = rows[earlier_ones[0]], rows[other], correlations[0]
        whose = f"of {' and '.join(dict.fromkeys([first['patient'], row['patient']]))}"
        name, earlier = (named(root, str(each["image"]))[1] for each in (row, first))
        check, what = "near-duplicate", f"looks like {earlier} ({correlation:.4f}"
        if first["image_sha256"] == row["image_sha256"]:
            check, what = "duplicate", f"the file is {earlier} again (the same bytes"
        again[str(row["image"])] = (check, f"{name}: {what}; {whose})")
    return again


def thumbnail(image: NDArray[Any]) -> Picture:
    """Return a small copy ``(4096,)``; the dot product of two is their correlation."""
    pixels = np.asarray(image, dtype=np.float32)
    small = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    centred = small - small.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9), dtype=np.float32)


def alike(pictures: Sequence[Picture]) -> Iterator[tuple[int, list[int], list[float]]]:
    """Yield each picture that has earlier near-duplicates: its place, theirs, the correlations.

    They are ``sqrt(2 - 2 CORRELATION)`` apart at most, and so are their projections to sums of
    squares: all other pairs are left out by those.
    """
    shape = (THUMBNAIL // _CELL, _CELL) * 2
    coarse = np.array([each.reshape(shape).sum(axis=(1, 3)).ravel() / _CELL for each in pictures])
    half = np.square(coarse).sum(axis=-1) / 2
    for start in range(0, len(coarse), _BLOCK):
        end = start + _BLOCK
        apart = half[start:end, None] + half[:end] - coarse[start:end] @ coarse[:end].T
        near = np.tril(apart < 1 - CORRELATION + _ROUNDING, start - 1)
        others = np.flatnonzero(near.any(axis=0))
        those = np.array([pictures[i] for i in others.tolist()])
        for later in (start + np.flatnonzero(near.any(axis=1))).tolist():
            correlations = those @ pictures[later]
            earlier = (correlations > CORRELATION) & (others < later)
            if earlier.any():
                yield later, others[earlier].tolist(), correlations[earlier].tolist()

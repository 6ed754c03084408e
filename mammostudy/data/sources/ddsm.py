"""DDSM, the original films (Heath et al. 2000): digitised mammograms, masses as chain codes.

Reads the published layout: a folder a study with ``B-3030-1.ics``, ``B_3030_1.LEFT_CC.OVERLAY`` and
the films, as PNG or TIFF that somebody converted (``B_3030_1.LEFT_CC.png``, also with ``.LJPEG``
before the ending, also in a folder ``PNGFiles``) or unpacked (``B_3030_1.LEFT_CC.LJPEG.1``).
Where both are there, the converted picture is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.data.sources.ddsm_chain import corners, is_closed
from mammostudy.data.sources.ddsm_ics import VIEWS, Study, View, read_ics
from mammostudy.data.sources.ddsm_overlay import MARGINS, SHAPES, Abnormality, read_overlay
from mammostudy.data.sources.ddsm_pixels import check_raw, is_calibrated, is_raw, picture_size
from mammostudy.data.sources.owner_files import one_error, place, relative, sha256_of, table_of
from mammostudy.errors import DataError

TITLE: Final = "DDSM"
VERSION: Final = 1
"""Recipe version: raised by hand when the same folder gives another manifest."""
SHAPE_MAPPING: Final = {
    "IRREGULAR": "irregular", "LOBULATED": "lobular", "OVAL": "oval", "ROUND": "round",
}  # fmt: skip
"""SHAPE of one word; every other mass is kept for segmentation, without a shape."""
SAME_ASPECT: Final = 0.01  # of a converted picture and the film it shows

NAMED_OTHERWISE: Final = "study whose field filename is not the name of its .ics file"
NOT_LISTED: Final = "film that its .ics file does not list"
NO_IMAGE: Final = "film without a picture"
COMPRESSED: Final = "film still packed as LJPEG; unpack it with the owners' program"
NO_CALIBRATION: Final = "raw film of a scanner without a published calibration"
OTHER_SIZE: Final = "film whose picture has another aspect than its .ics file says"
NO_OVERLAY: Final = "film whose .OVERLAY file is missing"
PACKED_OVERLAY: Final = "film whose .OVERLAY file is still packed (.gz); unpack it"
NOT_A_MASS: Final = "abnormality that is no mass"
CORE: Final = "inner outline of a mass (CORE), part of its boundary"
NO_BOUNDARY: Final = "mass without a boundary"
OUTLINES: Final = "mass whose TOTAL_OUTLINES is not the number of its outlines"
OPEN: Final = "boundary that does not come back to its start"
TANGLED: Final = "boundary of more steps than the film has pixels"
NO_MASS_LEFT: Final = "film whose masses were all dropped"
COMPOUND: Final = "shape of several words (mass kept without a shape)"
OTHER_SHAPE: Final = "shape that is none of the four (mass kept without a shape)"
UNKNOWN_SHAPE: Final = "SHAPE outside the vocabulary (mass kept without a shape)"
UNKNOWN_MARGINS: Final = "MARGINS outside the vocabulary (mass kept)"
_ENDINGS: Final = ("png", "tif", "tiff")


@dataclass(frozen=True)
class _Film:
    """One film of a study and its files."""

    study: Study
    view: View
    picture: Path
    overlay: Path

    @property
    def name(self) -> str:
        return f"{self.study.stem}.{self.view.name}"


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Make the manifest of DDSM from the folders of its studies, at any depth.

    Args:
        folder: the folder ``cases`` or one above it.
        store: not used; outlines stand in the manifest.

    Returns:
        The manifest, not yet validated, and what was dropped, by reason. The reasons that end on
        "(mass kept ...)" count labels, not rows.

    Raises:
        DataError: there is no study, or a file is damaged; every damaged file counts, the first
            ones are named with field and fix.
    """
    dropped: Counter[str] = Counter()
    rows: list[dict[str, object]] = []
    faults: list[DataError] = []
    studies: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.[iI][cC][sS]")):
        try:
            relative(folder, path)
            study = read_ics(path)
            if study.stem in studies:
                msg = f"{path}: the study stands in {studies[study.stem].parent} too; keep one"
                raise DataError(msg)
            studies[study.stem] = path
            if study.named != path.stem:
                dropped[NAMED_OTHERWISE] += 1
                continue
        except DataError as fault:
            faults.append(fault)
            continue
        for film in _films(path.parent, study, dropped):
            try:
                rows += _rows(folder, film, dropped)
            except DataError as fault:
                faults.append(fault)
    one_error(faults)
    if not rows:
        _refuse(folder, len(studies), dropped)
    return table_of(rows), {reason: count for reason, count in dropped.items() if count}


def _refuse(folder: Path, studies: int, dropped: Counter[str]) -> None:
    if not studies:
        msg = f"{folder}: no .ics file in it; name the folder `cases` of DDSM"
        raise DataError(msg)
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    msg = f"{folder}: no film of {studies} studies can be used ({reasons})"
    raise DataError(msg)


def _films(folder: Path, study: Study, dropped: Counter[str]) -> Iterator[_Film]:
    """Yield the films of a study that have all their files."""
    files = {
        path.name.lower(): path
        for place_ in (folder / "PNGFiles", folder)  # what stands beside the .ics file goes first
        if place_.is_dir()
        for path in sorted(place_.iterdir())
    }
    for absent in set(VIEWS) - set(study.views):
        start = f"{study.stem}.{absent}.".lower()
        dropped[NOT_LISTED] += any(name.startswith(start) for name in files)
    for view in study.views.values():
        name = f"{study.stem}.{view.name}".lower()
        pictures = [f"{name}{mid}.{end}" for mid in ("", ".ljpeg") for end in _ENDINGS]
        picture = next((files[one] for one in (*pictures, f"{name}.ljpeg.1") if one in files), None)
        overlay = files.get(f"{name}.overlay")
        if picture is None:
            dropped[COMPRESSED if f"{name}.ljpeg" in files else NO_IMAGE] += 1
        elif is_raw(picture) and not is_calibrated(study):
            dropped[NO_CALIBRATION] += 1
        elif overlay is None and f"{name}.overlay.gz" in files:
            dropped[PACKED_OVERLAY] += 1
        elif overlay is None and view.overlay:
            dropped[NO_OVERLAY] += 1
        else:
            yield _Film(study, view, picture, overlay or folder / "none")


def _rows(folder: Path, film: _Film, dropped: Counter[str]) -> list[dict[str, object]]:
    """Return the rows of one film: a row a boundary, or one without; none where it is dropped."""
    image = relative(folder, film.picture)  # before anything is read
    drawn = film.overlay.is_symlink() or film.overlay.exists()
    if drawn:
        relative(folder, film.overlay)
    height, width = _size(film)
    if abs((width / height) / (film.view.columns / film.view.rows) - 1) > SAME_ASPECT:
        dropped[OTHER_SIZE] += 1
        return []
    scale = height / film.view.rows
    spacing = film.view.spacing_mm
    side, view = film.view.name.split("_")
    shared: dict[str, object] = {
        "patient": film.study.patient, "site": film.study.site, "image": image, "height": height,
        "width": width, "view": view, "side": side[0], "modality": "SFM",
        "spacing_mm": None if spacing is None else spacing / scale,
        "image_sha256": sha256_of(film.picture),
    }  # fmt: skip
    abnormalities = read_overlay(film.overlay) if drawn else []
    masses, lost = _masses(film, abnormalities, (height, width), dropped)
    if not masses and lost:
        dropped[NO_MASS_LEFT] += 1
        return []
    free = shared | {"case": film.name, "pathology": "unknown"}
    return [shared | mass for mass in masses] or [free]


def _size(film: _Film) -> tuple[int, int]:
    """Height and width of a film's picture."""
    if is_raw(film.picture):
        check_raw(film.picture, film.view)
        return film.view.rows, film.view.columns
    return picture_size(film.picture)


def _masses(
    film: _Film, abnormalities: list[Abnormality], shape: tuple[int, int], dropped: Counter[str]
) -> tuple[list[dict[str, object]], int]:
    """Return the columns of each boundary of a mass, and how many were dropped."""
    masses: list[dict[str, object]] = []
    lost = 0
    for found in abnormalities:
        if not found.mass:
            dropped[NOT_A_MASS] += 1
            continue
        if (reason := _why_not(found)) is not None:
            dropped[reason] += 1
            lost += 1
            continue
        if found.cores:
            dropped[CORE] += found.cores
        label = _shape(found, dropped)
        for part, pixels in enumerate(found.boundaries, start=1):
            mass, reason = _placed(film, pixels, shape)
            if mass is None:
                dropped[str(reason)] += 1
                lost += 1
                continue
            suffix = f".{part}" if len(found.boundaries) > 1 else ""
            case = f"{film.name}_{found.number}{suffix}"
            masses.append(mass | {"case": case, "shape": label, "pathology": found.pathology})
    return masses, lost


def _why_not(found: Abnormality) -> str | None:
    if not found.boundaries:
        return NO_BOUNDARY
    return OUTLINES if found.stated != len(found.boundaries) + found.cores else None


def _shape(found: Abnormality, dropped: Counter[str]) -> str | None:
    """Map the words of SHAPE to one of the four shapes, or count why there is none."""
    words = set(found.shapes)
    if not set(found.margins) <= set(MARGINS):
        dropped[UNKNOWN_MARGINS] += 1
    if not words <= set(SHAPES):
        dropped[UNKNOWN_SHAPE] += 1
        return None
    if len(words) == 1 and words <= SHAPE_MAPPING.keys():
        return SHAPE_MAPPING[words.pop()]
    dropped[COMPOUND if len(words) > 1 else OTHER_SHAPE] += 1
    return None


def _placed(
    film: _Film, pixels: np.ndarray, shape: tuple[int, int]
) -> tuple[dict[str, object] | None, str | None]:
    """Box a boundary on the grid of the picture, which may be smaller than the film."""
    if not is_closed(pixels):
        return None, OPEN
    if len(pixels) > film.view.rows * film.view.columns:
        return None, TANGLED
    points = corners(pixels).astype(np.float64)
    if shape != (film.view.rows, film.view.columns):
        ratio = np.array([shape[1] / film.view.columns, shape[0] / film.view.rows])
        points = (points + 0.5) * ratio - 0.5  # pixel centres at whole numbers
    try:
        return place(points, shape)
    except DataError as error:
        msg = f"{film.overlay}: BOUNDARY: {error}; copy the file anew"
        raise DataError(msg) from None

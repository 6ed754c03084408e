"""DDSM, the original films (Heath et al. 2000): digitised mammograms, masses as chain codes.

Reads the published layout: a folder a study with ``B-3030-1.ics``, ``B_3030_1.LEFT_CC.OVERLAY`` and
the films, as PNG or TIFF that somebody converted (``B_3030_1.LEFT_CC.png``, also with ``.LJPEG``
before the ending, also in a folder ``PNGFiles``) or unpacked (``B_3030_1.LEFT_CC.LJPEG.1``).
Where both are there, the converted picture is taken; what was done to its grey levels is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.row_files import SAME_ASPECT
from mammostudy.data.sources.ddsm_files import (
    Abnormality,
    Study,
    View,
    is_raw,
    look_raw,
    read_ics,
    read_overlay,
)
from mammostudy.data.sources.files import Gathered, RejectedError, Row, look, place, relative
from mammostudy.errors import DataError

SHAPES: Final = {
    "IRREGULAR": "irregular", "LOBULATED": "lobular", "OVAL": "oval", "ROUND": "round",
}  # fmt: skip
"""SHAPE of one word; every other mass is kept for segmentation, without a shape."""
VIEWS: Final = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
ENDINGS: Final = (".png", ".tif", ".tiff", ".ljpeg.png", ".ljpeg.tif", ".ljpeg.tiff", ".ljpeg.1")
GAP: Final = 0.1  # of the steps, by which the last pixel may be away from the first; or 2


class _Film(NamedTuple):
    """One film of a study and its files; ``overlay`` is None where nothing was drawn."""

    study: Study
    view: View
    picture: Path
    overlay: Path | None


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the studies of a folder, at any depth.

    Reasons that end on "(mass kept without a shape)" count labels, not rows.
    """
    found = Gathered(folder)
    studies: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.[iI][cC][sS]")):
        found.take(_study, path, studies, found)
    return found.result()


def _study(path: Path, studies: dict[str, Path], found: Gathered) -> list[Row]:
    """Take the films of one study, each with its own fault."""
    relative(found.folder, path)  # before it is read
    study = read_ics(path)
    if study.stem in studies:
        msg = f"{path}: the study stands in {studies[study.stem].parent} too; keep one"
        raise DataError(msg)
    studies[study.stem] = path
    if study.named != path.stem:
        raise RejectedError("study whose field filename is not the name of its .ics file")
    for film in _films(path.parent, study, found.dropped):
        found.take(_rows, found.folder, film, found.dropped)
    return []


def _films(folder: Path, study: Study, dropped: Counter[str]) -> Iterator[_Film]:
    """Yield the films of a study that have all their files."""
    paths = (path for pattern in ("PNGFiles/*", "*") for path in sorted(folder.glob(pattern)))
    files = {path.name.lower(): path for path in paths}  # beside the .ics file goes first
    for absent in set(VIEWS) - set(study.views):
        start = f"{study.stem}.{absent}.".lower()
        unlisted = any(name.startswith(start) for name in files)
        dropped["film that its .ics file does not list"] += unlisted
    for view in study.views.values():
        name = f"{study.stem}.{view.name}".lower()
        picture = next((files[name + end] for end in ENDINGS if name + end in files), None)
        overlay = files.get(f"{name}.overlay")
        if picture is None and f"{name}.ljpeg" in files:
            dropped["film still packed as LJPEG; unpack it with the owners' program"] += 1
        elif picture is None:
            dropped["film without a picture"] += 1
        elif is_raw(picture) and study.calibration is None:
            dropped["raw film of a scanner without a published calibration"] += 1
        elif overlay is None and f"{name}.overlay.gz" in files:
            dropped["film whose .OVERLAY file is still packed (.gz); unpack it"] += 1
        elif overlay is None and view.overlay:
            dropped["film whose .OVERLAY file is missing"] += 1
        else:
            yield _Film(study, view, picture, overlay)


def _rows(folder: Path, film: _Film, dropped: Counter[str]) -> list[Row]:
    """Return the rows of one film: a row a boundary, or one without; none where it is dropped."""
    view = film.view
    image = (
        look_raw(folder, film.picture, view) if is_raw(film.picture) else look(folder, film.picture)
    )
    if abs((image["width"] / image["height"]) / (view.columns / view.rows) - 1) > SAME_ASPECT:
        raise RejectedError("film whose picture has another aspect than its .ics file says")
    side, projection = view.name.split("_")
    image |= {
        "case": f"{film.study.stem}.{view.name}", "patient": film.study.patient,
        "site": film.study.site, "view": projection, "side": side[0], "modality": "SFM",
        "spacing_mm": view.spacing_mm and view.spacing_mm / (image["height"] / view.rows),
        "pathology": "unknown",
    }  # fmt: skip
    masses: list[Row] = []
    lost = False
    if film.overlay is not None:
        relative(folder, film.overlay)  # before it is read
        for found in read_overlay(film.overlay):
            kept = _masses(film, found, image, dropped)
            lost |= found.mass and len(kept) < max(1, len(found.boundaries))
            masses += kept
    if not masses and lost:
        raise RejectedError("film whose masses were all dropped")
    return masses or [image]


def _masses(film: _Film, found: Abnormality, image: Row, dropped: Counter[str]) -> list[Row]:
    """Return a row for each boundary of an abnormality that is a mass."""
    reason = ""
    if not found.mass:
        reason = "abnormality that is no mass"
    elif not found.boundaries:
        reason = "mass without a boundary"
    elif found.outlines != len(found.boundaries) + found.cores:
        reason = "mass whose TOTAL_OUTLINES is not the number of its outlines"
    if reason:
        dropped[reason] += 1
        return []
    dropped["inner outline of a mass (CORE), part of its boundary"] += found.cores
    shape = SHAPES.get(next(iter(found.shapes), "")) if len(found.shapes) == 1 else None
    if shape is None:
        what = "of several words" if len(found.shapes) > 1 else "that is none of the four"
        dropped[f"shape {what} (mass kept without a shape)"] += 1
    rows: list[Row] = []
    for part, pixels in enumerate(found.boundaries, start=1):
        mass, reason = _placed(film, pixels, image)
        if mass is None:
            dropped[reason] += 1
            continue
        suffix = f".{part}" if len(found.boundaries) > 1 else ""
        case = f"{image['case']}_{found.number}{suffix}"
        rows.append(image | mass | {"case": case, "shape": shape, "pathology": found.pathology})
    return rows


def _placed(film: _Film, pixels: NDArray[np.int64], image: Row) -> tuple[Row | None, str]:
    """Box a boundary on the grid of the picture, which may be smaller than the film."""
    rows, columns = film.view.rows, film.view.columns
    if np.abs(pixels[-1] - pixels[0]).max() > max(2.0, GAP * (len(pixels) - 1)):
        return None, "boundary that does not come back to its start"
    if len(pixels) > rows * columns:
        return None, "boundary of more steps than the film has pixels"
    points = corners(pixels).astype(np.float64)
    if (image["height"], image["width"]) != (rows, columns):
        ratio = np.array([image["width"] / columns, image["height"] / rows])
        points = (points + 0.5) * ratio - 0.5  # pixel centres at whole numbers
    return place(points, image, f"{film.overlay}: BOUNDARY")


def corners(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the pixels that lie straight between their neighbours, and a repeated first one.

    The outline encloses the same pixels, and a manifest needs fewer points for it. Pixels that the
    chain steps on twice stay: they may be a spike, one pixel wide.
    """
    if len(pixels) > 1 and (pixels[0] == pixels[-1]).all():
        pixels = pixels[:-1]
    before = pixels - np.roll(pixels, 1, axis=0)
    after = np.roll(pixels, -1, axis=0) - pixels
    _, at, visits = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    kept = (before != after).any(axis=1) | (visits[at.ravel()] > 1)
    return pixels[kept] if len(pixels) > 2 else pixels

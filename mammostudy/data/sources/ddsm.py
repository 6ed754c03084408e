"""DDSM, the original films (Heath et al. 2000): digitised mammograms, masses as chain codes.

Reads the published layout: a folder a study with ``B-3030-1.ics``, ``B_3030_1.LEFT_CC.OVERLAY`` and
the films, as PNG or TIFF that somebody converted (``B_3030_1.LEFT_CC.png``, also with ``.LJPEG``
before the ending, also in a folder ``PNGFiles``) or unpacked (``B_3030_1.LEFT_CC.LJPEG.1``).
Where both are there, the converted picture is taken; what was done to its grey levels is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.row_files import SAME_ASPECT
from mammostudy.data.sources.ddsm_files import (
    CALIBRATION,
    Abnormality,
    View,
    is_raw,
    read_ics,
    read_overlay,
)
from mammostudy.data.sources.files import (
    Gathered,
    Points,
    RejectedError,
    Row,
    look,
    masses_or_view,
    place,
    relative,
)
from mammostudy.errors import DataError

SHAPES: Final = {
    "IRREGULAR": "irregular", "LOBULATED": "lobular", "OVAL": "oval", "ROUND": "round",
}  # fmt: skip
"""SHAPE of one word; every other mass is kept for segmentation, without a shape."""
VIEWS: Final = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
ENDINGS: Final = (".png", ".tif", ".tiff", ".ljpeg.png", ".ljpeg.tif", ".ljpeg.tiff", ".ljpeg.1")
GAP: Final = 0.1  # of the steps, by which the last pixel may be away from the first; or 2


def build_manifest(folder: Path, store: Path | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the studies of a folder, at any depth.

    Reasons that end on "(mass kept without a shape)" count labels, not rows.
    """
    found = Gathered(folder)
    studies: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.[iI][cC][sS]")):
        with found.sorting():
            relative(folder, path)  # before it is read
            if path.stem in studies:
                raise DataError(f"{path}: the study stands in {studies[path.stem]} too; keep one")
            studies[path.stem] = path.parent
            _take_study(path, found)
    return found.result()


def _take_study(path: Path, found: Gathered) -> None:
    """Take the films of one study, each with its own fault."""
    study, stem = read_ics(path), path.stem.replace("-", "_")
    if study.named != path.stem:
        raise RejectedError("study whose field filename is not the name of its .ics file")
    paths = (each for pattern in ("PNGFiles/*", "*") for each in sorted(path.parent.glob(pattern)))
    files = {each.name.lower(): each for each in paths}  # beside the .ics file goes first
    for absent in set(VIEWS) - set(study.views):
        unlisted = any(name.startswith(f"{stem}.{absent}.".lower()) for name in files)
        found.dropped["film that its .ics file does not list"] += unlisted
    for name, view in study.views.items():
        film = f"{stem}.{name}"
        picture = next((files[e] for end in ENDINGS if (e := film.lower() + end) in files), None)
        overlay = files.get(f"{film}.overlay".lower())
        with found.sorting():
            if picture is None:
                raise RejectedError("film without a picture, or still packed as LJPEG")
            if is_raw(picture) and (study.site, study.scanner) not in CALIBRATION:
                raise RejectedError("raw film of a scanner without a published calibration")
            if overlay is None and view.overlay:
                raise RejectedError("film whose .OVERLAY file is missing, or still packed (.gz)")
            image = _image(found.folder, picture, view)
            side, projection = name.split("_")
            image |= {"case": film, "patient": stem[:-2], "site": study.site, "modality": "SFM"}
            image |= {"view": projection, "side": side[0], "pathology": "unknown"}
            found.rows += _rows(found, image, view, overlay)


def _image(folder: Path, picture: Path, view: View) -> Row:
    """Return what the file of a film tells; a raw one has the size that its study says."""
    size = None
    if is_raw(picture):
        size = view.rows, view.columns
        if picture.stat().st_size != 2 * view.rows * view.columns:
            fault = f"has not the bytes of {view.rows} LINES of {view.columns} PIXELS_PER_LINE"
            raise DataError(f"{picture}: {fault} of its .ics file; unpack the film anew")
    image = look(folder, picture, size)
    if abs((image["width"] / image["height"]) / (view.columns / view.rows) - 1) > SAME_ASPECT:
        raise RejectedError("film whose picture has another aspect than its .ics file says")
    scale = image["height"] / view.rows
    return image | {"spacing_mm": view.spacing_mm and view.spacing_mm / scale}


def _rows(found: Gathered, image: Row, view: View, overlay: Path | None) -> list[Row]:
    """Return the rows of one film: a row a boundary, or one without; none where it is dropped."""
    masses: list[Row] = []
    drawn = 0
    if overlay is not None:
        relative(found.folder, overlay)  # before it is read
        for abnormality in read_overlay(overlay):
            drawn += abnormality.mass * max(1, len(abnormality.boundaries))
            with found.sorting():
                for case, pixels, facts in _boundaries(found, abnormality):
                    with found.sorting():
                        points = _points(pixels, image, view)
                        mass = place(points, image, f"{overlay}: BOUNDARY") | facts
                        masses.append(image | mass | {"case": f"{image['case']}_{case}"})
    return masses_or_view(image, masses, drawn)


def _boundaries(
    found: Gathered, abnormality: Abnormality
) -> Iterator[tuple[str, NDArray[np.int64], Row]]:
    """Yield number, pixels and labels of each boundary of an abnormality that is a mass."""
    boundaries, shapes = abnormality.boundaries, abnormality.shapes
    if not abnormality.mass:
        raise RejectedError("abnormality that is no mass")
    if not boundaries:
        raise RejectedError("mass without a boundary")
    if abnormality.outlines != len(boundaries) + abnormality.cores:
        raise RejectedError("mass whose TOTAL_OUTLINES is not the number of its outlines")
    found.dropped["inner outline of a mass (CORE), part of its boundary"] += abnormality.cores
    shape = SHAPES.get(next(iter(shapes), "")) if len(shapes) == 1 else None
    if shape is None:
        what = "of several words" if len(shapes) > 1 else "that is none of the four"
        found.dropped[f"shape {what} (mass kept without a shape)"] += 1
    for part, pixels in enumerate(boundaries, start=1):
        suffix = f".{part}" if len(boundaries) > 1 else ""
        facts = {"shape": shape, "pathology": abnormality.pathology}
        yield f"{abnormality.number}{suffix}", pixels, facts


def _points(pixels: NDArray[np.int64], image: Row, view: View) -> Points:
    """Return a boundary's corners on the grid of the picture, which may be smaller."""
    if np.abs(pixels[-1] - pixels[0]).max() > max(2.0, GAP * (len(pixels) - 1)):
        raise RejectedError("boundary that does not come back to its start")
    if len(pixels) > view.rows * view.columns:
        raise RejectedError("boundary of more steps than the film has pixels")
    points = corners(pixels).astype(np.float64)
    if (image["height"], image["width"]) == (view.rows, view.columns):
        return points
    points = (points + 0.5) * (image["width"] / view.columns, image["height"] / view.rows)
    return np.asarray(points - 0.5)  # pixel centres at whole numbers


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

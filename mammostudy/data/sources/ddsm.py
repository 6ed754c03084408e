"""DDSM, the original films (Heath et al. 2000): digitised mammograms, masses as chain codes.

Reads the published layout (``data_manifests/ddsm.yaml``). Films that somebody converted (also with
``.LJPEG`` before the ending, also in a folder ``PNGFiles``) go first, then raw ones: two bytes a
pixel, the most significant first, no header, put on one scale of optical density for all scanners.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.dicom_file import guarded
from mammostudy.data.images import same_aspect
from mammostudy.data.sources import files
from mammostudy.errors import DataError
from mammostudy.paths import search

SHAPES: Final = {
    "IRREGULAR": "irregular", "LOBULATED": "lobular", "OVAL": "oval", "ROUND": "round",
}  # fmt: skip
"""Of one word; every other mass is kept for segmentation, without a shape."""
ENDINGS: Final = (".png", ".tif", ".tiff", ".ljpeg.png", ".ljpeg.tif", ".ljpeg.tiff", ".ljpeg.1")
GAP: Final = 0.1  # of the steps, by which the last pixel may be away from the first; or 2
SITES: Final = {"A": "MGH", "B": "WFU", "C": "WFU", "D": "ISMD"}  # by the letter of a study
LOWEST, HIGHEST = 0.05, 3.60  # optical density: the range of the owners' own software
CALIBRATION: Final = {
    ("MGH", "DBA"): (4.80662 / 1.07553, -1 / 1.07553),
    ("MGH", "HOWTEK"): (3.789, -0.00094568),
    ("WFU", "LUMISYS"): (4096.99 / 1009.01, -1 / 1009.01),
    ("ISMD", "HOWTEK"): (3.96604095240593, -0.00099055807612),
}
"""Optical density by site and scanner: ``a + b * grey``, of DBA log10 of grey (DDSM's own page)."""
PATHOLOGY: Final = {
    "MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign",
    "UNPROVEN": "unknown", "": "unknown",
}  # fmt: skip
STEPS: Final = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
"""x and y of the directions 0 to 7: up, up right, right, and so on; y grows downwards."""
_RAW: Final = re.compile(r"([A-D]_\d{4}_\d)\.((?:LEFT|RIGHT)_(?:CC|MLO))\.LJPEG\.1")
_VIEW: Final = re.compile(
    r"^((?:LEFT|RIGHT)_(?:CC|MLO)) LINES ([1-9]\d{0,4}) PIXELS_PER_LINE ([1-9]\d{0,4}) "
    r"BITS_PER_PIXEL ([89]|1[0-6]) RESOLUTION (\d{1,3}(?:\.\d{1,6})?)(?: (\w+))?$",
    re.ASCII | re.MULTILINE,
)
_ABNORMALITY: Final = (
    r"ABNORMALITY (\d{1,3})\n"
    r"((?:(?:LESION_TYPE (?:MASS|CALCIFICATION|OTHER)|ASSESSMENT|SUBTLETY)\b.*\n)*)"
    rf"(?:PATHOLOGY ?({'|'.join(PATHOLOGY)})\n)?TOTAL_OUTLINES (\d{{1,3}})\n"
    r"((?:(?:BOUNDARY|CORE) \d{1,5} \d{1,5}(?: [0-7])* #\n)*)"
)
_OVERLAY: Final = re.compile(rf"TOTAL_ABNORMALITIES (\d{{1,3}})\n(?:{_ABNORMALITY})*", re.ASCII)


class View(NamedTuple):
    """One film of a study, and whether abnormalities were drawn on it."""

    rows: int
    columns: int
    bits: int
    spacing_mm: float | None
    overlay: bool


class Abnormality(NamedTuple):
    """One abnormality of a film."""

    number: str
    mass: bool
    shapes: set[str]  # words; a compound shape has several
    pathology: str
    outlines: int  # as it says
    boundaries: list[NDArray[np.int64]]  # pixels of a chain each, (k, 2)
    cores: int  # inner outlines


def build_manifest(folder: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the studies of a folder, at any depth; masses kept without a shape are counted, too."""
    found = files.Gathered(folder)
    studies: dict[str, Path] = {}
    for path in search(folder, "**/*.[iI][cC][sS]"):
        with found.sorting():
            files.relative(folder, path)  # before it is read
            if path.stem in studies:
                raise DataError(f"{path}: the study stands in {studies[path.stem]} too; keep one")
            studies[path.stem] = path.parent
            _take_study(path, found)
    return found.result()


def _take_study(path: Path, found: files.Gathered) -> None:
    """Take the films of one study, each with its own fault."""
    scanner, views = read_ics(path)
    stem = path.stem.replace("-", "_")
    paths = [*search(path.parent, "PNGFiles/*"), *search(path.parent, "*")]
    beside = {each.name.lower(): each for each in paths}  # beside the .ics file goes first
    for name, view in views.items():
        film = f"{stem}.{name}"
        picture = next((beside[e] for end in ENDINGS if (e := film.lower() + end) in beside), None)
        overlay = beside.get(f"{film}.overlay".lower())
        with found.sorting():
            if picture is None:
                raise files.RejectedError("film without a picture, or still packed as LJPEG")
            if is_raw(picture) and scanner not in CALIBRATION:
                raise files.RejectedError("raw film of a scanner without a published calibration")
            if overlay is None and view.overlay:
                raise files.RejectedError("film whose .OVERLAY is missing, or still packed (.gz)")
            image = _image(found.folder, picture, view)
            side, projection = name.split("_")
            image |= {"case": film, "patient": stem[:-2], "site": scanner[0], "modality": "SFM"}
            image |= {"view": projection, "side": side[0], "pathology": "unknown"}
            found.rows += _rows(found, image, view, overlay)


def _image(folder: Path, picture: Path, view: View) -> files.Row:
    """Return what the file of a film tells; a raw one has the size that its study says."""
    size = (view.rows, view.columns) if is_raw(picture) else None
    image = files.look(folder, picture, size)
    if not same_aspect((image["height"], image["width"]), (view.rows, view.columns)):
        raise files.RejectedError("film whose picture has another aspect than its .ics file says")
    scale = image["height"] / view.rows
    return image | {"spacing_mm": view.spacing_mm and view.spacing_mm / scale}


def _rows(
    found: files.Gathered, image: files.Row, view: View, overlay: Path | None
) -> list[files.Row]:
    """Return the rows of one film: a row a boundary, or one without; none where it is dropped."""
    masses: list[files.Row] = []
    drawn = 0
    if overlay is not None:
        files.relative(found.folder, overlay)  # before it is read
        for abnormality in read_overlay(overlay):
            drawn += abnormality.mass * max(1, len(abnormality.boundaries))
            with found.sorting():
                facts = _facts(found, abnormality)
                for part, pixels in enumerate(abnormality.boundaries, start=1):
                    suffix = f".{part}" if len(abnormality.boundaries) > 1 else ""
                    case = {"case": f"{image['case']}_{abnormality.number}{suffix}"}
                    with found.sorting():
                        points = _points(pixels, image, view)
                        mass = files.place(points, image, f"{overlay}: BOUNDARY")
                        masses.append(image | mass | facts | case)
    return files.masses_or_view(image, masses, drawn)


def _facts(found: files.Gathered, abnormality: Abnormality) -> files.Row:
    """Return shape and pathology of an abnormality that is a mass with a boundary."""
    shapes, cores = abnormality.shapes, abnormality.cores
    if not abnormality.mass:
        raise files.RejectedError("abnormality that is no mass")
    if not abnormality.boundaries:
        raise files.RejectedError("mass without a boundary")
    if abnormality.outlines != len(abnormality.boundaries) + cores:
        raise files.RejectedError("mass whose TOTAL_OUTLINES is not the number of its outlines")
    found.dropped["inner outline of a mass (CORE), part of its boundary"] += cores
    shape = SHAPES.get(next(iter(shapes), "")) if len(shapes) == 1 else None
    if shape is None:
        what = "of several words" if len(shapes) > 1 else "that is none of the four"
        found.dropped[f"shape {what} (mass kept without a shape)"] += 1
    return {"shape": shape, "pathology": abnormality.pathology}


def _points(pixels: NDArray[np.int64], image: files.Row, view: View) -> files.Points:
    """Return a boundary's corners on the grid of the picture, which may be smaller."""
    if np.abs(pixels[-1] - pixels[0]).max() > max(2.0, GAP * (len(pixels) - 1)):
        raise files.RejectedError("boundary that does not come back to its start")
    if len(pixels) > view.rows * view.columns:
        raise files.RejectedError("boundary of more steps than the film has pixels")
    points = corners(pixels).astype(np.float64)
    points = (points + 0.5) * (image["width"] / view.columns, image["height"] / view.rows)
    return np.asarray(points - 0.5)  # pixel centres at whole numbers


def _text(path: Path) -> str:
    """Return the lines that are not blank, their words parted by single spaces."""
    lines = [" ".join(line.split()) for line in files.read_text(path).splitlines()]
    return "\n".join(filter(None, lines))


def read_ics(path: Path) -> tuple[tuple[str, str], dict[str, View]]:
    """Read one ``.ics`` file: site and scanner, and the films by name (``LEFT_CC``)."""
    text = _text(path)
    views = {
        name: View(int(rows), int(columns), int(bits), float(um) / 1000 or None, drawn == "OVERLAY")
        for name, rows, columns, bits, um, drawn in _VIEW.findall(text)
    }
    named = re.findall(r"^filename (\S+)$", text, re.MULTILINE)
    sound = {
        "its name is not as B-3030-1.ics": re.fullmatch(r"[A-D]-\d{4}-\d", path.stem, re.ASCII),
        "field ics_version is not 1.0": text.startswith("ics_version 1.0\n"),
        "field filename does not stand there once": len(named) == 1,
        "fields LEFT_CC, ... (LINES, ...) missing or wrong": (
            views and len(views) == len(re.findall("^(?:LEFT|RIGHT)_", text, re.MULTILINE))
        ),
    }
    for fault, is_sound in sound.items():
        if not is_sound:
            raise DataError(f"{path}: {fault}; copy the file anew")
    said = re.findall(r"^DIGITIZER.*\b(DBA|HOWTEK|LUMISYS)\b", text.upper(), re.MULTILINE)
    if named != [path.stem]:
        raise files.RejectedError("study whose field filename is not the name of its .ics file")
    return (SITES[path.stem[0]], "".join(said)), views


def read_overlay(path: Path) -> list[Abnormality]:
    """Read the abnormalities of one film; there may be none."""
    text = re.sub(r"\n(?=[\d#-])", " ", _text(path)) + "\n"  # a chain is one line
    read = _OVERLAY.match(text)
    if read is None or read.end() != len(text):
        start = text.count("\n", 0, read.end() if read else 0) + 1
        fault = f"TOTAL_ABNORMALITIES, or the abnormality at statement {start} is damaged"
        raise DataError(f"{path}: {fault}; copy the file anew")
    found = []
    for number, fields, pathology, outlines, drawn in re.findall(_ABNORMALITY, text):
        words = re.findall(r"LESION_TYPE MASS\b(?:.*?SHAPE (\S+))?", fields)
        shapes = {shape for word in words for shape in word.split("-") if shape}
        chains = [decode_chain(chain) for chain in re.findall("BOUNDARY (.*) #", drawn)]
        said = PATHOLOGY[pathology], int(outlines)
        found.append(Abnormality(number, bool(words), shapes, *said, chains, drawn.count("CORE")))
    if int(read[1]) != len(found) or len({one.number for one in found}) != len(found):
        raise DataError(f"{path}: TOTAL_ABNORMALITIES is not their number; copy the file anew")
    return found


def decode_chain(code: str) -> NDArray[np.int64]:
    """Return the pixels of a chain code (column, row, directions), int64 ``(k, 2)`` of x and y."""
    numbers = np.array(code.split(), np.int64)
    steps = np.array(STEPS, np.int64)[numbers[2:]]
    return np.cumsum(np.concatenate([numbers[None, :2], steps]), axis=0)


def corners(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the pixels that lie straight between their neighbours, and a repeated first one."""
    if len(pixels) > 1 and (pixels[0] == pixels[-1]).all():
        pixels = pixels[:-1]
    before = pixels - np.roll(pixels, 1, axis=0)
    after = np.roll(pixels, -1, axis=0) - pixels
    _, at, visits = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    kept = (before != after).any(axis=1) | (visits[at.ravel()] > 1)  # twice: maybe a spike
    return pixels[kept] if len(pixels) > 2 else pixels


def is_raw(path: Path) -> bool:
    """Whether a file's name is that of an unpacked film."""
    return _RAW.fullmatch(path.name) is not None


def read_raw(path: Path) -> NDArray[np.float32]:
    """Read an unpacked film, ``<film>.LJPEG.1``, beside its ``.ics``: float32 ``(h, w)``.

    Optical density from :data:`HIGHEST` (0, black film) to :data:`LOWEST` (1): dense is bright.
    """
    with guarded(path, "not the film that its .ics file describes; unpack it anew"):
        ((stem, name),) = _RAW.findall(path.name)
        scanner, views = read_ics(path.with_name(f"{stem.replace('_', '-')}.ics"))
        view = views[name]
        start, slope = CALIBRATION[scanner]
        grey = np.fromfile(path, ">u2").astype(np.uint16).reshape(view.rows, view.columns)
        if int(grey.max()) >> view.bits:
            grey = grey.byteswap()  # the order of bytes is turned where only the other one fits
        if int(grey.max()) >> view.bits:
            raise DataError(f"{path}: grey levels of more than BITS_PER_PIXEL {view.bits}")
        levels = np.arange(2**16, dtype=np.float64)
        if scanner[1] == "DBA":
            levels = np.log10(np.maximum(levels, 1))
        shown = np.clip((HIGHEST - (start + slope * levels)) / (HIGHEST - LOWEST), 0, 1)
        return np.asarray(shown.astype(np.float32)[grey])

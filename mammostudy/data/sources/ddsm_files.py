"""DDSM's own files: ``.ics`` (a study), ``.OVERLAY`` (a film's abnormalities), raw films.

The owners' LJPEG files are unpacked by their own program to ``<film>.LJPEG.1``: two bytes a pixel,
the most significant first, no header; the ``.ics`` file beside them has the size. Grey levels of
the scanners differ, so raw pixels are put on one scale of optical density.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.sources.files import Row, read_text, relative
from mammostudy.errors import DataError

SITES: Final = {"A": "MGH", "B": "WFU", "C": "WFU", "D": "ISMD"}
"""By the first letter of a study: Massachusetts General, Wake Forest, and the third centre."""
SCANNERS: Final = ("DBA", "HOWTEK", "LUMISYS")
LOWEST, HIGHEST = 0.05, 3.60  # optical density: the range of the owners' own software
CALIBRATION: Final = {
    ("MGH", "DBA"): ("log10", 4.80662, -1.07553),
    ("MGH", "HOWTEK"): ("linear", 3.789, -0.00094568),
    ("WFU", "LUMISYS"): ("linear", 4096.99 / 1009.01, -1 / 1009.01),
    ("ISMD", "HOWTEK"): ("linear", 3.96604095240593, -0.00099055807612),
}
"""Optical density by site and scanner: ``a + b * grey``, or ``(log10(grey) - a) / b``.

Source: the calibration page of DDSM. The owners' later detection software has slightly other
constants for the first three: at most 0.15 apart in density for DBA, 0.001 for the others.
"""
PATHOLOGY: Final = {
    "MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign",
    "UNPROVEN": "unknown", "": "unknown",
}  # fmt: skip
STEPS: Final = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
"""x and y of the directions 0 to 7: up, up right, right, and so on; y grows downwards."""
_VIEW: Final = re.compile(
    r"((?:LEFT|RIGHT)_(?:CC|MLO)) LINES ([1-9]\d{0,4}) PIXELS_PER_LINE ([1-9]\d{0,4}) "
    r"BITS_PER_PIXEL ([89]|1[0-6]) RESOLUTION (\d{1,3}(?:\.\d{1,6})?)(?: (\w+))?",
    re.ASCII,
)
_ABNORMALITY: Final = (
    r"ABNORMALITY (\d{1,3})\n"
    r"((?:(?:LESION_TYPE (?:MASS|CALCIFICATION|OTHER)|ASSESSMENT|SUBTLETY)\b.*\n)*)"
    rf"(?:PATHOLOGY ?({'|'.join(PATHOLOGY)})\n)?TOTAL_OUTLINES (\d{{1,3}})\n"
    r"((?:(?:BOUNDARY|CORE) \d{1,5} \d{1,5}(?: [0-7])* #\n)*)"
)
_OVERLAY: Final = re.compile(rf"TOTAL_ABNORMALITIES (\d{{1,3}})\n(?:{_ABNORMALITY})*", re.ASCII)
_RAW: Final = re.compile(r"([A-D]_\d{4}_\d)\.((?:LEFT|RIGHT)_(?:CC|MLO))\.LJPEG\.1")


class View(NamedTuple):
    """One film of a study: name (``LEFT_CC``), size, and whether abnormalities were drawn."""

    name: str
    rows: int
    columns: int
    bits: int
    spacing_mm: float | None
    overlay: bool


class Study(NamedTuple):
    """The films of a patient; ``named`` is the field ``filename``, ``stem`` begins their names."""

    stem: str
    patient: str
    named: str
    site: str
    scanner: str
    views: dict[str, View]

    @property
    def calibration(self) -> tuple[str, float, float] | None:
        """How grey levels become optical density; None where nothing is published."""
        return CALIBRATION.get((self.site, self.scanner))


class Abnormality(NamedTuple):
    """One abnormality of a film; ``outlines`` is what it says, ``cores`` are inner outlines.

    A compound shape has several words. A boundary is the pixels of its chain, int ``(k, 2)``.
    """

    number: int
    mass: bool
    shapes: set[str]
    pathology: str
    outlines: int
    boundaries: list[NDArray[np.int64]]
    cores: int


def read_ics(path: Path) -> Study:
    """Read one ``.ics`` file.

    Source:
        The layout is that of ``read_ics_file`` of the owners' detection software (Heath 2000).
    """
    lines = _lines(path)
    found = [_VIEW.fullmatch(line) for line in lines if line.startswith(("LEFT_", "RIGHT_"))]
    views = {
        view[1]: View(
            view[1], int(view[2]), int(view[3]), int(view[4]), float(view[5]) / 1000 or None,
            view[6] == "OVERLAY",
        )
        for view in found if view
    }  # fmt: skip
    named = [line.split()[1] for line in lines if re.fullmatch(r"filename \S+", line)]
    for sound, what in (
        (re.fullmatch(r"[A-D]-\d{4}-\d", path.stem, re.ASCII), "its name is not as B-3030-1.ics"),
        (lines[:1] == ["ics_version 1.0"], "field ics_version is not 1.0"),
        (len(named) == 1, "field filename does not stand there once"),
        (found and len(views) == len(found), "fields LEFT_CC, ... (LINES, ...): missing or wrong"),
    ):
        if not sound:
            msg = f"{path}: {what}; copy the file anew"
            raise DataError(msg)
    said = {word.upper() for line in lines if line.startswith("DIGITIZER") for word in line.split()}
    known = [name for name in SCANNERS if name in said]
    scanner = known[0] if len(known) == 1 else "unknown"
    stem = path.stem.replace("-", "_")
    return Study(stem, stem[:-2], named[0], SITES[stem[0]], scanner, views)


def _lines(path: Path) -> list[str]:
    """Return the lines that are not blank, their words parted by single spaces."""
    return [" ".join(line.split()) for line in read_text(path).splitlines() if line.strip()]


def read_overlay(path: Path) -> list[Abnormality]:
    """Read the abnormalities of one film; there may be none."""
    text = re.sub(r"\n(?=[\d#-])", " ", "\n".join(_lines(path))) + "\n"  # a chain is one line
    read = _OVERLAY.match(text)
    if read is None or read.end() != len(text):
        start = text.count("\n", 0, read.end() if read else 0) + 1
        msg = f"{path}: TOTAL_ABNORMALITIES, or the abnormality at statement {start} is damaged"
        raise DataError(f"{msg}; copy the file anew")
    found = []
    for number, fields, pathology, outlines, drawn in re.findall(_ABNORMALITY, text):
        words = re.findall(r"LESION_TYPE MASS\b(?:.*?SHAPE (\S+))?", fields)
        shapes = {shape for word in words for shape in word.split("-") if shape}
        chains = [decode_chain(chain) for chain in re.findall("BOUNDARY (.*) #", drawn)]
        found.append(
            Abnormality(
                int(number), bool(words), shapes, PATHOLOGY[pathology], int(outlines), chains,
                drawn.count("CORE"),
            )
        )  # fmt: skip
    if int(read[1]) != len(found) or len({one.number for one in found}) != len(found):
        msg = f"{path}: TOTAL_ABNORMALITIES is not the number of abnormalities; copy the file anew"
        raise DataError(msg)
    return found


def decode_chain(code: str) -> NDArray[np.int64]:
    """Return the pixels of a chain code (column, row, directions), int64 ``(k, 2)`` of x and y.

    A chain that comes back to its first pixel has it at both ends.
    """
    numbers = np.array(code.split(), np.int64)
    steps = np.array(STEPS, np.int64)[numbers[2:]]
    return np.cumsum(np.concatenate([numbers[None, :2], steps]), axis=0)


def is_raw(path: Path) -> bool:
    """Whether a file's name is that of an unpacked film."""
    return _RAW.fullmatch(path.name) is not None


def look_raw(folder: Path, path: Path, view: View) -> Row:
    """Return the manifest's columns that an unpacked film tells, as :func:`.files.look`."""
    name = relative(folder, path)
    if not path.is_file() or path.stat().st_size != 2 * view.rows * view.columns:
        msg = f"{path}: has not the bytes of {view.rows} LINES of {view.columns} PIXELS_PER_LINE"
        raise DataError(f"{msg} of its .ics file; unpack the film anew")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"image": name, "height": view.rows, "width": view.columns, "image_sha256": digest}


def read_raw(path: Path) -> NDArray[np.float32]:
    """Read an unpacked film, ``<film>.LJPEG.1``; the study's ``.ics`` file stands beside it.

    Returns:
        float32 ``(h, w)`` in [0, 1]: optical density from :data:`HIGHEST` (0, black film) to
        :data:`LOWEST` (1), so dense tissue is bright.
    """
    named = _RAW.fullmatch(path.name)
    study = read_ics(path.with_name(f"{path.name[:8].replace('_', '-')}.ics"))
    view = study.views.get(named[2]) if named else None
    if view is None or study.calibration is None:
        msg = f"{path}: its .ics file has no such view, or its scanner no published calibration"
        raise DataError(f"{msg}; convert the film to PNG")
    look_raw(path.parent, path, view)
    grey = np.fromfile(path, ">u2").astype(np.uint16).reshape(view.rows, view.columns)
    if int(grey.max()) >> view.bits:
        grey = grey.byteswap()  # the order of bytes is turned where only the other one fits
    if int(grey.max()) >> view.bits:
        msg = f"{path}: grey levels of more than BITS_PER_PIXEL {view.bits}; unpack the film anew"
        raise DataError(msg)
    form, a, b = study.calibration
    levels = np.arange(2**16, dtype=np.float64)
    density = (np.log10(np.maximum(levels, 1)) - a) / b if form == "log10" else a + b * levels
    shown = np.clip((HIGHEST - density) / (HIGHEST - LOWEST), 0, 1)
    return np.asarray(shown.astype(np.float32)[grey])

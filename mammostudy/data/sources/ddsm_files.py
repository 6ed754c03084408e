"""DDSM's own files: ``.ics`` (a study), ``.OVERLAY`` (a film's abnormalities), raw films.

The owners' LJPEG files are unpacked by their own program to ``<film>.LJPEG.1``: two bytes a pixel,
the most significant first, no header; the ``.ics`` file beside them has the size. Grey levels of
the scanners differ, so raw pixels are put on one scale of optical density.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.dicom_file import guarded
from mammostudy.data.sources.files import read_text
from mammostudy.errors import DataError

SITES: Final = {"A": "MGH", "B": "WFU", "C": "WFU", "D": "ISMD"}
"""By the first letter of a study: Massachusetts General, Wake Forest, and the third centre."""
LOWEST, HIGHEST = 0.05, 3.60  # optical density: the range of the owners' own software
CALIBRATION: Final = {
    ("MGH", "DBA"): (4.80662 / 1.07553, -1 / 1.07553),
    ("MGH", "HOWTEK"): (3.789, -0.00094568),
    ("WFU", "LUMISYS"): (4096.99 / 1009.01, -1 / 1009.01),
    ("ISMD", "HOWTEK"): (3.96604095240593, -0.00099055807612),
}
"""Optical density by site and scanner: ``a + b * grey``, of DBA ``a + b * log10(grey)``.

Source: the calibration page of DDSM. The owners' later detection software has slightly other
constants for the first three: at most 0.15 apart in density for DBA, 0.001 for the others.
"""
PATHOLOGY: Final = {
    "MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign",
    "UNPROVEN": "unknown", "": "unknown",
}  # fmt: skip
STEPS: Final = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
"""x and y of the directions 0 to 7: up, up right, right, and so on; y grows downwards."""
RAW: Final = re.compile(r"([A-D]_\d{4}_\d)\.((?:LEFT|RIGHT)_(?:CC|MLO))\.LJPEG\.1")
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


class Study(NamedTuple):
    """The films of a patient by name (``LEFT_CC``); ``named`` is the field ``filename``."""

    named: str
    site: str
    scanner: str
    views: dict[str, View]


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


def _text(path: Path) -> str:
    """Return the lines that are not blank, their words parted by single spaces."""
    lines = [" ".join(line.split()) for line in read_text(path).splitlines()]
    return "\n".join(filter(None, lines))


def read_ics(path: Path) -> Study:
    """Read one ``.ics`` file, as ``read_ics_file`` of the owners' software does (Heath 2000)."""
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
    return Study(named[0], SITES[path.stem[0]], "".join(said), views)


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
        found.append(
            Abnormality(int(number), bool(words), shapes, *said, chains, drawn.count("CORE"))
        )
    if int(read[1]) != len(found) or len({one.number for one in found}) != len(found):
        raise DataError(f"{path}: TOTAL_ABNORMALITIES is not their number; copy the file anew")
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
    return RAW.fullmatch(path.name) is not None


def read_raw(path: Path) -> NDArray[np.float32]:
    """Read an unpacked film, ``<film>.LJPEG.1``; the study's ``.ics`` file stands beside it.

    Returns:
        float32 ``(h, w)`` in [0, 1]: optical density from :data:`HIGHEST` (0, black film) to
        :data:`LOWEST` (1), so dense tissue is bright.
    """
    with guarded(path, "not the film that its .ics file describes; unpack it anew"):
        ((stem, name),) = RAW.findall(path.name)
        study = read_ics(path.with_name(f"{stem.replace('_', '-')}.ics"))
        view = study.views[name]
        start, slope = CALIBRATION[study.site, study.scanner]
        grey = np.fromfile(path, ">u2").astype(np.uint16).reshape(view.rows, view.columns)
        if int(grey.max()) >> view.bits:
            grey = grey.byteswap()  # the order of bytes is turned where only the other one fits
        if int(grey.max()) >> view.bits:
            raise DataError(f"{path}: grey levels of more than BITS_PER_PIXEL {view.bits}")
        levels = np.arange(2**16, dtype=np.float64)
        if study.scanner == "DBA":
            levels = np.log10(np.maximum(levels, 1))
        density = start + slope * levels
        shown = np.clip((HIGHEST - density) / (HIGHEST - LOWEST), 0, 1)
        return np.asarray(shown.astype(np.float32)[grey])

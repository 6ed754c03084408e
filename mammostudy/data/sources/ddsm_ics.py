"""DDSM's ``.ics`` files: one a study, with the scanner and the size of each of its four views."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammostudy.data.sources.owner_files import read_text, size_fault
from mammostudy.errors import DataError

MOST_BYTES: Final = 64_000  # published files have under 1 kB
VIEWS: Final = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
SITES: Final = {"A": "MGH", "B": "WFU", "C": "WFU", "D": "ISMD"}
"""By the first letter of a study: Massachusetts General, Wake Forest, and the third centre."""
SCANNERS: Final = ("DBA", "HOWTEK", "LUMISYS")
_NAME: Final = re.compile(r"([A-D])-(\d{4})-(\d)")
_LARGEST_PITCH: Final = 1000.0  # micrometres


@dataclass(frozen=True)
class View:
    """One film of a study.

    Attributes:
        name: one of :data:`VIEWS`.
        rows: LINES.
        columns: PIXELS_PER_LINE.
        bits: BITS_PER_PIXEL, 8 to 16.
        spacing_mm: RESOLUTION, written in micrometres; None where it is 0.
        overlay: whether the file says that abnormalities were drawn; None where it does not say.
    """

    name: str
    rows: int
    columns: int
    bits: int
    spacing_mm: float | None
    overlay: bool | None


@dataclass(frozen=True)
class Study:
    """A study: the films of one patient.

    Attributes:
        stem: what its other files' names start with: ``B_3030_1`` of ``B-3030-1.ics``.
        patient: ``B_3030``.
        named: the field ``filename``, which should be the file's own name.
        site: one of :data:`SITES`.
        scanner: one of :data:`SCANNERS`, or ``unknown``.
        views: by name.
    """

    stem: str
    patient: str
    named: str
    site: str
    scanner: str
    views: dict[str, View]


def read_ics(path: Path) -> Study:
    """Read one ``.ics`` file.

    Raises:
        DataError: its name or a field of it cannot be used; the message names the field.

    Source:
        The layout is that of ``read_ics_file`` of the owners' detection software (Heath 2000).
    """
    parts = _NAME.fullmatch(path.stem)
    if parts is None:
        msg = f"{path}: the name is not <letter>-<number>-<study>.ics, as B-3030-1.ics; rename it"
        raise DataError(msg)
    lines = [line.split() for line in read_text(path, MOST_BYTES).splitlines() if line.strip()]
    if lines[:1] != [["ics_version", "1.0"]]:
        raise _fault(path, "ics_version", "is not 1.0")
    letter, number, _ = parts.groups()
    views: dict[str, View] = {}
    for words in lines:
        if words[0] in VIEWS:
            if words[0] in views:
                raise _fault(path, words[0], "stands twice")
            views[words[0]] = _view(path, words)
    if not views:
        raise _fault(path, "LEFT_CC", "and the other views are missing")
    return Study(
        stem=path.stem.replace("-", "_"),
        patient=f"{letter}_{number}",
        named=_one(path, lines, "filename"),
        site=SITES[letter],
        scanner=_scanner(lines),
        views=views,
    )


def _fault(path: Path, field: str, what: str) -> DataError:
    return DataError(f"{path}: field {field} {what}; copy the file anew")


def _one(path: Path, lines: list[list[str]], field: str) -> str:
    found = [words[1] for words in lines if words[0] == field and len(words) > 1]
    if len(found) != 1:
        raise _fault(path, field, f"stands there {len(found)} times")
    return found[0]


def _scanner(lines: list[list[str]]) -> str:
    said = {word.upper() for words in lines if words[0] == "DIGITIZER" for word in words[1:]}
    known = [name for name in SCANNERS if name in said]
    return known[0] if len(known) == 1 else "unknown"


def _view(path: Path, words: list[str]) -> View:
    name = words[0]
    numbers = {}
    for field in ("LINES", "PIXELS_PER_LINE", "BITS_PER_PIXEL", "RESOLUTION"):
        at = words.index(field) + 1 if words.count(field) == 1 else len(words)
        pattern = r"\d{1,4}(\.\d{1,6})?" if field == "RESOLUTION" else r"\d{1,9}"
        if at >= len(words) or not re.fullmatch(pattern, words[at]):
            raise _fault(path, f"{name} {field}", "is missing or no number")
        numbers[field] = float(words[at])
    rows, columns, bits = (int(numbers[f]) for f in ("LINES", "PIXELS_PER_LINE", "BITS_PER_PIXEL"))
    if (fault := size_fault(rows, columns)) is not None:
        raise _fault(path, f"{name} LINES and PIXELS_PER_LINE", f"are wrong: {fault}")
    if not 8 <= bits <= 16:
        raise _fault(path, f"{name} BITS_PER_PIXEL", f"is {bits}, not 8 to 16")
    pitch = numbers["RESOLUTION"]
    if pitch > _LARGEST_PITCH:
        raise _fault(path, f"{name} RESOLUTION", f"is {pitch:g}, which is no pitch in micrometres")
    spacing = pitch / 1000 if math.isfinite(pitch) and pitch > 0 else None
    overlay = {"OVERLAY": True, "NON_OVERLAY": False}.get(words[-1])
    return View(name, rows, columns, bits, spacing, overlay)

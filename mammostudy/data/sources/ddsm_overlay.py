"""DDSM's ``.OVERLAY`` files: what the radiologist drew on one film, with its words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.sources.ddsm_chain import decode_chain
from mammostudy.data.sources.owner_files import read_text
from mammostudy.errors import DataError

MOST_BYTES: Final = 1_000_000  # published files have under 200 kB
SHAPES: Final = (
    "IRREGULAR", "LOBULATED", "OVAL", "ROUND", "ARCHITECTURAL_DISTORTION", "TUBULAR",
    "LYMPH_NODE", "ASYMMETRIC_BREAST_TISSUE", "FOCAL_ASYMMETRIC_DENSITY", "N/A",
)  # fmt: skip
MARGINS: Final = (
    "CIRCUMSCRIBED", "ILL_DEFINED", "MICROLOBULATED", "OBSCURED", "SPICULATED", "N/A",
)  # fmt: skip
PATHOLOGY: Final = {
    "MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign",
    "UNPROVEN": "unknown",
}  # fmt: skip
_KINDS: Final = ("MASS", "CALCIFICATION", "OTHER")
_HEADER: Final = ("LESION_TYPE", "ASSESSMENT", "SUBTLETY", "PATHOLOGY", "TOTAL_OUTLINES")


@dataclass
class Abnormality:
    """One abnormality of a film.

    Attributes:
        number: ABNORMALITY.
        mass: whether one of its (one or two) lesion types is MASS.
        shapes: words of SHAPE, in the file's order; a compound has several, joined by ``-`` there.
        margins: words of MARGINS.
        pathology: benign, malignant or unknown; a word that is missing is unknown.
        stated: TOTAL_OUTLINES.
        boundaries: pixels of each BOUNDARY, int ``(k, 2)`` of x and y (see :mod:`.ddsm_chain`).
        cores: how many inner outlines (CORE) follow.
    """

    number: int
    mass: bool = False
    shapes: list[str] = field(default_factory=list)
    margins: list[str] = field(default_factory=list)
    pathology: str = "unknown"
    stated: int | None = None
    boundaries: list[NDArray[np.int64]] = field(default_factory=list)
    cores: int = 0


def read_overlay(path: Path) -> list[Abnormality]:
    """Read the abnormalities of one film.

    Returns:
        As many as TOTAL_ABNORMALITIES says; may be none.

    Raises:
        DataError: a field or chain code of the file cannot be used; the message names its line.
    """
    lines = _Lines(path)
    total = lines.whole("TOTAL_ABNORMALITIES")
    found = []
    while not lines.ended:
        abnormality = Abnormality(lines.whole("ABNORMALITY"))
        while not lines.ended and lines.word in _HEADER:
            _header(lines, abnormality)
        while not lines.ended and lines.word in ("BOUNDARY", "CORE"):
            _outline(lines, abnormality)
        if abnormality.stated is None:
            raise lines.fault("TOTAL_OUTLINES", "is missing")
        found.append(abnormality)
    numbers = [abnormality.number for abnormality in found]
    if len(found) != total or len(set(numbers)) != total:
        raise lines.fault("TOTAL_ABNORMALITIES", f"is {total}, but ABNORMALITY stands as {numbers}")
    return found


class _Lines:
    """The lines of a file that are not blank, read one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = read_text(path, MOST_BYTES)
        numbered = ((k, line.split()) for k, line in enumerate(text.splitlines(), start=1))
        self._lines = [(number, words) for number, words in numbered if words]
        self._at = 0
        self.number = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._lines)

    @property
    def word(self) -> str:
        """The first word of the line that is next; empty at the end."""
        return "" if self.ended else self._lines[self._at][1][0]

    def next(self) -> list[str]:
        """Read the line that is next; :attr:`number` is its number then."""
        self.number, words = self._lines[self._at]
        self._at += 1
        return words

    def whole(self, keyword: str) -> int:
        """Read the line that is next, which must be a keyword and a whole number."""
        words = [] if self.ended else self.next()
        if words[:1] != [keyword]:
            raise self.fault(keyword, "is missing here")
        if len(words) != 2 or not re.fullmatch(r"[0-9]{1,3}", words[1]):
            raise self.fault(keyword, "is no whole number below 1000")
        return int(words[1])

    def fault(self, keyword: str, what: str) -> DataError:
        place = f"{self.path}: line {self.number}, {keyword}"
        return DataError(f"{place} {what}; copy the file anew")


def _header(lines: _Lines, abnormality: Abnormality) -> None:
    keyword = lines.word
    if keyword == "TOTAL_OUTLINES":
        if abnormality.stated is not None:
            raise lines.fault(keyword, "stands twice")
        abnormality.stated = lines.whole(keyword)
        return
    words = lines.next()
    if keyword == "PATHOLOGY" and len(words) > 1:
        if words[1] not in PATHOLOGY:
            raise lines.fault(keyword, f"is not one of {', '.join(PATHOLOGY)}")
        abnormality.pathology = PATHOLOGY[words[1]]
    elif keyword == "LESION_TYPE":
        if words[1:2] == [] or words[1] not in _KINDS:
            raise lines.fault(keyword, f"is not one of {', '.join(_KINDS)}")
        if words[1] == "MASS":
            abnormality.mass = True
            abnormality.shapes += _words_after(words, "SHAPE")
            abnormality.margins += _words_after(words, "MARGINS")


def _words_after(words: list[str], keyword: str) -> list[str]:
    """Split the word behind a keyword at its hyphens; nothing where there is none."""
    at = words.index(keyword) + 1 if keyword in words else len(words)
    return words[at].split("-") if at < len(words) else []


def _outline(lines: _Lines, abnormality: Abnormality) -> None:
    keyword = lines.word
    lines.next()
    code: list[str] = []
    while not lines.ended and (lines.word[0].isdigit() or lines.word == "#"):
        code += lines.next()
        if code[-1] == "#":
            break
    try:
        pixels = decode_chain(code)
    except DataError as error:
        raise lines.fault(keyword, f"of abnormality {abnormality.number}: {error}") from None
    if keyword == "BOUNDARY":
        abnormality.boundaries.append(pixels)
    else:
        abnormality.cores += 1

"""Errors that a user can cause, and mend: one message that names the place and the fix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_VALUES: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[\d/]\S*")  # quoted text, numbers, paths


class StudyError(Exception):
    """Base of every error with a message meant for the user; the command line prints it alone."""

    code = 2  # of the command's exit

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows of it: the message alone."""
        return [f"{type(self).__name__}: {self}"]


class DataError(StudyError):
    """A file, manifest, cohort, mask or box that cannot be used as it is."""


class MissingDataError(DataError):
    """A cohort whose folder is not on this machine; its committed records can still be shown."""


class SpecError(StudyError):
    """A setting that is unknown, ill-typed or at odds with another one."""


class BookError(StudyError):
    """Settings of the book that cannot be used, or a page that could not be executed."""


class UnbuiltError(BookError):
    """A book that was started and not finished: the fault of a page."""

    code = 1


def first(items: Iterable[object], count: int = 3) -> str:
    """Name the first things, and count the others."""
    names = [str(item) for item in items]
    more = f" and {len(names) - count:,} more" if names[count:] else ""
    return ", ".join(names[:count]) + more


def grouped(faults: Iterable[tuple[str, str]], then: str = ", ", kinds: int = 20) -> list[str]:
    """Return a line a kind of fault: its first three places, and what is said of the first.

    Faults (place, words) are of one kind where their words differ in numbers, paths and quoted text
    alone.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for place, words in faults:
        found.setdefault(_VALUES.sub("", words[:500]), []).append((place, words[:500]))
    lines = [first(dict(those)) + then + those[0][1] for those in found.values()]
    more = [f"{len(lines) - kinds:,} more kinds of fault"] if lines[kinds:] else []
    return lines[:kinds] + more

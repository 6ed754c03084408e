"""The chapters of the book that stand on runs, and what each asks of its cohort."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Final

from mammostudy.data.cohort import require
from mammostudy.data.descriptors import describe
from mammostudy.errors import DataError
from mammostudy.figures.pictures import at_hand

CHAPTERS: Final = (
    "data", "detection", "cropping", "segmenters", "losses", "postprocessing", "failures",
    "shapes", "roc", "subtypes", "chain", "claims", "uncertainty", "transfer", "leak",
)  # fmt: skip
"""In the order in which they are read."""
CHAPTER_TASKS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(CHAPTERS, ("name", ("segmentation",))),
    "detection": ("views", ("detection",)),
    "chain": ("views", ("detection", "segmentation")),
    **dict.fromkeys(("shapes", "roc"), ("shapes", ("shape",))),
    "subtypes": ("shapes", ("shape", "subtype")),
    "transfer": ("name", ()),
}
"""Which companion of the cohort must serve a chapter, and the chapter's tasks."""


def unfit(cohort: str, chapters: Sequence[str] = CHAPTERS) -> dict[str, str]:
    """Return the chapters that a cohort cannot serve, with the reason; none if it is not here."""
    look, found = cache(at_hand), dict[str, str]()
    for chapter in chapters:
        companion, tasks = CHAPTER_TASKS.get(chapter, ("name", ()))
        for study, task in product((False, True), tasks):  # columns first, then numbers
            if (loaded := look(getattr(describe(cohort), companion))) is None:
                return {}
            try:
                require(loaded, task, study=study)
            except DataError as error:
                found.setdefault(chapter, str(error))
    return found


def fit_chapters(asked: Sequence[str], cohort: str) -> tuple[list[str], dict[str, str]]:
    """Return the chapters that a cohort can serve, and why it cannot serve the others."""
    chapters = list(asked or CHAPTERS)
    faults = unfit(cohort, chapters)
    fit = [name for name in chapters if name not in faults]
    if faults and (asked or not any(CHAPTER_TASKS[name][1] for name in fit)):
        name, why = next(iter(faults.items()))
        raise DataError(f"chapter {name!r}: {why}")
    return fit, faults

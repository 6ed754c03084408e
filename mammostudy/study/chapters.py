"""The chapters of the book that stand on runs, and what each asks of its cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mammostudy.data.cohort import require
from mammostudy.data.descriptors import describe
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError, MissingDataError

CHAPTERS: Final = (
    "data", "detection", "cropping", "segmenters", "losses", "postprocessing", "failures",
    "shapes", "roc", "subtypes", "chain", "claims", "uncertainty", "transfer", "leak",
)  # fmt: skip
"""In the order in which they are read."""
CHAPTER_TASKS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(CHAPTERS, ("name", ("segmentation",))),
    **dict.fromkeys(("detection", "chain"), ("views", ("detection",))),
    **dict.fromkeys(("shapes", "roc"), ("shapes", ("shape",))),
    "subtypes": ("shapes", ("shape", "subtype")),
    "transfer": ("name", ()),
}
"""Which companion of the cohort must serve a chapter, and the chapter's tasks."""


def unfit(chapter: str, cohort: str) -> str | None:
    """Say why a cohort cannot serve a chapter, by the task and the columns; None where it can."""
    companion, tasks = CHAPTER_TASKS.get(chapter, ("name", ()))
    try:
        for task in tasks:
            require(load_cohort(getattr(describe(cohort), companion)), task)
    except MissingDataError:
        raise
    except DataError as error:
        return str(error)
    return None


def fit_chapters(asked: Sequence[str], cohort: str) -> tuple[list[str], dict[str, str]]:
    """Return the chapters that a cohort can serve, and why it cannot serve the others."""
    chapters = list(asked or CHAPTERS)
    faults = {name: why for name in chapters if (why := unfit(name, cohort)) is not None}
    fit = [name for name in chapters if name not in faults]
    if faults and (asked or not any(CHAPTER_TASKS[name][1] for name in fit)):
        name, why = next(iter(faults.items()))
        msg = f"chapter {name!r}: {why}"
        raise DataError(msg)
    return fit, faults

"""Which task a chapter sets a cohort, and the refusal of a chapter that its cohort cannot serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mammostudy.data.cohort import load_cohort
from mammostudy.data.tasks import require
from mammostudy.errors import DataError, MissingDataError
from mammostudy.study.chapters import CHAPTERS
from mammostudy.study.detect_recipes import detect_cohort
from mammostudy.study.shape_recipes import shape_cohort


def _itself(cohort: str) -> str:
    return cohort


CHAPTER_TASKS: Final[dict[str, tuple[tuple[str, ...], Callable[[str], str]]]] = {
    "data": (("segmentation",), _itself),
    "detection": (("detection",), detect_cohort),
    "cropping": (("segmentation",), _itself),
    "losses": (("segmentation",), _itself),
    "uncertainty": (("segmentation",), _itself),
    "postprocessing": (("segmentation",), _itself),
    "failures": (("segmentation",), _itself),
    "shapes": (("shape",), shape_cohort),
    "roc": (("shape",), shape_cohort),
    "subtypes": (("shape", "subtype"), shape_cohort),
    "chain": (("detection",), detect_cohort),
    "leak": (("segmentation",), _itself),
    "claims": (("segmentation",), _itself),
}
"""Tasks of a chapter, and the cohort that serves them for the page's; others ask for nothing."""


def unfit(chapter: str, cohort: str) -> str | None:
    """Say why a cohort cannot serve a chapter, by the task and the columns; None where it can.

    Raises:
        MissingDataError: the cohort is not at hand.
    """
    tasks, cohort_of = CHAPTER_TASKS.get(chapter, ((), _itself))
    for task in tasks:
        try:
            require(load_cohort(cohort_of(cohort)), task)
        except MissingDataError:
            raise
        except DataError as error:
            return str(error)
    return None


def fit_chapters(asked: Sequence[str], cohort: str) -> tuple[list[str], dict[str, str]]:
    """Return the chapters that a cohort can serve, and why it cannot serve the others.

    Args:
        asked: chapters; none means all, of which some may be left out.
        cohort: the page's cohort.

    Raises:
        DataError: the cohort cannot serve a chapter that was asked for, or none of all.
    """
    chapters = list(asked or CHAPTERS)
    faults = {name: why for name in chapters if (why := unfit(name, cohort)) is not None}
    fit = [name for name in chapters if name not in faults]
    if faults and (asked or not set(fit) & set(CHAPTER_TASKS)):
        name, why = next(iter(faults.items()))
        msg = f"chapter {name!r}: {why}"
        raise DataError(msg)
    return fit, faults

"""What each task needs of a cohort, and the refusal of one that lacks it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from mammostudy.data.cohort import Cohort
from mammostudy.data.cohort_names import SOURCES
from mammostudy.data.outline_cohort import OutlineCohort
from mammostudy.errors import DataError

TASKS: Final[dict[str, tuple[str, ...]]] = {
    "detection": ("image", "x_min", "y_min", "x_max", "y_max"),
    "segmentation": ("image", "x_min", "y_min", "x_max", "y_max", "mask|outline"),
    "shape": ("mask|outline", "shape"),
    "subtype": ("shape", "subtype"),
}
"""Columns that at least one mass must have filled; ``a|b`` is one of the two in the same row."""
VARIED: Final = ("shape", "subtype")  # a class alone cannot be told from another


def needed(name: str, task: str) -> tuple[str, ...]:
    """Return the columns that a task needs, where a source does not say otherwise by ``TASKS``.

    Args:
        name: the cohort.
        task: a name of :data:`TASKS`.

    Raises:
        DataError: the task is unknown.
    """
    if task not in TASKS:
        msg = f"task {task!r} is unknown; use {', '.join(TASKS)}"
        raise DataError(msg)
    own: dict[str, tuple[str, ...]] = {}
    if name in SOURCES:
        own = getattr(import_module(f"mammostudy.data.sources.{SOURCES[name]}"), "TASKS", {})
    return own.get(task, TASKS[task])


def lacking(cohort: Cohort, task: str) -> list[str]:
    """Return what a cohort lacks for a task, in words; nothing where it can be used.

    A row counts only where all columns of the task are filled in it.

    Raises:
        DataError: the task is unknown.
    """
    columns = needed(cohort.name, task)
    if isinstance(cohort, OutlineCohort):  # its outlines are no column, and its images no files
        columns = tuple(name for name in columns if name != "mask|outline")
        if "image" in columns:
            return ["image (it has outlines only)"]
    of_masses = "x_min" in columns or "mask|outline" in columns
    rows = cohort.masses if of_masses and len(cohort) else cohort.manifest
    filled = rows["case"].notna()
    lacks = []
    for column in columns:
        here = rows.reindex(columns=column.split("|")).notna().any(axis=1)
        filled &= here
        if not here.any():
            lacks.append(column.replace("|", " or "))
    if not lacks and not filled.any():
        return [f"a row with {', '.join(column.replace('|', ' or ') for column in columns)}"]
    lacks += [
        f"{column} (one value only; two or more are needed)"
        for column in columns
        if column in VARIED and column not in lacks and rows[column][filled].nunique() < 2
    ]
    return lacks


def tasks_of(cohort: Cohort) -> list[str]:
    """Return the tasks that a cohort can be used for."""
    return [task for task in TASKS if not lacking(cohort, task)]


def require(cohort: Cohort, task: str) -> None:
    """Refuse a cohort that lacks what a task needs.

    Raises:
        DataError: naming the cohort, the task and the columns; or the task is unknown.
    """
    if lacks := lacking(cohort, task):
        fit = ", ".join(tasks_of(cohort)) or "no task"
        msg = (
            f"{cohort.name}: cannot be used for {task}: no mass has {'; '.join(lacks)}; fill the "
            f"column(s) of its manifest or choose another cohort (this one is fit for: {fit})"
        )
        raise DataError(msg)

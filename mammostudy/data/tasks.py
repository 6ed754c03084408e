"""Whether a cohort has what a task needs, and the refusal of one that lacks it."""

from __future__ import annotations

from typing import Final

import numpy as np

from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import TASKS, describe
from mammostudy.data.outline_cohort import OutlineCohort
from mammostudy.errors import DataError

VARIED: Final = ("shape", "subtype")  # a class alone cannot be told from another


def needed(name: str, task: str) -> tuple[str, ...]:
    """Return the columns that a task needs of a cohort; refuse an unknown task."""
    if task not in TASKS:
        msg = f"task {task!r} is unknown; use {', '.join(TASKS)}"
        raise DataError(msg)
    return describe(name).needs.get(task, TASKS[task])


def lacking(cohort: Cohort, task: str) -> list[str]:
    """Return what a cohort lacks for a task, in words; nothing where it can be used.

    A row counts only where all columns of the task are filled in it.
    """
    columns = needed(cohort.name, task)
    if isinstance(cohort, OutlineCohort):  # its outlines are no column, and its images no files
        columns = tuple(name for name in columns if name != "mask|outline")
        if "image" in columns:
            return ["image (it has outlines only)"]
    of_masses = "x_min" in columns or "mask|outline" in columns
    rows = cohort.masses if of_masses and len(cohort) else cohort.manifest
    filled = {name: rows.reindex(columns=name.split("|")).notna().any(axis=1) for name in columns}
    in_words = {name: name.replace("|", " or ") for name in columns}
    whole = rows[np.logical_and.reduce(list(filled.values()))]
    lacks = [in_words[name] for name in columns if not filled[name].any()]
    if not lacks and whole.empty:
        return [f"a row with {', '.join(in_words.values())}"]
    return lacks + [
        f"{name} (one value only; two or more are needed)"
        for name in columns
        if name in VARIED and filled[name].any() and whole[name].nunique() < 2
    ]


def tasks_of(cohort: Cohort) -> list[str]:
    """Return the tasks that a cohort can be used for."""
    return [task for task in TASKS if not lacking(cohort, task)]


def require(cohort: Cohort, task: str) -> None:
    """Raise DataError, with cohort, task and columns, where a cohort lacks what a task needs."""
    if lacks := lacking(cohort, task):
        fit = ", ".join(tasks_of(cohort)) or "no task"
        msg = (
            f"{cohort.name}: cannot be used for {task}: no mass has {'; '.join(lacks)}; fill the "
            f"column(s) of its manifest or choose another cohort (this one is fit for: {fit})"
        )
        raise DataError(msg)

"""The ladder from the released code over the paper's text to our recipe, one field a rung.

First fold, one training a rung: what a step shows is that training's luck as well as the field.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import holm
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import printed, tables
from mammostudy.study.adversary_recipes import ladder


def rungs(cohort: str, preset: str) -> tuple[str, ...]:
    """Return the names of the rungs in order; none where the preset has no room."""
    return tuple(ladder(cohort, preset))


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records by rung."""
    return tables.records_of(ladder(cohort, preset), preset)


def absent(found: dict[str, list[Record]], cohort: str, preset: str) -> list[str]:
    """Return the rungs without a record, in quotes: their names are phrases."""
    return [f"“{name}”" for name in tables.not_run(ladder(cohort, preset), found)]


def fields(before: RunSpec, after: RunSpec) -> list[str]:
    """Return the fields in which two runs differ, ``loss.overlap``; what is measured is none."""
    apart = []
    parts = (one.model_dump(exclude={"variant", "evaluation"}) for one in (before, after))
    first, second = parts
    for name, value in first.items():
        if isinstance(value, dict):
            changed = (key for key in value if value[key] != second[name][key])
            apart += [f"{name}.{key}" for key in changed]
        elif value != second[name]:
            apart.append(name)
    return apart


def rows(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return the test rows on oracle boxes, before post-processing; ``row`` is the rung."""
    return tables.chosen(tables.rows_of(found))


def table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise Dice by rung (see :func:`mammostudy.study.tables.summarise`)."""
    return tables.summarise(stacked, ("dice",))


def steps(stacked: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Test every rung against the one before, over patients.

    Args:
        stacked: from :func:`rows`.
        names: the rungs in order.

    Returns:
        A row a step whose two rungs are on record: row (the upper rung), the fields of
        :class:`mammostudy.evaluation.statistics.PairedTest`, adjusted (p of the permutation test
        after Holm's correction over the steps), unsettled (rungs that had not converged).
    """
    known = set(stacked["row"])
    out: list[dict[str, Any]] = []
    for before, name in itertools.pairwise(names):
        if not {before, name} <= known:
            continue
        test = tables.paired(stacked, name, before, "dice")
        flags = stacked[stacked["row"].isin([before, name])].groupby("row", sort=False)
        loose = [str(row) for row, each in flags["converged"] if each.eq(False).any()]
        out.append({"row": name, **vars(test), "unsettled": "; ".join(loose)})
    found = pd.DataFrame(out)
    return found.assign(adjusted=holm(found["p_permutation"])) if len(found) else found


def printed_table(
    summary: pd.DataFrame, tests: pd.DataFrame, cohort: str, preset: str
) -> pd.DataFrame:
    """Lay out rungs and steps, a row a rung, run or not.

    Args:
        summary: from :func:`table`.
        tests: from :func:`steps`.
        cohort: of the page.
        preset: of the page.
    """
    named = ladder(cohort, preset)
    names = list(named)
    wide = pd.DataFrame(
        [
            {"rung": row["row"], "Dice": printed.cell_of(row), "converged": row["converged"]}
            for _, row in summary.iterrows()
        ],
        columns=["rung", "Dice", "converged"],
    )
    step = printed.tests_table(tests, {"row": "rung"})
    if len(tests):
        step["p, Holm"] = tests["adjusted"].map(printed.p_value)
    full = printed.with_absent(wide, [(name,) for name in names], ["rung"])
    before = [None, *names][: len(names)]
    changed = [
        ", ".join(fields(named[one][0], named[name][0])) if one else printed.MISSING
        for one, name in zip(before, names, strict=True)
    ]
    full.insert(1, "field", changed)
    full = full.merge(step.astype(object), how="left", on="rung")
    if names:
        full.loc[0, list(step.columns[1:])] = printed.MISSING
    return full.where(full.notna(), printed.NOT_RUN)


def noise(parts: pd.DataFrame) -> float:
    """Return the SD of a step from the luck of two trainings alone; NaN where no row has two.

    Args:
        parts: :func:`mammostudy.study.adversary.variances`; the rows of scores, not of gains.

    Returns:
        ``sqrt(2 v)``, where ``v`` is the variance of a training's mean over the patients at hand:
        that between trainings and, over the patients, that of the rest; the mean of the rows.
    """
    scores = parts[~parts["row"].str.contains(" minus ")] if len(parts) else parts
    if scores.empty:
        return float("nan")
    one = scores["seed_sd"] ** 2 + scores["rest_sd"] ** 2 / scores["patients"]
    return float(np.sqrt(2 * one.mean()))

"""Whose masks: the classes and patients behind a page, who drew a mask, and with which tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError, MissingDataError
from mammostudy.runs.shape_spec import SOURCES, TOOLS
from mammostudy.study import fingerprint, printed, shape_recipes, shape_tables
from mammostudy.study.shape_tables import Found

TOOL_CLASSIFIER: Final = "tool"
SUBSETS: Final = {"every tool": None, "polygon": "polygon", "circle and ellipse": "other"}
_TEST: Final = ("learnt from", "tested on")


def class_counts(rows: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count the masks and patients of each class, and of each drawing tool where there is one.

    Args:
        rows: pooled test rows of all folds: every mask stands there once.
        classes: names of the classes.

    Returns:
        A row a class and one for all: class, masks, patients, and ``<tool>: masks (patients)``.
    """
    tools = [tool for tool in TOOLS if (rows["tool"] == tool).any()] if len(rows) else []
    out = []
    for name in (*classes, "all"):
        mine = rows if name == "all" else rows[rows["label"] == name]
        row: dict[str, Any] = {
            "class": name, "masks": len(mine), "patients": mine["patient"].nunique()
        }  # fmt: skip
        for tool in tools:
            drawn = mine[mine["tool"] == tool]
            row[tool] = f"{len(drawn)} ({drawn['patient'].nunique()})"
        out.append(row)
    return pd.DataFrame(out)


def dropped(cohort: str) -> dict[str, int]:
    """Return what the cohort of masks leaves out, by reason; empty without the data."""
    try:
        loaded = load_cohort(shape_recipes.shape_cohort(cohort))
    except MissingDataError:
        return {}
    counts = getattr(loaded, "dropped", None)
    return {str(reason): int(n) for reason, n in dict(counts).items()} if counts else {}


def with_pixels(cohort: str) -> dict[str, int]:
    """Return the masses with pixels of the page's own cohort by shape; empty where unknown."""
    if shape_recipes.shape_cohort(cohort) == cohort or cohort.startswith("phantom"):
        return {}
    try:
        counts = fingerprint.fingerprint(cohort)["counts"].get("shape", {})
    except DataError:
        return {}
    known = {str(name): int(n["masses"]) for name, n in counts.items() if name != "unknown"}
    return known if sum(known.values()) else {}


def cross_table(found: Found, classes: Sequence[str]) -> pd.DataFrame:
    """Score the classifiers trained on masks of each source on the masks of every source.

    Returns:
        A row a pair: trained, tested, and the fields of
        :func:`mammostudy.study.shape_tables.scores`.
    """
    out = []
    for trained, records in found.items():
        for tested in SOURCES:
            rows = shape_tables.pooled(records, source=tested)
            if len(rows):
                scored = shape_tables.scores(rows, classes)
                out.append({"trained": trained, "tested": tested, **scored})
    return pd.DataFrame(out, columns=None if out else ["trained", "tested"])


def tool_table(found: Found, classes: Sequence[str]) -> pd.DataFrame:
    """Score the classifiers trained on all or some drawing tools on the masks of each tool.

    Returns:
        A row a pair: trained, tested, the fields of
        :func:`mammostudy.study.shape_tables.scores`, and ``behind`` (patients of each class).
    """
    out = []
    for trained, records in found.items():
        for tested, tool in SUBSETS.items():
            rows = shape_tables.pooled(records, tool=tool)
            if trained == TOOL_CLASSIFIER or rows.empty:
                continue
            patients = rows.groupby("label")["patient"].nunique()
            behind = ", ".join(f"{patients.get(name, 0)} {name}" for name in classes)
            scored = shape_tables.scores(rows, classes)
            out.append({"trained": trained, "tested": tested, **scored, "behind": behind})
    return pd.DataFrame(out, columns=None if out else ["trained", "tested"])


def printed_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`cross_table` or :func:`tool_table` for the eye."""
    out = []
    for _, row in table.iterrows():
        cells = {
            heading: printed.cell(row[name], row[f"{name}_low"], row[f"{name}_high"])
            for name, heading in (("accuracy", "accuracy"), ("macro_recall", "macro recall"))
        }
        counts = {name: row[name] for name in ("missed", "patients", "folds")}
        pair = dict(zip(_TEST, (row["trained"], row["tested"]), strict=True))
        behind = {"patients of each class": row["behind"]} if "behind" in table else {}
        out.append({**pair, **cells, "masks": row["cases"], **counts, **behind})
    return pd.DataFrame(out)


def tool_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """Guess the shape from the drawing tool alone.

    The shape guessed for a tool is the commonest among the masks of that tool in the other folds:
    patients that the fold does not hold. A tool that they do not know gets their commonest shape.

    Args:
        rows: pooled test rows of all folds, with ``tool``.

    Returns:
        The rows with ``predicted`` and ``right`` of the rule; none without tools or with one fold.
    """
    if rows.empty or (rows["tool"] == "").all() or rows["fold"].nunique() < 2:
        return rows.iloc[:0]
    parts = []
    for fold, mine in rows.groupby("fold"):
        others = rows[rows["fold"] != fold]
        rule = {tool: _commonest(each["label"]) for tool, each in others.groupby("tool")}
        guess = mine["tool"].map(rule).fillna(_commonest(others["label"]))
        parts.append(mine.assign(predicted=guess, missed=False, right=guess == mine["label"]))
    return pd.concat(parts, ignore_index=True)


def _commonest(labels: pd.Series) -> str:
    counts = labels.value_counts()
    return str(sorted(counts.index[counts == counts.max()])[0])


def tool_scores(found: Found, classes: Sequence[str]) -> pd.DataFrame:
    """Score how well a mask gives its tool away, and its tool the shape.

    Returns:
        Rows ``tool from the mask`` (classes: the tools), ``shape from the tool alone`` and ``shape
        from the mask``, with the fields of :func:`mammostudy.study.shape_tables.scores`; a row
        without records is left out.
    """
    out = []
    by_tool = found.get(TOOL_CLASSIFIER) or []
    if by_tool:
        scored = shape_tables.scores(shape_tables.pooled(by_tool), by_tool[0].spec.classes)
        out.append({"row": "tool from the mask", **scored})
    shape_records = next((r for name, r in found.items() if name != TOOL_CLASSIFIER and r), [])
    rows = shape_tables.pooled(shape_records)
    rule = tool_rule(rows)
    if len(rule):
        out.append({"row": "shape from the tool alone", **shape_tables.scores(rule, classes)})
        out.append({"row": "shape from the mask", **shape_tables.scores(rows, classes)})
    return pd.DataFrame(out, columns=None if out else ["row"])


def printed_tool_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`tool_scores` for the eye."""
    out = [
        {
            "what is guessed": row["row"],
            "accuracy": printed.cell(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
            "macro recall": printed.cell(
                row["macro_recall"], row["macro_recall_low"], row["macro_recall_high"]
            ),
            "masks": row["cases"],
            "patients": row["patients"],
            "folds": row["folds"],
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(out)


def round_oval_mistakes(rows: pd.DataFrame) -> tuple[int, int]:
    """Count round masks called oval or the reverse, and the round and oval masks there are."""
    pair = ("round", "oval")
    mine = rows[rows["label"].isin(pair)]
    crossed = mine["predicted"].isin(pair) & (mine["predicted"] != mine["label"])
    return int(np.count_nonzero(crossed)), len(mine)

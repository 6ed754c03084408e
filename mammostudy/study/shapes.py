"""Shape from the mask: how classifiers are scored and compared, and whose masks they learnt from.

The runs stand in :mod:`mammostudy.study.shape_recipes`. A case whose mask was missed is predicted
``none``: it counts as wrong in every score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.errors import MissingDataError
from mammostudy.evaluation.association import (
    MISSED,
    confusion_intervals,
    macro_recall_test,
    patient_confusions,
)
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.runs.kinds import SOURCES, TOOLS, ShapeSpec
from mammostudy.runs.masks import mask_set
from mammostudy.runs.record import Record
from mammostudy.study import published
from mammostudy.study.comparing import Runs, compare, judge, unsettled
from mammostudy.study.recipes import is_phantom
from mammostudy.study.shape_recipes import GROUPS, PAPER, STUDY, TOOL, rows_of

NETWORKS: Final = (PAPER, STUDY)
SCORES: Final = ("accuracy", "macro recall", "macro F1", "kappa")
MARGIN: Final = 0.05
"""The smallest difference in accuracy or macro recall that matters."""
SUBSETS: Final = {"every tool": TOOLS, "polygon": TOOLS[2:], "circle and ellipse": TOOLS[:2]}
_COLUMNS: Final = (
    "part", "case", "patient", "site", "source", "tool", "missed", "label", "predicted", "fold",
    "replicate", "converged", "right", "row",
)  # fmt: skip


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[ShapeSpec]]:
    """Return the runs of the page by group and row."""
    named = {group: rows_of(cohort, preset, group) for group in GROUPS}
    return {(group, row): runs for group in GROUPS for row, runs in named[group].items()}


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return every run that the page shows, each once."""
    return list(dict.fromkeys(run for runs in grid(cohort, preset).values() for run in runs))


def pooled(records: Sequence[Record], source: str | None = None) -> pd.DataFrame:
    """Stack the test rows of the folds of one classifier.

    Args:
        records: a record a fold, of one recipe.
        source: the masks it was asked about; None takes the first source of each record's spec.

    Returns:
        The columns of the record's cases and fold, replicate (0), converged, ``p_<class>``
        (calibrated), ``raw_<class>`` (temperature 1) and right.
    """
    stacked = [pd.DataFrame(columns=list(_COLUMNS))]
    for record in records:
        asked, cases = source or record.spec.evaluation.sources[0], record.cases
        rows = cases[(cases["part"] == "test") & (cases["source"] == asked)].reset_index(drop=True)
        rows["tool"] = rows["tool"].fillna("").astype(str)
        rows["missed"] = rows["missed"].astype(bool)
        for prefix, temperature in (("p", record.temperature or 1.0), ("raw", 1.0)):
            found = apply_temperature(record.logits(rows), temperature)
            rows[[f"{prefix}_{name}" for name in record.spec.classes]] = found
        beside = {"fold": record.spec.split.fold, "replicate": 0, "converged": record.converged}
        stacked.append(rows.assign(**beside, right=rows["label"] == rows["predicted"]))
    return pd.concat(stacked[1:] or stacked, ignore_index=True)


def against(runs: Runs, group: str) -> list[tuple[str, str]]:
    """Return the pairs of a group's rows with the paper's network."""
    return [(row, PAPER) for of, row in runs.asked if of == group and row != PAPER]


def tested(runs: Runs, *groups: str) -> pd.DataFrame:
    """Return the test rows of the classifiers of some groups, with their ``row`` and ``judged``."""
    parts = [
        pooled(listed).assign(row=row)
        for (group, row), listed in runs.found.items()
        if group in groups and listed and row != TOOL
    ]
    rows = pd.concat(parts, ignore_index=True) if parts else pooled([])
    phantom = any(is_phantom(spec.cohort) for listed in runs.asked.values() for spec in listed)
    return rows.assign(judged=runs.preset != "smoke" and not phantom)


def confusion(rows: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count truth (rows) against prediction; a last column ``none`` only where one was missed."""
    counts = pd.crosstab(rows["label"], rows["predicted"])
    columns = [*classes, *([MISSED] if (rows["predicted"] == MISSED).any() else [])]
    full = counts.reindex(index=list(classes), columns=columns, fill_value=0).astype(int)
    return full.rename_axis(index="truth", columns="predicted")


def matrices(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the confusion matrices of the paper and of both networks that were run."""
    found = {name: part for name, part in rows.groupby("row", sort=False) if name in NETWORKS}
    ours = {str(name): confusion(part, classes) for name, part in found.items()}
    return {"published": published.confusion_matrix()} | ours


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Count masks and patients of each shape, and of each drawing tool where there is one."""
    by = ["label", "tool"] if len(rows) and (rows["tool"] != "").any() else ["label"]
    return rows.groupby(by)["patient"].agg(masks="size", patients="nunique").reset_index()


def summary(
    rows: pd.DataFrame, classes: Sequence[str], by: Sequence[str] = ("row",)
) -> pd.DataFrame:
    """Score classifiers, with 95 % bootstrap intervals over patients.

    Args:
        rows: of :func:`pooled`, a row a mask in each group.
        classes: names of the classes.
        by: columns that name a group.

    Returns:
        A row a group and metric, of :data:`SCORES` and ``recall <class>``, with the columns of
        :func:`mammostudy.study.comparing.summarise` but the median.
    """
    lines: list[dict[str, Any]] = []
    for group, part in rows.groupby(list(by), sort=False):
        flags = part["converged"].dropna()
        settled = "no training" if flags.empty else "yes" if flags.astype(bool).all() else "no"
        beside = {
            "seed_sd": np.nan,
            "masses": len(part),
            "patients": part["patient"].nunique(),
            "trainings": part["fold"].nunique(),
            "converged": settled,
        }
        found = confusion_intervals(patient_confusions(part, classes))
        names = [*SCORES, *(f"recall {name}" for name in classes)]
        for metric, (mean, low, high) in zip(names, found.values(), strict=True):
            said = {"metric": metric, "mean": mean, "low": low, "high": high}
            lines.append(dict(zip(by, group, strict=True)) | said | beside)
    return pd.DataFrame(lines, columns=None if lines else [*by, "metric", "mean", "low", "high"])


def compare_recalls(
    rows: pd.DataFrame, classes: Sequence[str], *families: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """Set the macro recalls of classifiers against each other on the masks they share.

    Args:
        rows: of :func:`tested`.
        classes: names of the classes.
        families: pairs of rows to compare, ``a`` less ``b``, that are corrected together.

    Returns:
        Of :func:`mammostudy.study.comparing.judge`, one family after the other.
    """
    tables = []
    for pairs in families:
        lines = [line for a, b in pairs if (line := _recall_line(rows, classes, a, b))]
        if lines:
            tables.append(judge(lines, MARGIN, judged=bool(rows["judged"].all())))
    return pd.concat(tables, ignore_index=True) if tables else judge([])


def shared(rows: pd.DataFrame, a: str, b: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of two classifiers on the masks that both were tested on, in one order."""
    chosen = rows[rows["row"].isin([a, b])].sort_values("case")
    chosen = chosen[chosen.groupby("case")["row"].transform("nunique") == 2]
    return chosen[chosen["row"] == a], chosen[chosen["row"] == b]


def _recall_line(rows: pd.DataFrame, classes: Sequence[str], a: str, b: str) -> dict[str, Any]:
    mine, other = shared(rows, a, b)
    if mine.empty:
        return {}
    counts, theirs = (patient_confusions(each, classes) for each in (mine, other))
    return {
        **{"a": a, "b": b, "metric": "macro recall", **macro_recall_test(counts, theirs)},
        **{"masses": len(mine), "patients": len(counts), "trainings": mine["fold"].nunique()},
        "unsettled": ", ".join(unsettled(pd.concat([mine, other]), "row")),
    }


def crossed(runs: Runs, classes: Sequence[str]) -> pd.DataFrame:
    """Score classifiers by what they learnt from, and on masks of each source or drawing tool.

    Returns:
        Of :func:`summary`, by trained and tested.
    """
    parts = [pooled([]).assign(trained="", tested="")]
    for (group, row), listed in runs.found.items():
        if group not in ("source", "tool") or row == TOOL or not listed:
            continue
        rows = pooled(listed)
        sets = {name: rows[rows["tool"].isin(tools)] for name, tools in SUBSETS.items()}
        if group == "source":
            sets = {source: pooled(listed, source) for source in SOURCES}
        parts += [part.assign(trained=row, tested=name) for name, part in sets.items()]
    return summary(pd.concat(parts[1:] or parts), classes, ("trained", "tested"))


def tool_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """Guess the shape from the drawing tool alone.

    The shape guessed for a tool is the commonest among the masks of that tool in the other folds:
    patients that the fold does not hold. A tool that they do not know gets their commonest shape.

    Returns:
        The rows with the rule's predictions; none without tools or with one fold.
    """
    if rows.empty or (rows["tool"] == "").all() or rows["fold"].nunique() < 2:
        return rows.iloc[:0]
    parts = []
    for fold, mine in rows.groupby("fold"):
        others = rows[rows["fold"] != fold]
        rule = others.groupby("tool")["label"].agg(lambda labels: labels.mode().iloc[0])
        guess = mine["tool"].map(rule).fillna(others["label"].mode().iloc[0])
        right = guess == mine["label"]
        parts.append(mine.assign(predicted=guess, missed=False, right=right, converged=None))
    return pd.concat(parts, ignore_index=True)


def tool_scores(runs: Runs, classes: Sequence[str]) -> pd.DataFrame:
    """Score how well a mask gives its tool away, and its tool the shape; of :func:`summary`."""
    rows = pooled(runs.of("tool", "all tools"))
    parts = [
        summary(part.assign(row=name), names)
        for name, part, names in (
            ("tool from the mask", pooled(runs.of("tool", TOOL)), TOOLS),
            ("shape from the tool alone", tool_rule(rows), classes),
            ("shape from the mask", rows, classes),
        )
        if len(part)
    ]
    return pd.concat(parts or [summary(rows.assign(row=""), classes)], ignore_index=True)


def explained(runs: Runs) -> dict[str, Any]:
    """Return what the run that explains itself kept; empty where there is none.

    Returns:
        Its arrays, ``classes``, ``placement``, and of the occlusion maps by case ``shown``, masks
        bool ``(64, 64)`` (none without the data), and ``titles``.
    """
    listed = [record for records in runs.found.values() for record in records]
    chosen = [r for r in listed if r.spec.evaluation.explain and r.status == "completed"]
    if not chosen:
        return {}
    record: Record = chosen[0]
    kept: dict[str, Any] = dict(record.arrays())
    try:
        found = mask_set(record.spec, record.spec.evaluation.sources[0])
        cases = [str(case) for case in kept["occlusion_cases"]]
        shown = dict(zip(cases, found.masks[found.at(cases)], strict=True))
    except MissingDataError:
        shown = {}
    rows = pooled([record]).set_index("case")
    told = {case: f"{rows['label'][case]},\ncalled {rows['predicted'][case]}" for case in shown}
    said = {"classes": record.spec.classes, "placement": record.spec.input.placement}
    return kept | said | {"shown": shown, "titles": told}


def claim_line(cohort: str, preset: str, target: float, margin: float) -> dict[str, Any]:
    """Set the accuracy of the paper's classifier against a published one, patient by patient.

    ``target`` is the published accuracy in [0, 1], ``margin`` how much less still counts.

    Returns:
        A line for :func:`mammostudy.study.comparing.judge` with ``classes`` and ``missing`` (folds
        not run); ``p`` is that of the accuracy against the target less the margin, the least that
        still counts. Where it cannot be tested ``reason`` alone says why.
    """
    asked = rows_of(cohort, preset, "classifier").get(PAPER, [])
    if not asked:
        return {"reason": "the masses of this cohort carry no two shapes"}
    found = Runs.load({PAPER: asked}, preset).of(PAPER)
    if not found:
        return {"reason": "the shape classifier has not been run on this cohort and preset"}
    rows = pooled(found).assign(row=PAPER)

    def less(score: float) -> dict[str, Any]:
        other = rows.assign(row="published", right=score, converged=None)
        both = pd.concat([rows.astype({"right": float}), other])
        test = compare(both, [(PAPER, "published")], "right").iloc[0]
        return {str(name): value for name, value in test.items()}

    beside = {"classes": asked[0].classes, "missing": len(asked) - len(found), "reason": ""}
    return less(target) | {"p": less(target - margin)["p"]} | beside

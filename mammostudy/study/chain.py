"""From mammogram to shape: what is left of segmentation and shape when a detector gives the box.

What stands in the chains is in :mod:`mammostudy.study.chain_setting`, where the error comes from in
:mod:`mammostudy.study.chain_errors`, the pictures' data in
:mod:`mammostudy.study.chain_examples`, the sentences in :mod:`mammostudy.study.chain_reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.runs.record import Record
from mammostudy.runs.spec import KeyedSpec
from mammostudy.study import chain_recipes, printed, tables
from mammostudy.study.chain_recipes import ARMS, STUDY

SOURCES: Final = {
    "truth": "true mask",
    "oracle": "known box",
    "jittered": "shaken box",
    "detected": "detected box",
}
NOTHING: Final = "none"
Found = dict[str, list[Record]]
Score = tuple[float, float, float]


def specs(cohort: str, preset: str) -> list[KeyedSpec]:
    """Return every chain of the page and the runs that stand in them, those first, each once."""
    chains = [each for listed in chain_recipes.every(cohort, preset).values() for each in listed]
    return list(dict.fromkeys([*(run for each in chains for run in each.before), *chains]))


def records(cohort: str, preset: str) -> Found:
    """Return the records of the page by arm."""
    named = cast(tables.Named, chain_recipes.every(cohort, preset))
    return tables.records_of(named, preset)


def absent(found: Found, cohort: str, preset: str) -> list[str]:
    """Return the arms with a chain that has no record."""
    named = chain_recipes.every(cohort, preset)
    return [arm for arm, listed in named.items() if len(found.get(arm, ())) < len(listed)]


def rows(found: Found, kind: str) -> pd.DataFrame:
    """Stack the rows of all arms: those of :mod:`mammostudy.runs.chain_rows`, with arm and fold.

    Args:
        found: :func:`records`.
        kind: ``view``, ``mass`` or ``box``; masses also get told (whether their shape is known and
            a classifier may tell it) and right (the shape told is the known one).
    """
    stacked = [
        record.rows(kind).assign(arm=arm, fold=record.spec.split.fold)
        for arm, listed in found.items()
        for record in listed
    ]
    columns = [*_COLUMNS[kind], "arm", "fold"]
    table = pd.concat(stacked, ignore_index=True) if stacked else pd.DataFrame(columns=columns)
    table = table[columns]
    if kind != "mass":
        return table
    return table.assign(
        found=table["found"].astype(bool),
        told=table["label"].notna() & table["predicted"].notna(),
        right=table["label"].eq(table["predicted"]),
    )


_COLUMNS: Final = {
    "view": ("view", "patient", "site", "masses", "pixels", "boxes", "false_boxes", "repeats"),
    "mass": (
        "view", "patient", "site", "case", "source", "found", "score", "iou", "dice",
        "truth_pixels", "predicted_pixels", "label", "predicted", "probability",
    ),
    "box": ("view", "patient", "kind", "score", "predicted_pixels", "painted"),
}  # fmt: skip


def of(masses: pd.DataFrame, arm: str, source: str) -> pd.DataFrame:
    """Return the rows of one arm and one source of masks."""
    return masses[(masses["arm"] == arm) & (masses["source"] == source)]


def score(table: pd.DataFrame, column: str) -> Score:
    """Return the mean of a column with its 95 % bootstrap interval over patients.

    NaN without rows; the interval is NaN where a single patient stands behind it.
    """
    if table.empty:
        return np.nan, np.nan, np.nan
    values = table[column].to_numpy(np.float64)
    if table["patient"].nunique() < 2:
        return float(values.mean()), np.nan, np.nan
    return float(values.mean()), *bootstrap_ci(values, table["patient"].to_numpy(str))


def printed_score(row: Mapping[Any, Any] | pd.Series) -> str:
    """Print a score with its interval, where there is one; or that there is nothing to score."""
    if np.isnan(row["mean"]):
        return printed.MISSING
    if np.isnan(row["low"]):
        return f"{row['mean']:.3f} (a single patient)"
    return printed.cell(row["mean"], row["low"], row["high"])


def dice_table(masses: pd.DataFrame) -> pd.DataFrame:
    """Score the masks of every arm by the box they were segmented from.

    Returns:
        arm, source (oracle, jittered, detected, or ``found``: the detected boxes that found their
        mass alone), mean, low, high, masses, patients.
    """
    out = []
    for arm in dict.fromkeys(masses["arm"]):
        for source in ("oracle", "jittered", "detected", "found"):
            mine = of(masses, arm, "detected" if source == "found" else source)
            if source == "found":
                mine = mine[mine["found"]]
            mean, low, high = score(mine, "dice")
            counts = {"masses": len(mine), "patients": mine["patient"].nunique()}
            ends = {"mean": mean, "low": low, "high": high}
            out.append({"arm": arm, "source": source, **ends, **counts})
    columns = ["arm", "source", "mean", "low", "high", "masses", "patients"]
    return pd.DataFrame(out, columns=columns)


def found_table(masses: pd.DataFrame) -> pd.DataFrame:
    """Return the share of masses found by each arm: arm, mean, low, high, found, masses."""
    out = []
    for arm in dict.fromkeys(masses["arm"]):
        mine = of(masses, arm, "detected")
        mean, low, high = score(mine, "found")
        counts = {"found": int(mine["found"].sum()), "masses": len(mine)}
        out.append({"arm": arm, "mean": mean, "low": low, "high": high, **counts})
    return pd.DataFrame(out, columns=["arm", "mean", "low", "high", "found", "masses"])


def shape_table(masses: pd.DataFrame) -> pd.DataFrame:
    """Score the shapes told by every arm, by the mask they were told from.

    Only masses of a known shape that a classifier may judge. A missed mass is told wrong.

    Returns:
        arm, source (truth, oracle, jittered, detected, ``found``), mean (accuracy), low, high,
        masses, patients, commonest (the share of the commonest shape among them).
    """
    out = []
    for arm in dict.fromkeys(masses["arm"]):
        for source in (*SOURCES, "found"):
            mine = of(masses, arm, "detected" if source == "found" else source)
            mine = mine[mine["told"]]
            if source == "found":
                mine = mine[mine["found"]]
            mean, low, high = score(mine, "right")
            share = mine["label"].value_counts(normalize=True).max() if len(mine) else np.nan
            counts = {"masses": len(mine), "patients": mine["patient"].nunique()}
            ends = {"mean": mean, "low": low, "high": high}
            out.append({"arm": arm, "source": source, **ends, **counts, "commonest": share})
    columns = ["arm", "source", "mean", "low", "high", "masses", "patients", "commonest"]
    return pd.DataFrame(out, columns=columns)


HEADINGS: Final = {**SOURCES, "detected": "detected box, missed as 0", "found": "found only"}
SHAPE_HEADINGS: Final = {**HEADINGS, "detected": "detected box, missed as wrong"}


def printed_scores(
    table: pd.DataFrame, headings: Mapping[str, str], more: Mapping[str, Sequence[Any]]
) -> pd.DataFrame:
    """Lay out :func:`dice_table` or :func:`shape_table`: a row an arm, run or not.

    Args:
        table: with arm, source, mean, low, high, masses, patients.
        headings: source -> heading.
        more: further columns, a value an arm of the table.
    """
    out = []
    for arm, part in table.groupby("arm", sort=False):
        cells = {headings[row["source"]]: printed_score(row) for _, row in part.iterrows()}
        whole = part[part["source"] == "detected"].iloc[0]
        out.append(
            {"chain": arm, **cells, "masses": whole["masses"], "patients": whole["patients"]}
        )
    known = [headings[source] for source in headings if source in set(table["source"])]
    wide = pd.DataFrame(out, columns=["chain", *known, "masses", "patients"]).assign(**more)
    return printed.with_absent(wide, [(arm,) for arm in ARMS], ["chain"])


def found_cells(table: pd.DataFrame) -> list[str]:
    """Print how many masses each arm found: ``21 of 62, 0.339 [0.210, 0.475]``."""
    return [
        f"{row['found']} of {row['masses']}, {printed_score(row)}" for _, row in table.iterrows()
    ]


def false_table(found: Found) -> pd.DataFrame:
    """Count the boxes of each arm that find nothing new, and what the segmenter paints there.

    Returns:
        chain, views, views without a mass, false boxes a view with interval, the same on views
        without a mass, repeats a view, and the mean share of a view painted outside every mass, %.
    """
    views, boxes = rows(found, "view"), rows(found, "box")
    out = []
    for arm in found:
        mine = views[views["arm"] == arm]
        if mine.empty:
            continue
        painted = boxes[boxes["arm"] == arm].groupby(["fold", "view"])["painted"].sum()
        keys = pd.MultiIndex.from_frame(mine[["fold", "view"]])
        outside = painted.reindex(keys).fillna(0).to_numpy(np.float64)
        mine = mine.assign(outside=100 * outside / mine["pixels"].to_numpy(np.float64))
        empty = mine[mine["masses"] == 0]
        free = printed.cell(*score(empty, "false_boxes"), digits=2)
        out.append(
            {
                "chain": arm,
                "views": len(mine),
                "without a mass": len(empty),
                "false boxes a view": printed.cell(*score(mine, "false_boxes"), digits=2),
                "on views without a mass": free if len(empty) else printed.MISSING,
                "repeats a view": f"{mine['repeats'].mean():.2f}",
                "painted outside masses, % of the view": printed.cell(*score(mine, "outside")),
            }
        )
    return pd.DataFrame(out, columns=list(out[0]) if out else ["chain"])


def box_quality(masses: pd.DataFrame, arm: str = STUDY) -> pd.DataFrame:
    """Return the found masses of an arm: case, patient, IoU of the box, Dice of both masks.

    Returns:
        case, patient, iou, known (Dice from the known box), detected, loss (their difference).
    """
    mine = of(masses, arm, "detected")
    mine = mine[mine["found"]].set_index("case")[["patient", "iou", "dice"]]
    known = of(masses, arm, "oracle").set_index("case")["dice"].reindex(mine.index)
    table = mine.rename(columns={"dice": "detected"}).assign(known=known)
    return table.assign(loss=table["known"] - table["detected"]).reset_index()

"""What the page says on whose masks it shows: classes, sources, drawing tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from mammostudy.study import published, words
from mammostudy.study.shapes import PAPER
from mammostudy.study.shapes_reading import NOTHING, both_scores, by_row

MADE: Final = {
    "truth": "the outlines as drawn",
    "active-contour": "active contours drawn in loose frames",
    "segmenter": "the masks of this study's segmenter, of patients that it was not trained on",
}


def _source(rows: pd.DataFrame) -> str:
    return str(rows["source"].iloc[0])


def who(
    rows: pd.DataFrame,
    classes: Sequence[str],
    dropped: Mapping[str, int],
    pixels: Mapping[str, int],
) -> str:
    """Say whose masks are classified and what the cohort leaves out.

    Args:
        rows: pooled test rows of all folds.
        classes: names of the classes.
        dropped: :func:`mammostudy.study.shapes_sources.dropped`.
        pixels: :func:`mammostudy.study.shapes_sources.with_pixels`.
    """
    if not classes:
        return "This cohort has no two shapes with a patient for every fold: nothing to tell apart."
    if rows.empty:
        return NOTHING
    patients = rows["patient"].nunique()
    said = [
        f"{words.count(len(rows), 'mask')} of {words.count(patients, 'patient')} in "
        f"{words.count(rows['fold'].nunique(), 'test fold')} by patient; each is tested once, by a "
        f"classifier that saw none of its patient's masks. They are {MADE[_source(rows)]}."
    ]
    if gone := [shape for shape in published.SHAPES if shape not in classes]:
        said.append(
            f"The labels know no {' and no '.join(gone)} masses here: this is a task of "
            f"{len(classes)} classes, and no result of it is one for the paper's four. "
            "Results of four classes come from phantoms, and from CBIS-DDSM for those who hold it."
        )
    if dropped:
        reasons = [f"{n:,} ({reason})" for reason, n in dropped.items()]
        said.append(f"Outlines left out, with the reason: {'; '.join(reasons)}.")
    if pixels:
        total, (name, most) = sum(pixels.values()), max(pixels.items(), key=lambda item: item[1])
        said.append(
            f"Of the masses with pixels that have a shape on record, {most} of {total} are "
            f"{name}: too few of the others to train on pixels, or to let a segmenter or an active "
            "contour draw the masks. So the outlines as drawn are all there is to classify."
        )
    return words.paragraph(said)


def cross(table: pd.DataFrame, phantom: bool) -> str:
    """Say what masks of another source cost, and what a score on true outlines is worth."""
    if table.empty:
        return (
            "No table of training against testing sources stands here: the cohort has one source "
            "of masks, or no such run is on record."
        )
    said = []
    for trained, part in table.groupby("trained", sort=False):
        home = part[part["tested"] == str(trained).split(",")[0]]
        others = [
            f"{row['macro_recall']:.3f} on {row['tested']}"
            for _, row in part.drop(home.index).iterrows()
        ]
        if home.empty or not others:
            continue
        said.append(
            f"Trained on {trained}: macro recall {home['macro_recall'].iloc[0]:.3f} on masks of "
            f"the same source, {words.listed(others)}."
        )
    drawn = table[(table["tested"] == "truth") & table["trained"].str.startswith("truth")]
    if phantom and len(drawn):
        best = drawn.sort_values("macro_recall").iloc[-1]
        said.append(
            f"True phantom outlines are told apart with a macro recall of "
            f"{best['macro_recall']:.3f} ({best['trained']}): four formulas draw them, so they are "
            "separable by construction, and that score says little about masses of patients."
        )
    return words.paragraph(said)


def tools(scores: pd.DataFrame, table: pd.DataFrame) -> str:
    """Say how much of the score the drawing tool alone earns."""
    if scores.empty and table.empty:
        return (
            "No drawing tool is on record for these masks, or no such run: nothing to check here."
        )
    rows = by_row(scores)
    said = []
    if "tool from the mask" in rows:
        said.append(
            f"From the mask, the tool is named with {both_scores(rows['tool from the mask'])}."
        )
    rule, mask = "shape from the tool alone", "shape from the mask"
    if {rule, mask} <= set(rows):
        alone, seen = rows[rule], rows[mask]
        said += [
            f"The tool alone, without a look at the mask (its commonest shape in the other folds), "
            f"names the shape with {both_scores(alone)}; the {PAPER} on the "
            f"masks reaches {both_scores(seen)}.",
            _share(alone["macro_recall"], seen["macro_recall"], len(_classes(table))),
        ]
    for _, row in table[table["tested"] == "polygon"].iterrows() if len(table) else ():
        said.append(
            f"Trained on {row['trained']}, tested on polygons: macro recall "
            f"{row['macro_recall']:.3f} [{row['macro_recall_low']:.3f}, "
            f"{row['macro_recall_high']:.3f}] (patients: {row['behind']})."
        )
    return words.paragraph(said)


def tools_meaning(scores: pd.DataFrame, table: pd.DataFrame) -> str:
    """Say in short what the drawing tool means for the score; nothing without tools."""
    rows = by_row(scores)
    rule, mask = "shape from the tool alone", "shape from the mask"
    if not {rule, mask} <= set(rows) or table.empty:
        return ""
    gain = _share(rows[rule]["macro_recall"], rows[mask]["macro_recall"], len(_classes(table)))
    polygons = table[
        (table["trained"] == table["trained"].iloc[0]) & (table["tested"] == "polygon")
    ]
    if polygons.empty:
        return gain
    row = polygons.iloc[0]
    return (
        f"{gain} Where the tool says nothing, among polygons, the same CNN's macro recall is "
        f"{row['macro_recall']:.3f} (patients: {row['behind']})."
    )


def _classes(table: pd.DataFrame) -> list[str]:
    return str(table["behind"].iloc[0]).split(", ") if len(table) else []


def _share(alone: float, seen: float, classes: int) -> str:
    """Say how much of what the CNN gains over guessing the tool alone gains."""
    if classes < 2:
        return ""
    if seen <= 1 / classes:
        return "The CNN's macro recall is not above guessing, so there is no gain to split."
    share = (alone - 1 / classes) / (seen - 1 / classes)
    return (
        f"Of the macro recall above guessing (1 in {classes}), the tool alone earns "
        f"{100 * share:.0f} % of what the CNN does."
    )

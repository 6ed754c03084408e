"""What curves, boxes, scores, costs and longer trainings say, with the tables' numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.study import detect_recipes, printed, words
from mammostudy.study.detect_convergence import GAIN
from mammostudy.study.detection_comparison import BEATS
from mammostudy.study.detection_details import JITTER
from mammostudy.study.detection_reading import noun

ENOUGH: Final = 10  # boxes that a share is told of


def operating(thresholds: Mapping[int, float]) -> str:
    """Name the thresholds chosen on validation, by fold."""
    at = [
        f"{value:.2f} on fold {fold}" if np.isfinite(value) else f"above every score on fold {fold}"
        for fold, value in thresholds.items()
    ]
    return f"Its threshold is {words.listed(at)}." if at else ""


def rules(table: pd.DataFrame, name: str = detect_recipes.LIGHT) -> str:
    """Say how far the rule of what counts as found moves the headline number."""
    mine = table[table["row"] == name] if len(table) else table
    if mine.empty:
        return ""
    values = dict(zip(mine["rule"], mine["at_one"], strict=True))
    most, least = max(values, key=lambda rule: values[rule]), min(values, key=lambda r: values[r])
    heads = {"iou10": "an IoU of 0.10", "iou25": "one of 0.25", "iou50": "one of 0.50"}
    heads |= {"centre": "the centre in the mass's box"}
    return (
        f"The same boxes of the {noun(name)} find {values[most]:.2f} of the masses at 1 false "
        f"positive a view if {heads[most]} is enough, and {values[least]:.2f} if {heads[least]} "
        "is needed: a detection accuracy without its rule says little."
    )


def errors(table: pd.DataFrame) -> str:
    """Set the errors of found boxes against the jitter of the other pages."""
    if table.empty:
        return "No mass is found at the operating threshold: there is no box to measure."
    rows = table.set_index("error")
    near = 100 * rows.loc[["centre_x_error", "centre_y_error"], "within"].mean()
    size = 100 * rows.loc[["width_log_ratio", "height_log_ratio"], "within"].mean()
    overlap = rows.loc["iou"].to_dict()
    found = words.count(int(overlap["masses"]), "found mass")
    return (
        f"Boxes of the {found} overlap theirs by an IoU of "
        f"{printed.cell(overlap['mean'], overlap['low'], overlap['high'], 2)}. "
        f"The jittered box of the other pages, which stands for a detector's, moves by at most "
        f"{100 * JITTER['shift']:.0f} % and is resized by at most {100 * JITTER['resize']:.0f} %: "
        f"on an axis, {near:.0f} % of these boxes keep within the first and {size:.0f} % within "
        "the second."
        + (
            " A real detector's box is further off than the jitter assumes."
            if min(near, size) < 50
            else ""
        )
    )


def sizes(table: pd.DataFrame) -> str:
    """Say whether small masses are found less often."""
    if table.empty:
        return ""
    mean = table[table["rate"].isna()].set_index("size")
    if not {"small", "large"} <= set(mean.index) or mean["sensitivity"].isna().any():
        return ""
    small, large = mean.loc["small"].to_dict(), mean.loc["large"].to_dict()
    apart = small["high"] < large["low"] or large["high"] < small["low"]
    return (
        f"Mean sensitivity is {printed.cell(small['sensitivity'], small['low'], small['high'], 2)} "
        "for the smallest third and "
        f"{printed.cell(large['sensitivity'], large['low'], large['high'], 2)} for the largest; "
        f"the intervals {'lie apart' if apart else 'overlap'}."
    )


def calibration(table: pd.DataFrame, error: float) -> str:
    """Say what a score means."""
    if table.empty:
        return "No box was laid."
    enough = table[table["boxes"] >= ENOUGH]
    top = (enough if len(enough) else table).iloc[-1]
    low, high = top["share_low"], top["share_high"]
    return (
        f"The highest scores that {ENOUGH} boxes or more share lie between {top['low']:.1f} and "
        f"{top['high']:.1f} (mean {top['score']:.2f}): of {int(top['boxes'])} boxes, "
        f"{printed.cell(top['share'], low, high, 2)} lie on a mass. "
        f"The mean gap between score and share is {error:.3f}; it is ruled by the many boxes of "
        "low score. A score is no probability of cancer, and none of a mass without this table."
    )


def cost(ends: pd.DataFrame) -> str:
    """Say what the cheapest and the dearest training reached."""
    trained = ends[ends["minutes"] > 0] if len(ends) else ends
    if len(trained) < 2:
        return ""
    ordered = trained.sort_values("minutes").to_dict("records")
    said = [
        f"{noun(row['row'])}, {row['group']}: {row['minutes']:.1f} core-minutes, "
        f"{printed.cell(row['at_one'], row['at_one_low'], row['at_one_high'], 2)}"
        for row in (ordered[0], ordered[-1])
    ]
    return (
        f"The cheapest and the dearest training, with their sensitivity at 1 false positive a view "
        f"on test: {said[0]}; {said[1]}. Times are by the clock of the machine that trained them, "
        "on which other trainings ran beside."
    )


def longer(table: pd.DataFrame) -> str:
    """Say of each detector that was trained twice as long whether that helped on validation.

    Args:
        table: :func:`mammostudy.study.detection_trainings.trainings`.
    """
    said = [_longer(row, table) for row in _of(table, detect_recipes.LONGER)]
    if not any(said):
        return "No training twice as long is on record."
    masses = int(table["masses"].max())
    said.append(
        f"The validation views hold {words.count(masses, 'mass')}: one more or less found moves "
        f"that mean by up to {1 / masses:.3f}, so that a gain of that size may be luck."
    )
    ready = [noun(row["row"]) for row in _of(table, detect_recipes.LONG) if _settled(row)]
    said.append(
        f'Converged in the budget "{detect_recipes.LONG}": {words.listed(ready) or "none"}.'
    )
    return words.bullets(said)


def _of(table: pd.DataFrame, group: str) -> list[dict[Any, Any]]:
    return table[table["group"] == group].to_dict("records")


def _settled(row: dict[Any, Any]) -> bool:
    return str(row["converged"]) == "yes"


def _longer(row: dict[Any, Any], table: pd.DataFrame) -> str:
    before = [each for each in _of(table, detect_recipes.LONG) if each["row"] == row["row"]]
    if not before:
        return ""
    helped = row["validated"] > GAIN * before[0]["validated"]
    end = "more training helped" if helped else "more training did not help"
    return (
        f"{noun(row['row'])}: {row['iterations']} steps instead of {before[0]['iterations']} give "
        f"a mean sensitivity of {row['validated']:.3f} on validation against "
        f"{before[0]['validated']:.3f}: {end} by more than {100 * (GAIN - 1):.0f} %; on test, at 1 "
        f"false positive a view, {row['at_one']:.2f} against {before[0]['at_one']:.2f}."
    )


def published_ssd(table: pd.DataFrame, prior: pd.DataFrame) -> str:
    """Say whether SSD300 beats the prior box, as published and with batch norm.

    Args:
        table: :func:`mammostudy.study.detection_trainings.trainings`.
        prior: :func:`mammostudy.study.detection_comparison.against_prior`.
    """
    rows = (detect_recipes.SSD300, detect_recipes.SSD300_NORM)
    mine = [row for row in _of(table, detect_recipes.LONG) if row["row"] in rows]
    return words.paragraph([_ssd(row, prior) for row in mine])


def _ssd(row: dict[Any, Any], prior: pd.DataFrame) -> str:
    test = prior[(prior["row"] == row["row"]) & (prior["group"] == row["group"])]
    if test.empty:
        return ""
    against = test.iloc[0].to_dict()
    as_published = row["row"] == detect_recipes.SSD300
    who = "SSD300 as published, without batch norm," if as_published else "SSD300 with batch norm"
    beats = "beats the prior box" if against["verdict"] == BEATS else "does not beat the prior box"
    gap = words.interval(against["at_one"], against["at_one_low"], against["at_one_high"], digits=2)
    return (
        f"{who} {beats} with the {row['iterations']} steps from scratch "
        f"({row['minutes']:.0f} core-minutes) that this budget affords: {gap}."
    )

"""Test cases drawn by rule, with truth and prediction in the colours of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import frame_sample
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.runs.store import Record
from mammostudy.study import segmenter_recipes as models
from mammostudy.study.fingerprint import at_hand
from mammostudy.study.segmenters import Found

RULES: Final = ("best", "median", "worst", "drawn")
MOST: Final = 7
"""Models side by side, as in the paper's figure."""


@dataclass(frozen=True)
class Cell:
    """One prediction in one frame.

    Attributes:
        line: what stands beside the line of pictures (rule, or rule and framing).
        column: what stands above it (framing, or model).
        picture: uint8 ``(s, s, 3)``; None where there is no run.
        note: Dice of the prediction, or why there is none.
    """

    line: str
    column: str
    picture: NDArray[np.uint8] | None
    note: str


def picked(found: Found, stacked: pd.DataFrame, seed: int = 0) -> dict[str, str]:
    """Pick test cases by rule, from the proposed cGAN's first run on loose frames.

    Best, median and worst by Dice, and one drawn by seed from the others; every framing of the
    model must have predicted them.

    Args:
        found: :func:`mammostudy.study.segmenters.records`.
        stacked: :func:`mammostudy.study.segmenters.rows`.
        seed: of the draw.

    Returns:
        Case by rule; empty without a run.
    """
    if not found.get(("loose", models.PROPOSED)):
        return {}
    first = found["loose", models.PROPOSED][0]
    mine = stacked[(stacked["framing"] == "loose") & (stacked["row"] == models.PROPOSED)]
    mine = mine[(mine["fold"] == first.spec.split.fold) & (mine["replicate"] == 0)]
    ordered = mine.sort_values(["dice", "case"], ignore_index=True)
    if len(ordered) < len(RULES):
        return {}
    places = {"best": len(ordered) - 1, "median": len(ordered) // 2, "worst": 0}
    left = [at for at in range(len(ordered)) if at not in places.values()]
    places["drawn"] = int(np.random.default_rng(seed).choice(left))
    return {rule: str(ordered["case"][places[rule]]) for rule in RULES}


def framed(
    cohort: str, found: Found, stacked: pd.DataFrame, rules: Sequence[str] = ("median", "worst")
) -> list[Cell]:
    """Return the proposed cGAN's predictions of two cases in three framings.

    Returns:
        A cell a rule and framing, full first; empty where the images are not at hand.
    """
    loaded, cases = at_hand(cohort), picked(found, stacked)
    if loaded is None or not cases:
        return []
    return [
        _cell(loaded, found, stacked, cases[rule], rule, (framing, models.PROPOSED), framing)
        for rule in rules
        for framing in ("full", "loose", "tight")
    ]


def compared(
    cohort: str, found: Found, stacked: pd.DataFrame, rules: Sequence[str] = ("best", "drawn")
) -> list[Cell]:
    """Return the predictions of up to seven models of two cases in loose and tight frames.

    Models come in the order of the page: those with a run on tight frames first, then the others
    on loose frames.

    Returns:
        A cell a rule, framing and model; empty where the images are not at hand.
    """
    loaded, cases = at_hand(cohort), picked(found, stacked)
    if loaded is None or not cases:
        return []
    have = [row for row in models.ROWS if found.get(("loose", row))]
    both = [row for row in have if found.get(("tight", row))]
    shown = [*both, *(row for row in have if row not in both)][:MOST]
    framings = ("loose", "tight") if both else ("loose",)
    return [
        _cell(loaded, found, stacked, cases[rule], f"{rule}, {framing}", (framing, row), row)
        for rule in rules
        for framing in framings
        for row in shown
    ]


def _cell(
    loaded: Cohort,
    found: Found,
    stacked: pd.DataFrame,
    case: str,
    line: str,
    group: tuple[str, str],
    column: str,
) -> Cell:
    record = _of(found.get(group, ()), case)
    if record is None:
        return Cell(line, column, None, "not run")
    spec = record.spec
    image, truth, _ = frame_sample(loaded.sample(case), spec.frame, spec.preprocessing)
    picture = agreement_overlay(image, truth, record.predictions()[case], alpha=0.5)
    framing, row = group
    part = stacked[(stacked["framing"] == framing) & (stacked["row"] == row)]
    dice = float(part.loc[part["case"] == case, "dice"].iloc[0])
    return Cell(line, column, picture, f"{dice:.3f}")


def _of(listed: Sequence[Record], case: str) -> Record | None:
    """Return the record that tested a case: predictions hold validation cases too."""
    for record in listed:
        rows = record.cases
        if case in set(rows.loc[rows["part"] == "test", "case"]):
            return record
    return None


def titles(cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """Return the lines and the columns of a grid of cells, in order."""
    return list(dict.fromkeys(c.line for c in cells)), list(dict.fromkeys(c.column for c in cells))


def rule_said(found: Found, stacked: pd.DataFrame) -> str:
    """Say which cases the pictures show; nothing without a run."""
    cases = picked(found, stacked)
    if not cases:
        return ""
    named = ", ".join(f"{rule}: `{case}`" for rule, case in cases.items())
    return f"Cases by rule, from the {models.PROPOSED}'s Dice on loose frames, first fold: {named}."

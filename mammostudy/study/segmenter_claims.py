"""Two claims about the models, measured for the verdicts of the claims page.

That the cGAN beats every alternative stands or falls with the strongest of them. Each comparison
gets an interval at 1 - 0.05 / k for k alternatives, so that all hold together: the claim is judged
by the alternative over which the smallest gain is left, and one that is surely not beaten
contradicts it whatever the others do. To support it, all ten must have been run and converged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import (
    PairedTest,
    bootstrap_ci,
    paired_test,
    patient_differences,
)
from mammostudy.evaluation.uncertainty import fewer_outliers
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import segmenter_recipes as models
from mammostudy.study import tables, words
from mammostudy.study.segmenters_comparison import pairs

OUTLIERS: Final = "outliers"
EVERY: Final = "dice-over-every-alternative"
COMPARED: Final = {
    OUTLIERS: f"{models.RESNET_DICE} - {models.PROPOSED}",
    EVERY: f"{models.PROPOSED} - its strongest alternative",
}
"""What the claims compare, in words."""
ALTERNATIVES: Final = tuple(row for row in models.PUBLISHED_ROWS if row != models.PROPOSED)


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return the runs behind both claims: the paper's models on loose frames."""
    asked = models.models(cohort, preset)
    return [spec for row in models.PUBLISHED_ROWS for spec in asked.get(row, ())]


def measured(metric: str, cohort: str, preset: str, margin: float) -> dict[str, Any]:
    """Measure a claim: test, reason, trainings, unsettled and cautions.

    Args:
        metric: :data:`OUTLIERS` or :data:`EVERY`.
        cohort: the page's cohort.
        preset: of the page.
        margin: the smallest difference that matters.
    """
    asked = models.models(cohort, preset)
    wanted = (models.PROPOSED, models.RESNET_DICE) if metric == OUTLIERS else models.PUBLISHED_ROWS
    named = {row: asked.get(row, []) for row in wanted}
    found = {row: listed for row, listed in tables.records_of(named, preset).items() if listed}
    if models.PROPOSED not in found or len(found) < 2:
        absent = [row for row in named if row not in found]
        return _untested(f"not run on this cohort and preset: {words.listed(absent)}")
    stacked = tables.chosen(tables.rows_of(found))
    loose = [row for row in found if any(r.converged is False for r in found[row])]
    if metric == OUTLIERS:
        return _outliers(stacked, loose)
    return _every(stacked, found, loose, margin)


def _untested(reason: str) -> dict[str, Any]:
    return {"test": None, "reason": reason, "trainings": [], "unsettled": [], "cautions": []}


def _outliers(stacked: pd.DataFrame, loose: list[str]) -> dict[str, Any]:
    one, other, patients = pairs(stacked, models.PROPOSED, models.RESNET_DICE, "dice")
    test = fewer_outliers(one, other, patients)
    cautions = [
        f"one training each, {words.count(len(one), 'mass')}; an outlier lies more than 1.5 "
        "interquartile ranges below the lower quartile of its own model",
        "the encoder of cGAN-ResNet101 is from scratch unless the preset downloads weights",
    ]
    row = {"test": test, "reason": "", "trainings": [float("nan")], "unsettled": loose}
    return row | {"cautions": cautions}


def _every(
    stacked: pd.DataFrame, found: dict[str, list[Record]], loose: list[str], margin: float
) -> dict[str, Any]:
    """Judge by the alternative that leaves the smallest gain; see the top of this module."""
    others = [row for row in ALTERNATIVES if row in found and row not in loose]
    absent = [row for row in ALTERNATIVES if row not in found]
    lacking = []
    if absent:
        lacking.append(f"not run: {words.listed(absent)}")
    if loose:
        lacking.append(f"not converged: {words.listed(loose)}")
    if models.PROPOSED in loose or not others:
        return _untested("; ".join(lacking))
    tests = {other: _test(stacked, other) for other in others}
    hardest = min(tests, key=lambda other: tests[other].high)
    if lacking and tests[hardest].high >= margin:
        gain = tests[min(tests, key=lambda other: tests[other].difference)].difference
        reason = (
            f"it takes all {len(ALTERNATIVES)} alternatives; {'; '.join(lacking)}; the smallest "
            f"gain over the {len(others)} others is {100 * gain:+.1f} points"
        )
        return _untested(reason)
    if tests[hardest].high >= margin:
        hardest = min(tests, key=lambda other: tests[other].low)
    worst = max(test.p_permutation for test in tests.values())
    return {
        "test": replace(tests[hardest], p_permutation=worst),
        "reason": "",
        "trainings": tables.seed_differences(stacked, models.PROPOSED, hardest, "dice"),
        "unsettled": [],
        "cautions": [
            f"judged by {hardest}, of {words.count(len(others), 'converged alternative')}, each "
            f"with an interval at {100 * (1 - 0.05 / len(ALTERNATIVES)):g} %",
            *lacking,
        ],
    }


def _test(stacked: pd.DataFrame, other: str) -> PairedTest:
    """Test the cGAN against one alternative, its interval corrected for all ten."""
    one, two, patients = pairs(stacked, models.PROPOSED, other, "dice")
    means = patient_differences(one, two, patients)
    test = paired_test(one, two, patients)
    if len(means) == 1:
        return test
    low, high = bootstrap_ci(means, np.arange(len(means)), level=1 - 0.05 / len(ALTERNATIVES))
    return replace(test, low=low, high=high)
